"""What our tests need at collection: one run per scheme, sound markers, skips with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from ..core.settings import Settings, Update
from ..report.words import words_of
from . import markers
from .option_table import COMPARE_FIXTURES

NO_SCHEME = "no --quant-scheme given, e.g. --quant-scheme=w8a8-fp8"
NO_MODEL = "no --quant-model given, e.g. --quant-model=ORG/NAME"
RECORDING = "recording baselines: no quantized model is run"


def parametrize(metafunc: pytest.Metafunc, settings: Settings) -> None:
    """One run per requested scheme; none while recording."""
    requested = _requested(settings)
    if not requested or markers.parametrizes_scheme(metafunc.definition):
        return  # the latter is told as a collection error
    if schemes := markers.schemes_for(metafunc.definition, requested, settings.catalogue):
        metafunc.parametrize("quant_scheme", schemes, ids=schemes, indirect=True, scope="session")


def check_report(report: pytest.CollectReport, settings: Settings) -> None:
    """Turns the report of a collected file or class into one error for all its mistakes."""
    items = [node for node in report.result if isinstance(node, pytest.Item)]
    if not _mistakes(items, settings):
        return
    # A failed file's classes are not collected any more: tell theirs as well.
    report.longrepr = "\n".join(_mistakes(_items_below(report.result), settings))
    report.outcome = "failed"
    report.result = []


def check_collected(session: pytest.Session, settings: Settings) -> None:
    """Skips what cannot run. Raises UsageError for wrong markers that a hook has added."""
    mistakes = _mistakes(session.items, settings)
    if mistakes and hasattr(session.config, "workerinput"):
        # A worker's UsageError reaches nobody; xdist tells what failed in collection.
        _report_failure(session, "\n".join(mistakes))
        session.items.clear()
    elif mistakes:
        raise pytest.UsageError("\n".join(mistakes))
    for item in session.items:
        _skip_without_model(item, settings)
        _skip_without_scheme(item, settings)


def _report_failure(session: pytest.Session, text: str) -> None:
    report = pytest.CollectReport(session.nodeid, "failed", text, [])
    session.config.hook.pytest_collectreport(report=report)


def _requested(settings: Settings) -> tuple[str, ...]:
    return settings.schemes if settings.update is Update.NO else ()


def _mistakes(items: Iterable[pytest.Item], settings: Settings) -> list[str]:
    """Each once, though a class's mistake is seen in all of its tests."""
    requested, names = _requested(settings), settings.catalogue
    texts = (
        str(words_of(problem))
        for item in items
        for problem in markers.problems(item, requested, names)
    )
    return list(dict.fromkeys(texts))


def _items_below(nodes: Iterable[pytest.Item | pytest.Collector]) -> Iterator[pytest.Item]:
    for node in nodes:
        if isinstance(node, pytest.Item):
            yield node
        else:
            yield from _items_below(node.collect())


def _skip_without_model(item: pytest.Item, settings: Settings) -> None:
    fixtures = set(getattr(item, "fixturenames", ()))
    alone = "baseline_model" in fixtures and "quant_scheme" not in fixtures
    if alone and settings.model is None and not settings.schemes:
        item.add_marker(pytest.mark.skip(reason=NO_MODEL))


def _skip_without_scheme(item: pytest.Item, settings: Settings) -> None:
    fixtures = set(getattr(item, "fixturenames", ()))
    callspec = getattr(item, "callspec", None)
    if "quant_scheme" not in fixtures or (callspec and "quant_scheme" in callspec.params):
        return
    if settings.update is not Update.NO:
        if fixtures & COMPARE_FIXTURES:
            return
        reason = RECORDING
    elif markers.schemes_for(item, settings.schemes, settings.catalogue):
        # pytest cannot run it once per scheme (unittest): the fixture takes the only one.
        return
    elif settings.schemes:
        reason = f"not for {', '.join(settings.schemes)} (marker quant_schemes)"
    else:
        reason = NO_SCHEME
    item.add_marker(pytest.mark.skip(reason=reason))
