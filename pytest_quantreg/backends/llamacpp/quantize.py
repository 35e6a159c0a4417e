"""Makes quantized GGUF files on the fly and keeps them in a cache, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from ...core.codes import EngineCode
from ...core.engine import Say
from ...core.errors import Refusal, WrongUse
from ...core.facts import Problem, Quoted, Scheme
from ...core.records.run import ModelIdentity, ModelSpec
from ...core.schemes.gguf_types import NAMES
from ...core.schemes.names import resolve
from ..checkpoint.identity import FileDigests
from ..checkpoint_cache import MANIFEST, is_whole, put_in_place, run_in_process
from ..gguf.files import GgufModel
from ..gguf.scheme import declared_type, stored_scheme
from .arguments import no_fp8_cache

FILE_TYPES: Mapping[str, int] = {"gguf-q8_0": 7, "gguf-q4_k_m": 15}
"""Schemes that llama.cpp makes without any data, and its numbers for them (llama_ftype)."""

_ALLOC = ("out of memory", "bad_alloc", "MemoryError", "failed to allocate")


def check_makes(scheme: str) -> None:
    """Raises WrongUse for a scheme that llama.cpp does not make."""
    choice = resolve(scheme)
    if choice.kv is not None:
        raise no_fp8_cache(scheme)
    if not choice.is_quantized or choice.scheme.name in FILE_TYPES:
        return
    named, made = Scheme(scheme), tuple(FILE_TYPES)
    if choice.scheme.container == "gguf":
        raise WrongUse(EngineCode.GGUF_TYPE_NOT_MADE, scheme=named, made=made)
    raise WrongUse(EngineCode.LLAMACPP_MAKES_NO_SCHEME, scheme=named, made=made)


def make_gguf(
    spec: ModelSpec,
    model: GgufModel,
    identity: ModelIdentity,
    cache_dir: Path,
    digests: FileDigests,
    say: Say,
) -> ModelSpec:
    """A spec of the file made from ``model``, from the cache if it is there and whole.

    Raises WrongUse for a model that is quantized already.
    """
    check_makes(spec.scheme)
    scheme = resolve(spec.scheme).scheme.name
    if (already := stored_scheme(model)) is not None:
        raise WrongUse(
            EngineCode.GGUF_IS_QUANTIZED_ALREADY,
            model=model.name,
            stored=already,
            scheme=Scheme(spec.scheme),
        )
    # A name for the store may have a slash in it, which would make folders in folders.
    name = re.sub(r"[^\w.-]+", "--", spec.name)
    folder = cache_dir / f"{name}-{scheme}-{_key(identity, scheme)[:16]}"
    target = folder / f"{name}-{_file_type_name(scheme)}.gguf"
    if not is_whole(folder, digests):
        _build(spec, model, identity, scheme, target, say)
    return replace(spec, ref=str(target), quantize=False)


def _file_type_name(scheme: str) -> str:
    return next(name for name, named_scheme in NAMES.items() if named_scheme == scheme)


def _key(identity: ModelIdentity, scheme: str) -> str:
    parts = [identity.weights_digest, FILE_TYPES[scheme], version("llama-cpp-python")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _build(
    spec: ModelSpec,
    model: GgufModel,
    identity: ModelIdentity,
    scheme: str,
    target: Path,
    say: Say,
) -> None:
    say(
        f"quantizing {spec.name} to {spec.scheme}: {_file_type_name(scheme)} by llama.cpp, from "
        f"{declared_type(model) or 'full precision'}, without an importance matrix"
    )
    folder = target.parent
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as temporary:
            new = Path(temporary) / "model"
            new.mkdir()
            _run(spec, model.paths[0], new / target.name, scheme)
            _describe(new, target.name, spec, identity, scheme)
            put_in_place(new, folder)
    except OSError as error:
        raise WrongUse(
            EngineCode.GGUF_CACHE_NOT_WRITABLE,
            folder=str(folder.parent),
            error=Quoted(str(error)),
            scheme=Scheme(spec.scheme),
        ) from error


def _run(spec: ModelSpec, source: Path, target: Path, scheme: str) -> None:
    request = {"source": str(source), "target": str(target), "file_type": FILE_TYPES[scheme]}
    process = run_in_process(f"{__package__}.quantize_process", request)
    if process.returncode == 0 and target.is_file():
        return
    scheme_made = Scheme(spec.scheme)
    lines = [line.strip() for line in process.stderr.splitlines() if line.strip()]
    error_line = next(
        (line for line in lines if "failed to quantize" in line or "error" in line), ""
    )
    if process.returncode in (-9, 137) or any(word in process.stderr for word in _ALLOC):
        raise Refusal(EngineCode.GGUF_MAKING_OUT_OF_MEMORY, scheme=scheme_made, model=spec.name)
    status = Problem(EngineCode.EXIT_STATUS, {"status": process.returncode})
    error = Quoted(error_line or lines[-1]) if lines else status
    raise Refusal(EngineCode.GGUF_MAKING_FAILED, scheme=scheme_made, model=spec.name, error=error)


def _describe(new: Path, name: str, spec: ModelSpec, identity: ModelIdentity, scheme: str) -> None:
    manifest = {
        "files": {name: FileDigests().of(new / name)},
        "file_type": _file_type_name(scheme),
        "source": {"name": spec.name, "weights": identity.weights_digest},
        "versions": {"llama-cpp-python": version("llama-cpp-python")},
    }
    (new / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
