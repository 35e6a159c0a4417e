"""What JUnit reports get: flat properties of each test case, and a type for what failed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from ..core.records.outcome_row import LOST, REFUSED, UNDECIDED, OutcomeRow, SpeedFigures
from .messages import bare
from .summary_table import of_accepted

PREFIX = "quantreg."
FAILURE = f"{PREFIX}failure"
"""The property that says what kind of failure it was, in the words of `failure_type`."""

EXCUSED = f"{PREFIX}excused"
"""The property of a test suite that names the failed gates which an xfail excused."""

_TEXTS = ("gate", "mode", "category", "part_of")
_FIGURES = (
    *("confidence", "minimum", "maximum", "retention", "low", "high", "baseline", "quantized"),
    *("n", "total_items", "lost", "won", "detectable", "floor", "of_first_accepted", "unjudged"),
    *("baseline_empty", "quantized_empty", "baseline_truncated", "quantized_truncated"),
)
"""The fields of an outcome that JUnit gets, where they are known."""

_SPEED_TEXTS = ("gate", "mode", "category")
_SPEED_FIGURES = ("bound", "value", "low", "high", "baseline", "quantized", "units", "detectable")


def properties(outcomes: Sequence[OutcomeRow]) -> Iterator[tuple[str, object]]:
    """Name and value of each figure: ``quantreg.sum.exact_match.retention`` and the like.

    First what all outcomes of the test share (``quantreg.scheme``, ``quantreg.model``).
    A second outcome of the same name, as of one task asked twice, is numbered:
    ``quantreg.sum.exact_match.2.retention``. What was compared with the run accepted last
    has ``of_accepted`` in its names, and ``baseline`` is that run's score.
    """
    yield from _shared(outcomes)
    seen: Counter[str] = Counter()
    for outcome in outcomes:
        name = _name(outcome)
        seen[name] += 1
        prefix = name if seen[name] == 1 else f"{name}.{seen[name]}"
        yield f"{prefix}.verdict", outcome.result
        if outcome.speed is not None:
            yield from _speed(prefix, outcome, outcome.speed)
        else:
            yield from _present_fields(prefix, outcome, (*_TEXTS, *_FIGURES))
        if outcome.also_lost:
            others = (f"{other.task} {bare(other.metric)}" for other in outcome.also_lost)
            yield f"{prefix}.also_lost", ", ".join(others)
        if outcome.excused:
            yield f"{prefix}.excused", True


def failure_type(outcomes: Sequence[OutcomeRow]) -> str:
    """The type of a failure that these outcomes caused; a refusal outweighs the others."""
    results = {outcome.result for outcome in outcomes}
    for result, name in ((REFUSED, "Refused"), (LOST, "Lost"), (UNDECIDED, "Undecided")):
        if result in results:
            return f"{PREFIX}{name}"
    return f"{PREFIX}Failed"


def typed(xml: bytes, excused: str = "") -> bytes:
    """A JUnit file in which each failure has the type that its test case's property names.

    pytest gives failures no type. ``excused`` says which failed gates an xfail excused: the
    first property of the first test suite. Raises ElementTree.ParseError for what is no XML.
    """
    root = ElementTree.fromstring(xml)
    suite = next(root.iter("testsuite"), None)
    if excused and suite is not None:
        if (listed := suite.find("properties")) is None:
            listed = ElementTree.Element("properties")
            suite.insert(0, listed)
        listed.insert(0, ElementTree.Element("property", name=EXCUSED, value=excused))
    for case in root.iter("testcase"):
        types = [
            element.get("value", "")
            for element in case.iter("property")
            if element.get("name") == FAILURE
        ]
        for failure in (*case.findall("failure"), *case.findall("error")):
            if types:
                failure.set("type", types[-1])
    head = b'<?xml version="1.0" encoding="utf-8"?>'
    return head + ElementTree.tostring(root, encoding="unicode").encode()


def _shared(outcomes: Sequence[OutcomeRow]) -> Iterator[tuple[str, object]]:
    contexts = [outcome.context for outcome in outcomes if outcome.context is not None]
    schemes = dict.fromkeys(outcome.scheme for outcome in outcomes if outcome.scheme)
    yield from ((f"{PREFIX}scheme", scheme) for scheme in [*schemes][:1])
    for name in ("model", "revision", "baseline_scheme", "engine", "machine", "runs_as"):
        values = [value for context in contexts if (value := getattr(context, name))]
        if values:
            yield f"{PREFIX}{name}", values[-1]


def _name(outcome: OutcomeRow) -> str:
    if outcome.speed is not None:
        words = ["speed", outcome.speed.subject, outcome.speed.quantity]
    else:
        accepted = "of_accepted" if of_accepted(outcome) else ""
        words = [outcome.task or "", (outcome.metric or "").removesuffix(",none"), accepted]
    return ".".join(["quantreg", *(word.replace(" ", "_") for word in words if word)])


def _speed(prefix: str, outcome: OutcomeRow, speed: SpeedFigures) -> Iterator[tuple[str, object]]:
    """In the unit of the gate, such as ms."""
    yield from _present_fields(prefix, outcome, _SPEED_TEXTS)
    if speed.bound is not None:
        yield from _present_fields(prefix, outcome, ("confidence",))
    yield from _present_fields(prefix, speed, _SPEED_FIGURES)
    if speed.value is not None:
        yield f"{prefix}.unit", speed.unit


def _present_fields(
    prefix: str, source: object, names: Sequence[str]
) -> Iterator[tuple[str, object]]:
    for name in names:
        if (value := getattr(source, name)) is not None:
            yield f"{prefix}.{name}", value
