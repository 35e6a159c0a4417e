"""Which loads count as the same model within one session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import (
    EffectiveScheme,
    Machine,
    ModelIdentity,
    ModelSpec,
    Software,
)
from pytest_quantreg.core.schemes.catalogue import Catalogue
from pytest_quantreg.gating.engine_session import EngineSession, LoadedModel

from ..wording import refused, says

SPEC = ModelSpec("/m", "m", "w8a8-int8", "scripted")
IDENTITY = ModelIdentity("m", None, "A", 8, {}, "bfloat16", "t", None, "w")
EFFECTIVE = EffectiveScheme("w8a8-int8", "int8", "int8", "bfloat16", "kernel", "native", 1, 1)
MACHINE, SOFTWARE = Machine("cpu", "CPU"), Software("scripted", {})


@pytest.fixture
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes benches of sessions of their own, whose model runs as it is told."""

    def made(effective: EffectiveScheme) -> EngineSession:
        settings: Any = SimpleNamespace(
            cache_dir=tmp_path, catalogue=Catalogue(), backend="scripted"
        )
        progress: Any = SimpleNamespace(say=lambda text: None)
        session = EngineSession(settings, progress)
        monkeypatch.setattr(session, "identify", lambda spec: IDENTITY)
        monkeypatch.setattr(session, "software", lambda spec: SOFTWARE)
        monkeypatch.setattr(session, "load", lambda spec: LoadedModel(effective, MACHINE, SOFTWARE))
        return session

    return made


def test_a_session_resumes_another(engines: Any) -> None:
    """What weights were read of is the same model the next time."""
    assert engines(EFFECTIVE)._fingerprint(SPEC) == engines(EFFECTIVE)._fingerprint(SPEC)


def test_a_server_is_resumed_by_nobody(engines: Any) -> None:
    """Behind the same address there may be another model: its answers are of one session."""
    served = replace(EFFECTIVE, mode="unverified")
    first, other = engines(served), engines(served)
    assert first._fingerprint(SPEC) == first._fingerprint(SPEC)
    assert first._fingerprint(SPEC) != other._fingerprint(SPEC)


def test_a_model_that_is_loaded_again_is_the_same(
    engines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fell back to another kernel or device is refused: half of it was measured."""
    loads: Iterator[EffectiveScheme] = iter(
        [EFFECTIVE, EFFECTIVE, replace(EFFECTIVE, scheme="w8a16-int8")]
    )

    def acquire(*_: Any) -> Any:
        return SimpleNamespace(effective=next(loads), machine=MACHINE)

    session = engines(EFFECTIVE)
    monkeypatch.setattr(session.slot, "acquire", acquire)
    session.engine_of(SPEC)
    session.engine_of(SPEC)
    with refused("loaded again and is another now") as caught:
        session.engine_of(SPEC)
    assert caught.value.category is Category.ENGINE
    assert "w8a16-int8" in says(caught.value)
