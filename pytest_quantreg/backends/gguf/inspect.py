"""What a GGUF file holds, as `quantreg inspect` and the gate look at any checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from ...core.schemes.gguf_types import PLAIN
from ...core.schemes.inspection import Checkpoint, Claim, Held, Layer, Scales
from .files import GgufFiles, GgufModel
from .header import Tensor, block_sizes
from .scheme import declared_type, is_linear, kind_of, stored_scheme

_SCALE_AT: Mapping[str, int] = {
    **dict.fromkeys(("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "IQ4_XS"), 0),
    "Q2_K": 80,
    "Q3_K": 108,
    "Q4_K": 0,
    "Q5_K": 0,
    "Q6_K": 208,
}
"""Where in a block of a type its scale lies, a float16 (ggml-common.h)."""

_RUNS, _RUN = 16, 64
"""Runs of neighbouring blocks that are looked at in each tensor, and blocks of a run."""


def is_gguf(ref: str) -> bool:
    """Return whether ``ref`` is a GGUF file, or a folder that holds no other weights."""
    path = Path(ref)
    if path.suffix == ".gguf":
        return True
    folder = path.is_dir() and any(path.glob("*.gguf"))
    return folder and not any(path.glob("*.safetensors"))


def inspect(ref: str) -> Checkpoint:
    """Return the layers and scheme of the file ``ref``, read without loading it.

    The header is read, and of the data the scales of some blocks. Raises WrongUse for a
    folder, Refusal for a torn file and MissingExtra without the package gguf.
    """
    return checkpoint(GgufFiles().open(ref))


def checkpoint(model: GgufModel) -> Checkpoint:
    """Return the same for a file that is open already."""
    return Checkpoint(
        name=model.paths[0].stem,
        architecture=model.architecture,
        claim=Claim(stored_scheme(model), container="gguf", stated=declared_type(model)),
        layers=tuple(_layers(model)),
        size=model.size,
        files=len(model.paths),
    )


def _layers(model: GgufModel) -> Iterator[Layer]:
    for tensor in model.tensors:
        plain = tensor.type in PLAIN
        scales = None if plain else _scales(tensor)
        yield Layer(
            name=tensor.name.removesuffix(".weight"),
            kind=kind_of(tensor.name),
            dtype=tensor.type,
            parameters=tensor.parameters,
            size=tensor.size,
            linear=is_linear(tensor),
            held=None if plain else Held(None, None, packed=True, words=tensor.type.lower()),
            scales=(scales,) if scales else (),
        )


def _scales(tensor: Tensor) -> Scales | None:
    """Counts over the scales of some blocks; None for a type that has them elsewhere."""
    if tensor.type not in _SCALE_AT:
        return None
    size = next(size for name, _, size in block_sizes().values() if name == tensor.type)
    blocks, at = tensor.size // size, _SCALE_AT[tensor.type]
    samples = []
    with tensor.path.open("rb") as file:
        for start in sorted({blocks * run // _RUNS for run in range(_RUNS)}):
            file.seek(tensor.start + start * size)
            raw = np.frombuffer(file.read(min(_RUN, blocks - start) * size), np.uint8)
            samples.append(raw.reshape(-1, size)[:, at : at + 2].copy().view("<f2").ravel())
    values = np.concatenate(samples).astype(np.float64)
    return Scales(
        tensor.name,
        count=values.size,
        ones=int(np.count_nonzero(values == 1)),
        zeros=int(np.count_nonzero(values == 0)),
        not_finite=int(np.count_nonzero(~np.isfinite(values))),
    )
