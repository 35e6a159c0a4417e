"""`quantreg inspect` of GGUF files, as a person types it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_quantreg.cli import main
from tests.backends.gguf.gguf_samples import write_gguf

MIXED = {"attn_q": "Q4_K", "attn_output": "Q4_K", "ffn_up": "Q4_K", "ffn_down": "Q6_K"}


def test_a_sound_file_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Kinds, types with their bits, scheme and kernels stand on a page of 80 columns."""
    path = write_gguf(tmp_path / "tiny-q4.gguf", MIXED, file_type=15)
    assert main(["inspect", str(path), "--gpu", "A40"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("tiny-q4: llama, 789,760 parameters,\n")
    rows = [" ".join(line.split()) for line in page.splitlines()]
    assert "attention 262,144 147.5 kB q4_k, 4.5 bits" in rows
    assert "mlp 262,144 215.0 kB q6_k, 6.562 bits" in rows
    assert "embeddings 2,560 5.1 kB fp16" in rows
    assert "scheme gguf-q4_k_m" in rows
    assert "file says Q4_K_M" in rows
    assert "quantized 8 of 8 linear layers" in rows
    assert "left alone embeddings, norms" in rows
    assert any(row.startswith("llamacpp") and "native" in row for row in rows)
    assert rows[-1] == "No contradictions between file type, tensors and scales."
    assert max(map(len, page.splitlines())) <= 80


@pytest.mark.parametrize(
    ("types", "file_type", "scale", "said"),
    [
        ("F16", 15, 0.01, "general.file_type says Q4_K_M, but none of the layers is quantized"),
        ("Q8_0", 7, 0.0, "scales are all zero: blk.0.attn_q.weight,"),
        ("Q8_0", 7, float("nan"), "scales are NaN or infinite: blk.0.attn_q.weight,"),
        ("Q6_K", 18, 1.0, "weight scales are all one, as if nothing had been scaled"),
    ],
)
def test_contradictions_exit_1(
    types: str,
    file_type: int,
    scale: float,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A name that the tensors do not bear out, and scales that cannot be, are named."""
    path = write_gguf(tmp_path / "odd.gguf", types, file_type=file_type, scale=scale)
    assert main(["inspect", str(path)]) == 1
    page = " ".join(capsys.readouterr().out.split())
    assert "1 contradiction: " in page
    assert said in page


def test_what_cannot_be_read_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Torn files and folders of files are one clear line each."""
    path = write_gguf(tmp_path / "torn.gguf", "Q8_0", file_type=7)
    path.write_bytes(path.read_bytes()[:-1024])
    assert main(["inspect", str(path)]) == 2
    assert "torn.gguf is torn: the data of blk.1.ffn_down.weight end" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path)]) == 2
    assert "is a folder, and a model of llama.cpp is a file" in capsys.readouterr().err


def test_without_the_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names the package that is missing, one how to install it."""
    path = write_gguf(tmp_path / "m.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert main(["inspect", str(path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "quantreg inspect: reading GGUF files needs the package 'gguf', which is not installed",
        '  install it with: pip install "pytest-quantreg[llamacpp]"',
    ]
