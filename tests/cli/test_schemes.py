"""`quantreg schemes`: the list, one scheme in full, what a backend makes, and own schemes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantreg.cli import main
from pytest_quantreg.core.schemes.names import SCHEMES
from pytest_quantreg.core.schemes.on_the_fly import MAKINGS

NAMES = [scheme.name for scheme in SCHEMES if scheme.is_quantized]
OWN = """
[tool.quantreg.schemes.our-int4]
like = "w4a16-int4-gptq"
title = "tuned on our own texts"
aliases = ["o4"]
retention = 0.975
source = "report of May: 8 tasks, 12,000 items"

[tool.quantreg.schemes.our-int3]
weights = { type = "int", bits = 3, granularity = "group", group_size = 64 }

[tool.quantreg.schemes.quick]
like = "w8a8-fp8"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, below one whose pyproject.toml defines three schemes."""
    (tmp_path / "pyproject.toml").write_text(OWN, "utf-8")
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    return inner


def page(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> list[str]:
    """The lines that the command prints, on standard error where it fails."""
    assert main(["schemes", *words]) == status
    printed = capsys.readouterr()
    assert (printed.out == "") is bool(status)
    return (printed.err if status else printed.out).splitlines()


@pytest.mark.parametrize(
    "words", [(), *((name,) for name in NAMES), *(("--backend", name) for name in MAKINGS)]
)
def test_pages_fit_a_terminal(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], folder: Path
) -> None:
    """Every page of built-in and own schemes is at most 80 columns wide."""
    assert max(map(len, page(capsys, *words))) <= 80


def test_own_schemes_follow_the_built_in(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The nearest pyproject.toml's schemes stand below, with their aliases and figures."""
    lines = page(capsys, "--aliases")
    rows = {line.split()[0]: line.split()[1:] for line in lines if line and line[0] != " "}
    assert list(rows)[1 : len(NAMES) + 4] == [*NAMES, "our-int4", "our-int3", "quick"]
    assert rows["our-int4"] == ["like", "w4a16-int4-gptq", "0.975"]
    assert rows["our-int3"] == ["int3", "in", "groups", "of", "64", "unquantized", "-"]
    assert lines[lines.index("    also o4") - 1].startswith("our-int4")


def test_published_figures_are_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    """The lowest figure of each, a hyphen where nothing is known."""
    last = {line.split()[0]: line.split()[-1] for line in page(capsys)[: len(NAMES) + 1]}
    assert last["scheme"] == "published"
    assert last["w4a16-int4"] == "0.961"
    assert last["w8a8-fp8"] == "-"


def test_one_scheme_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """What it holds, how each backend comes by it, who published what, and a suggestion."""
    lines = page(capsys, "INT4")
    assert lines[0] == "w4a16-int4: int4 weights in groups"
    assert "weights      int4 in groups of 128" in lines
    assert "transformers  made with llm-compressor (round-to-nearest), or a checkpoint" in lines
    assert "    0.961  OpenLLM v2" in lines
    assert "  arXiv 2411.02355: Llama 3.1" in lines
    assert "    rivals 8 bits" in lines
    assert "To start with: @pytest.mark.min_retention(0.96)" in lines
    assert any(line.startswith("A suggestion, not evidence about your model") for line in lines)


def test_an_ambiguous_name_says_how_it_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    """A name for more than one scheme is read as one, and the page says which else."""
    lines = page(capsys, "fp8")
    assert lines[1].startswith("fp8 is read as w8a8-fp8; write w8a16-fp8 or w8a8-fp8-block")
    assert "    effectively lossless" in lines
    assert not any("min_retention" in line for line in lines), "there is no figure for it"


def test_nothing_published_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A scheme without figures says so and suggests nothing."""
    lines = page(capsys, "q8_0")
    assert lines[-1] == "Nothing that was published of gguf-q8_0 is listed here."


def test_an_own_scheme_in_full(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Its title, what it is like, its own figure and source; a tuned method is not made."""
    lines = page(capsys, "O4")
    assert lines[0] == "our-int4: tuned on our own texts"
    assert lines[1] == "defined in pyproject.toml as w4a16-int4-gptq"
    assert "transformers  a checkpoint" in lines
    assert "retention 0.975: report of May: 8 tasks, 12,000 items" in lines
    assert "To start with: @pytest.mark.min_retention(0.97)" in lines


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("w4a16-int4", "made with llm-compressor (round-to-nearest), or a checkpoint"),
        ("w4a16-int4-rtn", "made with llm-compressor (round-to-nearest), or a checkpoint"),
        ("w4a16-int4-awq", "a checkpoint"),
        ("w8a8-fp8+kv-fp8", "a checkpoint"),
        ("bnb-nf4", "made by bitsandbytes at load, or a checkpoint"),
        ("gguf-q8_0", "no: GGUF files are for llamacpp"),
        ("quick", "made with llm-compressor (round-to-nearest), or a checkpoint"),
        ("our-int3", "a checkpoint"),
    ],
)
def test_how_transformers_comes_by_it(
    capsys: pytest.CaptureFixture[str], folder: Path, name: str, how: str
) -> None:
    """Rounded, at load, from a checkpoint or not at all; suffixes and own schemes count."""
    assert f"transformers  {how}" in page(capsys, name)


def test_a_quantized_cache_with_each_backend(capsys: pytest.CaptureFixture[str]) -> None:
    """vLLM quantizes the cache of what it makes at load; llama.cpp is not known to at all."""
    lines = page(capsys, "w8a8-fp8+kv-fp8")
    assert "vllm          made by vLLM at load, or a checkpoint" in lines
    assert "vllm          a checkpoint" in page(capsys, "w8a8-int8+kv-fp8")
    assert "llamacpp      no: it is not known to run an FP8 KV cache" in lines
    assert "KV cache     fp8" in lines


def test_a_backend_lists_every_scheme(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """One line each, own schemes among them."""
    lines = page(capsys, "--backend", "transformers")
    assert lines[0].split() == ["scheme", "with", "transformers"]
    listed = {line.split()[0]: line.split(None, 1)[1] for line in lines[1 : len(NAMES) + 4]}
    assert list(listed) == [*NAMES, "our-int4", "our-int3", "quick"]
    assert listed["our-int4"] == "a checkpoint"
    assert listed["w4a4-nvfp4"] == "a checkpoint"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--backend", "vlm"), "--backend=vlm: known are transformers, vllm, *did you mean vllm?"),
        (("our-int5",), "unknown scheme 'our-int5'"),
        (("our-int5",), "nearest: our-int4, our-int3"),
    ],
)
def test_unknown_names_exit_2(
    capsys: pytest.CaptureFixture[str], folder: Path, words: tuple[str, ...], message: str
) -> None:
    """What is known and what is nearest, own names among them."""
    first, _, second = message.partition("*")
    told = "\n".join(page(capsys, *words, status=2))
    assert told.startswith("quantreg schemes: ")
    assert first in told
    assert second in told


def test_a_mistake_in_the_file_exits_2(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The command names the place, as pytest does."""
    (folder / "pyproject.toml").write_text("[tool.quantreg.schemes.a]\nlik = 'fp8'", "utf-8")
    (line,) = page(capsys, status=2)
    assert line.startswith("quantreg schemes: pyproject.toml [tool.quantreg.schemes.a] lik: no")
