"""What failures of llama.cpp say; without llama.cpp, whose part is played here."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.backends.llamacpp import quantize
from pytest_quantreg.backends.llamacpp.lm import LlamacppLM
from pytest_quantreg.core.codes import Category, EngineCode
from pytest_quantreg.core.facts import Fact, Problem, Quoted
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.report.words import words_of

from ...wording import refused, says

SPEC = ModelSpec("m.gguf", "m", "gguf-q8_0", "llamacpp", quantize=True)


@pytest.mark.parametrize(
    ("status", "stderr", "category", "words"),
    [
        (1, "main: failed to quantize: no such type\n", Category.ENGINE, "no such type"),
        (1, "first\n\nlast\n", Category.ENGINE, "failed: last"),
        (3, "", Category.ENGINE, "failed: exit status 3"),
        (1, "std::bad_alloc\n", Category.OUT_OF_MEMORY, "failed: out of memory"),
        (-9, "", Category.OUT_OF_MEMORY, "failed: out of memory"),
    ],
)
def test_making_fails(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    stderr: str,
    category: Category,
    words: str,
) -> None:
    """The line that names the cause, else the exit status; memory is a category of its own."""
    ended = CompletedProcess(["llama"], status, stdout="", stderr=stderr)
    monkeypatch.setattr(quantize, "run_in_process", lambda *_: ended)
    with refused(words) as caught:
        quantize._run(SPEC, tmp_path / "m.gguf", tmp_path / "made.gguf", "gguf-q8_0")
    assert caught.value.category is category
    assert says(caught.value).startswith("making gguf-q8_0 of m failed: ")
    assert "--quant-checkpoint=gguf-q8_0=FILE.gguf" in says(caught.value)


def test_answers_that_leave_no_room() -> None:
    """A limit of new tokens that fills the context is refused before anything is computed."""
    native: Any = SimpleNamespace(
        adds_bos=False, bos=-1, eos=0, tokenize=lambda text, bos: [1] * len(text)
    )
    request = SimpleNamespace(args=("abc", {"max_gen_toks": 16}))
    lm = LlamacppLM(native, limit=16, add_bos=None)
    with refused("16 new tokens leave no room for the prompt in 16") as caught:
        lm.generate_until([request])
    assert caught.value.category is Category.WRONG_USE


@pytest.mark.parametrize(
    ("said", "headline"),
    [
        (Quoted("no {tensor}"), "m: llama.cpp cannot load it: no {tensor}"),
        (None, "m: llama.cpp cannot load it"),
    ],
)
def test_a_file_that_is_not_loaded(said: Fact, headline: str) -> None:
    """llama.cpp's own words follow where it logged any."""
    problem = Problem(EngineCode.LLAMACPP_CANNOT_LOAD, {"model": "m", "said": said})
    assert words_of(problem).what == headline
