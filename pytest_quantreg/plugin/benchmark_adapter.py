"""Publishes rounds that we timed to pytest-benchmark; the one module that knows its insides."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

SESSION = "pytest-benchmark"
"""The name under which pytest-benchmark registers its session with pytest."""


def makes_benchmarks(config: pytest.Config) -> bool:
    """Whether pytest-benchmark is there, and neither disabled nor told to skip.

    xdist disables it; ``-p no:benchmark`` keeps it away.
    """
    session = config.pluginmanager.get_plugin(SESSION)
    if session is None:
        return False
    return not getattr(session, "disabled", False) and not getattr(session, "skip", False)


@contextmanager
def as_benchmarks(config: pytest.Config, items: Iterable[pytest.Item]) -> Iterator[None]:
    """While it lasts, pytest-benchmark takes ``items`` for benchmarks.

    Around ``pytest_collection_modifyitems``, where it knows a benchmark by its fixture:
    ``--benchmark-only`` then keeps these items and ``--benchmark-skip`` skips them.
    Without either nothing is touched, so that it has no cause to warn under xdist.
    """
    chosen = any(config.getoption(f"benchmark_{name}", False) for name in ("only", "skip"))
    if not chosen or not config.pluginmanager.has_plugin(SESSION):
        yield
        return
    added: list[list[str]] = []
    for item in items:
        # One list for all parameters of a test; kept, since other plugins may change it.
        names: list[str] = getattr(item, "fixturenames", ["benchmark"])
        if "benchmark" not in names:
            names.append("benchmark")
            added.append(names)
    try:
        yield
    finally:
        # What is named there when the test runs is also set up.
        for names in added:
            if "benchmark" in names:
                names.remove("benchmark")


def publish(
    item: pytest.Item, workload: str, seconds: Sequence[float], extra_info: Mapping[str, object]
) -> str | None:
    """Makes one benchmark, ``test_x[w8a8-int8][batch 1]``, of the rounds of one workload.

    ``seconds`` are the quantized model's rounds, ``extra_info`` plain JSON values (NaN
    and infinities become null). Returns None when all is well or pytest-benchmark makes
    no benchmarks, else why nothing was published. It raises nothing: a gate must not be
    lost by how its figures are shown.

    As with pytest-benchmark itself, rounds that were run are shown and saved whether or
    not the test passes; one that cannot be measured has none to publish. A second
    benchmark of the same name gets a number, since runs are compared by name.
    """
    if not makes_benchmarks(item.config):
        return None
    rounds = [float(duration) for duration in seconds]
    if not rounds or not all(math.isfinite(duration) and duration > 0 for duration in rounds):
        return f"{item.name}[{workload}]: nothing was published: no round, or one of no length"
    try:
        session: Any = item.config.pluginmanager.get_plugin(SESSION)
        taken = {benchmark.fullname for benchmark in session.benchmarks}
        entry = _entry(_measured(item, workload, extra_info, taken), rounds)
        session.benchmarks.append(entry)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}".partition("\n")[0]
        return f"{_version()} is not understood ({problem}); nothing was published"
    return None


def _measured(
    item: pytest.Item, workload: str, extra_info: Mapping[str, object], taken: set[str]
) -> SimpleNamespace:
    """What pytest-benchmark reads of its fixture when a benchmark has run."""
    call = getattr(item, "callspec", None)
    mark = item.get_closest_marker("benchmark")
    place = f"{item.parent.nodeid}::" if item.parent is not None else ""
    name = next(name for name in _names(item.name, workload) if place + name not in taken)
    return SimpleNamespace(
        name=name,
        fullname=place + name,
        group=mark.kwargs.get("group") if mark else None,
        param=call.id if call else None,
        params={"workload": workload, **(call.params if call else {})},
        extra_info=_plain(extra_info),
        cprofile_stats=None,
        has_error=False,
    )


def _names(test: str, workload: str) -> Iterator[str]:
    yield f"{test}[{workload}]"
    number = 2
    while True:
        yield f"{test}[{workload} #{number}]"
        number += 1


def _entry(measured: SimpleNamespace, rounds: list[float]) -> Any:
    """A benchmark as pytest-benchmark keeps it. Raises whatever its insides raise.

    What is read from it at the end of the session is read here first: an error there
    would be the session's.
    """
    metadata: Any = import_module("pytest_benchmark.stats").Metadata(
        measured, iterations=1, options={"timer": "pytest-quantreg"}
    )
    for duration in rounds:
        metadata.update(duration)
    shown = metadata.as_dict(include_data=False, flat=True)
    saved = metadata.as_dict(include_data=True)
    if not metadata or metadata.has_error or saved["stats"]["data"] != rounds:
        raise ValueError("it keeps other rounds than it was given")
    shortest = min(rounds)
    if (metadata["min"], shown["min"], shown["fullname"]) != (
        shortest,
        shortest,
        measured.fullname,
    ):
        raise ValueError("it shows other figures than it was given")
    return metadata


def _plain(value: object) -> object:
    """JSON has no NaN and no infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _version() -> str:
    try:
        version = import_module("pytest_benchmark").__version__
    except (ImportError, AttributeError):
        return "pytest-benchmark"
    return f"pytest-benchmark {version}"
