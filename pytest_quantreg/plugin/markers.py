"""The only reader of markers: what a test declares in, problems or a Plan out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import pytest

from ..config.values import BUILT_IN_SCHEMES
from ..core import checks
from ..core.checks import checked, checked_or_none
from ..core.codes import OptionCode
from ..core.errors import WrongUse
from ..core.facts import Fact, Problem, Quoted
from ..core.gates.plan import Plan
from ..core.gates.selection import (
    MAX_PERPLEXITY_RATIO,
    MIN_RETENTION,
    NO_REGRESSION,
    OWN_LEVELS,
    Gate,
    has_same_target,
)
from ..core.gates.speed import SpeedGate
from ..core.hardware.accelerators import words
from ..core.schemes.catalogue import Catalogue
from ..core.schemes.names import SchemeChoice
from ..core.settings import GateMode, Settings
from .misspelt_marks import misspelt
from .option_table import MARKER_FIXTURES, OUR_FIXTURES, OUR_MARKERS
from .speed_markers import SPEED_READERS

QUANT_SCHEMES = "quant_schemes"


def choices(names: Sequence[str], catalogue: Catalogue) -> tuple[SchemeChoice, ...]:
    """What the names stand for. Raises WrongUse for one that nothing quantized has."""
    chosen = tuple(catalogue.choose(name) for name in names)
    for choice in chosen:
        if not choice.is_quantized:
            raise WrongUse(OptionCode.NOT_QUANTIZED, scheme=choice.name)
    return chosen


def admitted(
    names: Sequence[str], requested: Sequence[str], catalogue: Catalogue
) -> tuple[str, ...]:
    """Those of ``requested`` that a test for ``names`` takes. Raises WrongUse as `choices`."""
    allowed = choices(names, catalogue)
    return tuple(name for name in requested if _admits(allowed, catalogue.choose(name), catalogue))


def _admits(allowed: Sequence[SchemeChoice], choice: SchemeChoice, catalogue: Catalogue) -> bool:
    """``w4a16-int4`` admits every method of it and own schemes like it, others themselves."""
    return any(
        allowed_choice.name == choice.name
        or (
            allowed_choice.method is None
            and allowed_choice.kv is None
            and allowed_choice.scheme == choice.scheme
            and not catalogue.is_project_scheme(allowed_choice.name)
        )
        for allowed_choice in allowed
    )


class DeclaredMark(NamedTuple):
    """One of our marks, how far from the test it stands (`Gate.level`) and at what."""

    level: int
    mark: pytest.Mark
    where: str


def problems(
    item: pytest.Item, requested: Sequence[str], catalogue: Catalogue = BUILT_IN_SCHEMES
) -> list[Problem]:
    """What is wrong with the markers of ``item``, nothing when all is well.

    ``requested`` are the schemes under test, ``catalogue`` says what names stand for. Each
    problem is `OptionCode.WRONG_AT` the place of the marker, so that a class's mistake is the
    same for all of its tests.
    """
    declared = list(_declared(item))
    wrong = [
        _at(declaration.where, problem)
        for declaration in declared
        if (problem := _problem(declaration, catalogue)) is not None
    ]
    wrong += _misspelt(item, getattr(item, "fixturenames", ()))
    if _parametrizes_scheme(item, requested):
        wrong.append(_at(_name_of(item), Problem(OptionCode.SCHEME_PARAMETRIZED, {})))
    return wrong or [
        *_repeated(declared, catalogue),
        *_unfeedable(item, declared),
        *_uncovered(item, declared),
    ]


def plan(
    item: pytest.Item,
    settings: Settings,
    fixtures: frozenset[str],
    declared: Sequence[DeclaredMark] | None = None,
) -> Plan:
    """The gates that apply to ``item`` when it uses ``fixtures``, nearest first.

    ``declared`` are the marks it carried at some moment; without, those it carries now.

    A gate on the test itself applies whatever it used, so that one which nothing fed is
    refused. Raises WrongUse for a marker that was added after collection and is wrong.
    """
    gates: list[Gate | SpeedGate] = []
    modes: list[GateMode] = []
    confidences: list[float] = []
    if declared is None and (slips := _misspelt(item, fixtures)):
        raise WrongUse(OptionCode.WRONG_AT, **slips[0].facts)
    for declaration in _declared(item) if declared is None else declared:
        value = _read(declaration)
        if isinstance(value, (Gate, SpeedGate)) and (
            value.is_on_test or fixtures & MARKER_FIXTURES[value.marker]
        ):
            gates.append(value)
        elif isinstance(value, _Judging):
            modes += [value.mode] if value.mode is not None else []
            confidences += [value.confidence] if value.confidence is not None else []
    # Marker before command line before ini before default; of markers the nearest.
    return Plan.of(
        gates,
        mode=[*modes, settings.gate][0],
        confidence=[*confidences, settings.confidence][0],
        family=settings.family,
    )


def carried(item: pytest.Item) -> tuple[DeclaredMark, ...]:
    """The marks of ours that ``item`` carries now, nearest first."""
    return tuple(_declared(item))


def schemes_for(
    item: pytest.Item, requested: Sequence[str], catalogue: Catalogue = BUILT_IN_SCHEMES
) -> tuple[str, ...]:
    """Those of ``requested`` that the nearest ``quant_schemes`` marker leaves."""
    for declaration in _declared(item):
        if declaration.mark.name == QUANT_SCHEMES:
            try:
                return admitted(_read_names(declaration), requested, catalogue)
            except WrongUse:
                return tuple(requested)  # told as a collection error, by `problems`
    return tuple(requested)


def parametrizes_scheme(item: pytest.Item) -> bool:
    """Whether a ``parametrize`` mark of the test names the fixture quant_scheme."""
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        listed = names.split(",") if isinstance(names, str) else names
        if "quant_scheme" in (str(name).strip() for name in listed):
            return True
    return False


def _parametrizes_scheme(item: pytest.Item, requested: Sequence[str]) -> bool:
    """The same, and for values that a hook of the user's own gave to the fixture."""
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec is not None else {}
    foreign = "quant_scheme" in params and params["quant_scheme"] not in requested
    return foreign or parametrizes_scheme(item)


# -- where markers stand -------------------------------------------------------------


def _declared(item: pytest.Item, names: Container[str] = OUR_MARKERS) -> Iterator[DeclaredMark]:
    """Our marks, nearest first: param 0, test 1, then classes, module, folders."""
    callspec = getattr(item, "callspec", None)
    of_param = list(callspec.marks) if callspec is not None else []
    own_marks = [mark for mark in item.own_markers if mark.name in names]
    for mark in own_marks:
        if any(mark is param_mark for param_mark in of_param):
            yield DeclaredMark(0, mark, _name_of(item))
    for mark in own_marks:
        if not any(mark is param_mark for param_mark in of_param):
            yield DeclaredMark(1, mark, _name_of(item))
    level = 1
    for node in reversed(item.listchain()[:-1]):
        for where, marks in _marks_outwards(node):
            level += 1
            for mark in marks:
                if mark.name in names:
                    yield DeclaredMark(level, mark, where)


def _misspelt(item: pytest.Item, fixtures: Iterable[str]) -> list[Problem]:
    """Marks that were probably meant to be ours, on a test that uses a fixture of ours."""
    if OUR_FIXTURES.isdisjoint(fixtures):
        return []
    slips = misspelt(item.config, {mark.name for mark in item.iter_markers()})
    return [
        _at(declaration.where, slips[declaration.mark.name])
        for declaration in _declared(item, slips)
    ]


def _at(where: str, cause: Problem) -> Problem:
    return Problem(OptionCode.WRONG_AT, {"where": where, "cause": cause})


def _name_of(item: pytest.Item) -> str:
    """The test without its parameters, for they repeat one mistake many times."""
    name = getattr(item, "originalname", None) or item.name
    return f"{item.parent.nodeid}::{name}" if item.parent is not None else name


def _marks_outwards(node: Any) -> Iterator[tuple[str, Sequence[pytest.Mark]]]:
    """The marks of a collector; those of a class apart from those of its bases."""
    if not isinstance(node, pytest.Class):
        yield node.nodeid, node.own_markers
        return
    seen: list[pytest.Mark] = []
    for kind in node.obj.__mro__:
        class_marks = vars(kind).get("pytestmark", [])
        marks = [
            mark.mark if isinstance(mark, pytest.MarkDecorator) else mark
            for mark in (class_marks if isinstance(class_marks, list) else [class_marks])
        ]
        seen += marks
        yield (node.nodeid if kind is node.obj else f"class {kind.__qualname__}"), marks
    # add_marker() on the class node stands in no class of the source.
    yield node.nodeid, [mark for mark in node.own_markers if mark not in seen]


# -- what markers say ----------------------------------------------------------------


class _Judging(NamedTuple):
    """What ``quant_gate`` changes; None leaves the session's."""

    mode: GateMode | None
    confidence: float | None


_MarkerValue: TypeAlias = "Gate | SpeedGate | _Judging | tuple[str, ...]"
"""What a marker says."""


def _problem(declaration: DeclaredMark, catalogue: Catalogue) -> Problem | None:
    try:
        if declaration.mark.name != QUANT_SCHEMES:
            _read(declaration)
            return None
        names = _read_names(declaration)
    except WrongUse as error:
        return error.problem
    try:
        choices(names, catalogue)
    except WrongUse as error:
        return _at(_show(declaration.mark), error.problem)
    return None


def _read(declaration: DeclaredMark) -> _MarkerValue:
    """What a marker says. Raises WrongUse naming marker, value and what is allowed."""
    mark = declaration.mark
    signature, reader = _READERS[mark.name]
    try:
        try:
            inspect.signature(reader).bind(declaration.level, *mark.args, **mark.kwargs)
        except TypeError as error:
            raise WrongUse(
                OptionCode.WRONG_SIGNATURE, error=Quoted(str(error)), signature=signature
            ) from None
        value: _MarkerValue = reader(declaration.level, *mark.args, **mark.kwargs)
    except WrongUse as error:
        raise WrongUse(OptionCode.WRONG_AT, where=_show(mark), cause=error.problem) from None
    return value


def _read_names(declaration: DeclaredMark) -> tuple[str, ...]:
    """The names in a ``quant_schemes`` marker. Raises WrongUse."""
    names = _read(declaration)
    return names if isinstance(names, tuple) and not isinstance(names, _Judging) else ()


def _show(mark: pytest.Mark) -> str:
    words = [repr(arg) for arg in mark.args]
    words += [f"{name}={value!r}" for name, value in mark.kwargs.items()]
    return f"{mark.name}({', '.join(words)})"


def _min_retention(level: int, /, r: Any, *, task: Any = None, metric: Any = None) -> Gate:
    minimum = checks.check_retention(r)
    return Gate(MIN_RETENTION, minimum, *_selectors(task, metric), level)


def _no_regression(
    level: int, /, margin: Any = 0.99, *, task: Any = None, metric: Any = None
) -> Gate:
    minimum = checks.check_retention(margin, example=0.99)
    return Gate(NO_REGRESSION, minimum, *_selectors(task, metric), level)


def _selectors(task: Any, metric: Any) -> tuple[str | None, str | None]:
    return (
        checked_or_none("task", task, checks.check_name),
        checked_or_none("metric", metric, checks.check_name),
    )


def _max_perplexity_ratio(level: int, /, x: Any) -> Gate:
    return Gate(MAX_PERPLEXITY_RATIO, checks.check_perplexity_ratio(x), None, None, level)


def _quant_gate(_level: int, /, mode: Any = None, confidence: Any = None) -> _Judging:
    if mode is None and confidence is None:
        raise WrongUse(OptionCode.EMPTY_QUANT_GATE)
    modes = [gate_mode.value for gate_mode in GateMode]
    return _Judging(
        GateMode(checked("mode", mode, checks.check_choice, allowed=modes))
        if mode is not None
        else None,
        checked_or_none("confidence", confidence, checks.check_confidence),
    )


def _quant_schemes(_level: int, /, *names: Any) -> tuple[str, ...]:
    """The names as written; what they stand for, a session's catalogue says."""
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise WrongUse(OptionCode.EXPECTED_SCHEME_NAMES)
    return names


_READERS: dict[str, tuple[str, Callable[..., Any]]] = {
    MIN_RETENTION: ("min_retention(r, *, task=None, metric=None)", _min_retention),
    NO_REGRESSION: ("no_regression(margin=0.99, *, task=None, metric=None)", _no_regression),
    MAX_PERPLEXITY_RATIO: ("max_perplexity_ratio(x)", _max_perplexity_ratio),
    "quant_gate": ("quant_gate(mode=None, confidence=None)", _quant_gate),
    QUANT_SCHEMES: ("quant_schemes(*names)", _quant_schemes),
    **SPEED_READERS,
}


# -- what markers say together -------------------------------------------------------


def _repeated(declared: Sequence[DeclaredMark], catalogue: Catalogue) -> list[Problem]:
    """Two different values of one key at one place: nobody could say which holds.

    Of thresholds on speed also two alike: one of them was meant for another accelerator.
    """
    seen: dict[tuple[object, ...], tuple[object, str]] = {}
    problems = []
    for declaration in declared:
        shown = _show(declaration.mark)
        for key, value in _keyed(_read(declaration), catalogue):
            place = (declaration.mark.name, declaration.level, *key)
            twice = place in seen and declaration.mark.name in SPEED_READERS
            first, first_shown = seen.setdefault(place, (value, shown))
            both: dict[str, Fact] = {"first": first_shown, "second": shown}
            if first != value:
                problem = Problem(OptionCode.CONTRADICTORY_MARKERS, both)
                problems.append(_at(declaration.where, problem))
            elif twice:
                problem = Problem(OptionCode.EQUAL_SPEED_MARKERS, both)
                problems.append(_at(declaration.where, problem))
    return problems


def _keyed(value: Any, catalogue: Catalogue) -> list[tuple[tuple[object, ...], object]]:
    """(key, value) of each thing that a marker decides."""
    if isinstance(value, Gate):
        return [((value.task, value.metric), value.bound)]
    if isinstance(value, SpeedGate):
        accelerator = frozenset(words(value.gpu)) if value.gpu is not None else None
        return [((*value.key, accelerator), value.bound)]
    if isinstance(value, _Judging):
        return [
            ((name,), setting) for name, setting in value._asdict().items() if setting is not None
        ]
    return [((), tuple(choice.name for choice in choices(value, catalogue)))]


def _unfeedable(item: pytest.Item, declared: Sequence[DeclaredMark]) -> list[Problem]:
    """Markers on the test itself for what none of its fixtures can measure."""
    requested = set(getattr(item, "fixturenames", ()))
    if _may_request_later(item):
        return []
    problems = []
    for declaration in declared:
        fixtures = MARKER_FIXTURES[declaration.mark.name]
        if declaration.level in OWN_LEVELS and not requested & fixtures:
            lacking: dict[str, Fact] = {"fixtures": tuple(sorted(fixtures))}
            problem = Problem(OptionCode.FIXTURE_NOT_REQUESTED, lacking)
            problems.append(_at(declaration.where, _at(_show(declaration.mark), problem)))
    return problems


def _uncovered(item: pytest.Item, declared: Sequence[DeclaredMark]) -> list[Problem]:
    """no_regression without a gate on the original baseline: small steps would add up."""
    requested = set(getattr(item, "fixturenames", ()))
    gates = [
        (declaration, value)
        for declaration in declared
        if isinstance(value := _read(declaration), Gate)
    ]
    covering = [gate for _, gate in gates if gate.marker == MIN_RETENTION]
    alone = Problem(OptionCode.NO_MIN_RETENTION_BESIDE, {})
    return [
        _at(_name_of(item), _at(_show(declaration.mark), alone))
        for declaration, gate in gates
        if gate.of_accepted
        and (gate.is_on_test or requested & MARKER_FIXTURES[gate.marker])
        and not any(has_same_target(other, gate) for other in covering)
    ]


def _may_request_later(item: pytest.Item) -> bool:
    """Whether the test itself asks for ``request``, whose getfixturevalue needs no names."""
    function = getattr(item, "function", None)
    return function is not None and "request" in inspect.signature(function).parameters
