"""Backends are found by name, built in or brought by another package."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from pytest_quantreg import backends
from pytest_quantreg.backends import find, names
from pytest_quantreg.backends.llamacpp import LlamacppBackend
from pytest_quantreg.backends.openai import OpenaiBackend
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.backends.vllm import VllmBackend
from pytest_quantreg.core.engine import Backend, Engine
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.testing.scripted import Script, ScriptedBackend, ScriptedEngine

from ..wording import says, wrong_use


def test_built_in_backends_are_found(tmp_path: Path) -> None:
    """Each name gives the backend of that name."""
    assert find("transformers", cache_dir=tmp_path).name == "transformers"
    assert find("scripted", cache_dir=tmp_path).name == "scripted"
    assert "transformers" in names()
    assert "scripted" not in names()


def test_backends_keep_to_the_protocols(tmp_path: Path) -> None:
    """The type checker holds each backend and engine against the Protocols."""
    built: list[Backend] = [
        TransformersBackend(cache_dir=tmp_path),
        VllmBackend(cache_dir=tmp_path),
        OpenaiBackend(cache_dir=tmp_path),
        LlamacppBackend(cache_dir=tmp_path),
        ScriptedBackend(cache_dir=tmp_path),
    ]
    engines: list[Engine] = [ScriptedEngine(ModelSpec("x", "x", "native", "scripted"), Script())]
    assert [backend.name for backend in built] == [*backends.BUILT_IN, "scripted"]
    assert engines[0].effective.quantized_layers == 0


def test_unknown_backends_list_the_known(tmp_path: Path) -> None:
    """A misspelt name is answered with the names there are."""
    with wrong_use("unknown backend 'transfomers'") as caught:
        find("transfomers", cache_dir=tmp_path)
    assert "transformers" in says(caught.value)


def test_third_parties_bring_backends_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry point of our group is called with the cache; a broken one is wrong use."""
    target = "pytest_quantreg.testing.scripted:ScriptedBackend"
    points = [
        EntryPoint("mine", target, backends.GROUP),
        EntryPoint("torn", "no_such_package_here:Backend", backends.GROUP),
    ]
    monkeypatch.setattr(backends, "entry_points", lambda group: points)
    assert find("mine", cache_dir=tmp_path).name == "scripted"
    assert {"mine", "torn", "transformers"} <= set(names())
    with wrong_use("cannot be imported"):
        find("torn", cache_dir=tmp_path)


@pytest.mark.parametrize("name", ["transformers", "scripted"])
def test_finding_a_backend_imports_no_engine(name: str) -> None:
    """Torch and its kin are imported when a model is looked at, not when it is named."""
    code = (
        "import sys, pathlib; from pytest_quantreg.backends import find\n"
        f"backend = find({name!r}, cache_dir=pathlib.Path('x')); backend.software()\n"
        "heavy = {'torch', 'transformers', 'lm_eval', 'llmcompressor', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
