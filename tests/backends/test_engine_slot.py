"""One engine at a time: reuse, eviction before loading, nothing held after a failure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantreg.backends import find
from pytest_quantreg.backends.engine_slot import EngineSlot
from pytest_quantreg.core.engine import Backend
from pytest_quantreg.core.errors import Refusal
from pytest_quantreg.core.records.run import ModelSpec


@pytest.fixture
def scripted(tmp_path: Path) -> Backend:
    """The scripted backend, whose engines log loading and closing."""
    return find("scripted", cache_dir=tmp_path / "cache")


@pytest.fixture
def specs(tmp_path: Path) -> list[ModelSpec]:
    """A baseline and a quantized model that log into one file."""
    made = []
    for scheme in ("native", "w8a8-int8"):
        folder = tmp_path / scheme
        folder.mkdir()
        script = {"log": "../events.log", "scheme": None if scheme == "native" else scheme}
        (folder / "scripted.json").write_text(json.dumps(script))
        made.append(ModelSpec(str(folder), "tiny", scheme, "scripted"))
    return made


def events(tmp_path: Path) -> list[str]:
    """What happened so far."""
    return (tmp_path / "events.log").read_text().splitlines()


def test_the_same_spec_is_the_same_engine(scripted: Backend, specs: list[ModelSpec]) -> None:
    """Asking again loads nothing, also for an equal spec under another name."""
    slot = EngineSlot()
    first = slot.acquire(specs[0], scripted, print)
    assert slot.acquire(replace(specs[0], name="alias"), scripted, print) is first
    assert dict(slot.loads) == {"tiny native": 1}


def test_evicts_before_it_loads(scripted: Backend, specs: list[ModelSpec], tmp_path: Path) -> None:
    """The held engine is closed before the next is loaded, and loads are counted."""
    slot = EngineSlot()
    for spec in (specs[0], specs[1], specs[0]):
        slot.acquire(spec, scripted, print)
    slot.close()
    slot.close()
    assert events(tmp_path) == [
        "loaded tiny native",
        "closed tiny native",
        "loaded tiny w8a8-int8",
        "closed tiny w8a8-int8",
        "loaded tiny native",
        "closed tiny native",
    ]
    assert dict(slot.loads) == {"tiny native": 2, "tiny w8a8-int8": 1}
    assert set(slot.load_seconds) == set(slot.loads)
    assert slot.engine is None


def test_other_arguments_are_another_engine(scripted: Backend, specs: list[ModelSpec]) -> None:
    """The same files with another dtype are loaded again."""
    slot = EngineSlot()
    first = slot.acquire(specs[0], scripted, print)
    assert slot.acquire(replace(specs[0], args={"dtype": "float32"}), scripted, print) is not first


def test_a_failed_load_leaves_nothing_held(
    scripted: Backend, specs: list[ModelSpec], tmp_path: Path
) -> None:
    """The engine before it is closed, nothing is held or counted, and the slot works on."""
    slot = EngineSlot()
    slot.acquire(specs[0], scripted, print)
    script = tmp_path / "w8a8-int8" / "scripted.json"
    script.write_text(json.dumps({"fail": {"kind": "out_of_memory", "at": "load"}}))
    with pytest.raises(Refusal):
        slot.acquire(specs[1], scripted, print)
    assert slot.engine is None
    assert dict(slot.loads) == {"tiny native": 1}
    slot.acquire(specs[0], scripted, print)
    assert dict(slot.loads) == {"tiny native": 2}
