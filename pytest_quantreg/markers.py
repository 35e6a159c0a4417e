"""The only reader of markers: what a test declares in, problems or a Plan out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from .core import schemes
from .core.errors import WrongUse
from .core.gates import MIN_RETENTION, Gate, Plan
from .core.settings import GateMode, Settings
from .option_table import GATE_FIXTURES
from .options import check_confidence

_OURS = frozenset({MIN_RETENTION, "quant_schemes", "quant_gate"})


def problems(item: pytest.Item) -> list[str]:
    """What is wrong with the markers of ``item``, one line each, none when all is well."""
    found = [line for level, mark in _levels(item) if (line := _problem(mark, level))]
    return found or _repeated(item) + _unfeedable(item)


def plan(item: pytest.Item, settings: Settings, fixtures: frozenset[str]) -> Plan:
    """The gates that apply to ``item`` when it uses ``fixtures``, nearest first.

    Raises:
        WrongUse: a marker added after collection is wrong.
    """
    gates: list[Gate] = []
    mode, confidence = settings.gate, settings.confidence
    chosen: dict[str, Any] | None = None
    for level, mark in _levels(item):
        value = _read(mark, level)
        if isinstance(value, Gate) and fixtures & set(GATE_FIXTURES[value.marker]):
            gates.append(value)
        if mark.name == "quant_gate" and chosen is None:
            chosen = value
    if chosen is not None:
        mode = chosen["mode"] or mode
        confidence = chosen["confidence"] or confidence
    return Plan(tuple(gates), mode, confidence)


def schemes_for(node: pytest.Item, requested: Sequence[str]) -> tuple[str, ...]:
    """Those of ``requested`` that the nearest ``quant_schemes`` marker leaves."""
    for level, mark in _levels(node):
        if mark.name == "quant_schemes":
            try:
                allowed = _read(mark, level)
            except WrongUse:
                return tuple(requested)  # reported as a collection error by `problems`
            return tuple(name for name in requested if _admits(allowed, name))
    return tuple(requested)


def _admits(allowed: Sequence[schemes.SchemeChoice], name: str) -> bool:
    """``w4a16-int4`` admits every method of it, ``w4a16-int4-gptq`` only itself."""
    choice = schemes.resolve(name)
    return any(
        one.name == choice.name
        or (one.method is None and one.kv is None and one.scheme == choice.scheme)
        for one in allowed
    )


def _levels(item: pytest.Item) -> Iterator[tuple[int, pytest.Mark]]:
    """Our marks with their distance: param 0, test 1, classes, module, packages."""
    callspec = getattr(item, "callspec", None)
    of_param = list(callspec.marks) if callspec is not None else []
    level = 1
    for mark in item.own_markers:
        if mark.name in _OURS:
            yield (0 if any(mark is one for one in of_param) else 1), mark
    for node in reversed(item.listchain()[:-1]):
        for marks in _marks_outwards(node):
            level += 1
            for mark in marks:
                if mark.name in _OURS:
                    yield level, mark


def _marks_outwards(node: pytest.Collector | pytest.Item | Any) -> Iterator[Sequence[pytest.Mark]]:
    """The marks of a collector; those of a class apart from those of its bases."""
    if not isinstance(node, pytest.Class):
        yield node.own_markers
        return
    seen: list[pytest.Mark] = []
    for kind in node.obj.__mro__:
        own = vars(kind).get("pytestmark", [])
        marks = [
            mark.mark if isinstance(mark, pytest.MarkDecorator) else mark
            for mark in (own if isinstance(own, list) else [own])
        ]
        seen += marks
        yield marks
    # add_marker() on the class node stands in no class of the source.
    yield [mark for mark in node.own_markers if not any(mark == one for one in seen)]


def _read(mark: pytest.Mark, level: int) -> Any:
    """A Gate, the settings of quant_gate, or the schemes of quant_schemes."""
    if mark.name == MIN_RETENTION:
        return _min_retention(mark, level)
    if mark.name == "quant_gate":
        return _bind(mark, _quant_gate)
    return _bind(mark, _quant_schemes)


def _problem(mark: pytest.Mark, level: int) -> str | None:
    try:
        _read(mark, level)
    except WrongUse as error:
        return str(error)
    return None


def _bind(mark: pytest.Mark, reader: Callable[..., Any]) -> Any:
    try:
        inspect.signature(reader).bind(*mark.args, **mark.kwargs)
    except TypeError as error:
        raise WrongUse(f"{_show(mark)}: {error}; write {_SIGNATURES[mark.name]}") from None
    try:
        return reader(*mark.args, **mark.kwargs)
    except WrongUse as error:
        raise WrongUse(f"{_show(mark)}: {error.what}", help=error.help) from None


def _min_retention(mark: pytest.Mark, level: int) -> Gate:
    def reader(r: Any, *, task: Any = None, metric: Any = None) -> Gate:
        minimum = _check_retention(r)
        for name, value in (("task", task), ("metric", metric)):
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise WrongUse(f"{name}={value!r}: allowed is a name as lm-eval spells it")
        if task == "*":
            raise WrongUse(
                'task="*" (pooling over tasks) is not built yet; name a task, or leave '
                "task= out to gate each task by itself"
            )
        return Gate(MIN_RETENTION, minimum, task, metric, level)

    gate: Gate = _bind(mark, reader)
    return gate


def _check_retention(r: Any) -> float:
    if isinstance(r, bool) or not isinstance(r, (int, float)) or math.isnan(r):
        raise WrongUse("allowed is a number above 0 and at most 1, e.g. 0.98")
    if 0 < r <= 1:
        return float(r)
    hint = f"did you mean {r / 100:g}? " if 1 < r <= 100 else ""
    raise WrongUse(f"{hint}Allowed is a share of the baseline's score, above 0 and at most 1")


def _quant_gate(mode: Any = None, confidence: Any = None) -> dict[str, Any]:
    if mode is None and confidence is None:
        raise WrongUse("says nothing; give mode=, confidence= or both")
    modes = [one.value for one in GateMode]
    if mode is not None and mode not in modes:
        raise WrongUse(f"mode {mode!r}; allowed are {', '.join(modes)}")
    return {
        "mode": GateMode(mode) if mode is not None else None,
        "confidence": check_confidence(confidence, "confidence")
        if confidence is not None
        else None,
    }


def _quant_schemes(*names: Any) -> tuple[schemes.SchemeChoice, ...]:
    if not names or not all(isinstance(name, str) for name in names):
        raise WrongUse('allowed are scheme names, e.g. quant_schemes("w8a8-fp8", "w4a16-int4")')
    return tuple(schemes.resolve(name) for name in names)


_SIGNATURES = {
    MIN_RETENTION: "min_retention(r, *, task=None, metric=None)",
    "quant_gate": "quant_gate(mode=None, confidence=None)",
    "quant_schemes": "quant_schemes(*names)",
}


def _show(mark: pytest.Mark) -> str:
    words = [repr(arg) for arg in mark.args]
    words += [f"{name}={value!r}" for name, value in mark.kwargs.items()]
    return f"{mark.name}({', '.join(words)})"


def _repeated(item: pytest.Item) -> list[str]:
    """Two different minima of one key at one distance: nobody could say which holds."""
    seen: dict[tuple[object, ...], Gate] = {}
    found = []
    for level, mark in _levels(item):
        gate = _read(mark, level)
        if not isinstance(gate, Gate):
            continue
        key = (gate.marker, gate.task, gate.metric, level)
        first = seen.setdefault(key, gate)
        if first.minimum != gate.minimum:
            found.append(f"{first} and {gate} have the same key at the same place; keep one")
    return found


def _unfeedable(item: pytest.Item) -> list[str]:
    """Gates on the test itself that none of its fixtures can feed."""
    requested = set(getattr(item, "fixturenames", ()))
    found = []
    for level, mark in _levels(item):
        gate = _read(mark, level)
        if isinstance(gate, Gate) and gate.own and not requested & set(GATE_FIXTURES[gate.marker]):
            fixtures = " or ".join(GATE_FIXTURES[gate.marker])
            found.append(
                f"{gate}: the test does not request {fixtures}, which would feed this gate; "
                "add it to the test's arguments"
            )
    return found
