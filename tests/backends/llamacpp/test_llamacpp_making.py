"""Quantized files are made once, kept whole, and made anew when they were damaged."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_quantreg.backends.llamacpp import LlamacppBackend
from pytest_quantreg.core.records.run import ModelSpec

from ...wording import wrong_use


def spec(path: Path, scheme: str = "gguf-q8_0", name: str = "org/tiny") -> ModelSpec:
    """A model that is to be made."""
    return ModelSpec(str(path), name, scheme, "llamacpp", quantize=True)


def test_a_file_is_made_once(f16: Path, tmp_path: Path) -> None:
    """The second time it is taken from the cache, and nothing is announced."""
    backend = LlamacppBackend(cache_dir=tmp_path)
    lines: list[str] = []
    first = backend.prepare(spec(f16), lines.append)
    assert lines == [
        "quantizing org/tiny to gguf-q8_0: Q8_0 by llama.cpp, from F16, without an "
        "importance matrix"
    ]
    assert backend.prepare(spec(f16), lines.append) == first
    assert len(lines) == 1
    assert backend.stored_scheme(first) == "gguf-q8_0"
    assert not first.quantize
    manifest = json.loads((Path(first.ref).parent / "quantreg.json").read_text(encoding="utf-8"))
    assert manifest["file_type"] == "Q8_0"
    assert [path.name for path in tmp_path.iterdir()] == [Path(first.ref).parent.name]


def test_a_damaged_file_is_made_anew(f16: Path, tmp_path: Path) -> None:
    """A cached file that is not what its manifest says is not used."""
    first = LlamacppBackend(cache_dir=tmp_path).prepare(spec(f16), lambda _: None)
    whole = Path(first.ref).read_bytes()
    Path(first.ref).write_bytes(whole[:-100])
    lines: list[str] = []
    again = LlamacppBackend(cache_dir=tmp_path).prepare(spec(f16), lines.append)
    assert len(lines) == 1
    assert Path(again.ref).read_bytes() == whole


def test_both_schemes_and_identities(f16: Path, tmp_path: Path) -> None:
    """Made files are the same model in other weights."""
    backend = LlamacppBackend(cache_dir=tmp_path)
    base = backend.identify(spec(f16, "native"))
    for scheme in ("gguf-q8_0", "gguf-q4_k_m"):
        made = backend.prepare(spec(f16, scheme), lambda _: None)
        identity = backend.identify(made)
        assert backend.stored_scheme(made) == scheme
        assert identity.tokenizer_digest == base.tokenizer_digest
        assert identity.shapes == base.shapes
        assert identity.dtype == "unstated"
        assert identity.weights_digest != base.weights_digest


def test_what_is_quantized_is_not_quantized_again(f16: Path, tmp_path: Path) -> None:
    """A quantized file is no source: it is to be given as the checkpoint that it is."""
    backend = LlamacppBackend(cache_dir=tmp_path)
    made = backend.prepare(spec(f16), lambda _: None)
    with wrong_use("is quantized already"):
        backend.prepare(spec(Path(made.ref), "gguf-q4_k_m"), lambda _: None)


def test_a_cache_that_cannot_be_written(f16: Path, tmp_path: Path) -> None:
    """Where nothing can be kept, a file is asked for."""
    (tmp_path / "cache").write_text("a file, no folder", encoding="utf-8")
    backend = LlamacppBackend(cache_dir=tmp_path / "cache")
    with wrong_use("cannot be written"):
        backend.prepare(spec(f16), lambda _: None)
