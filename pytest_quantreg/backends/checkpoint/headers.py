"""Reads what a checkpoint holds from its config and headers; of the data, only the scales."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.codes import ModelCode
from ...core.errors import Refusal
from ...core.facts import Problem, Quoted
from ...core.records.run import ModelSpec
from ...core.schemes.inspection import Checkpoint, Claim, Scales
from . import plain_json
from .adapter import CONFIG as ADAPTER
from .adapter import has_adapter, refuse_leftover
from .claimed_layers import claim_of
from .folder import Tensor, check_weights, torn_file, weight_files, whole_numbers
from .hub import display_name, has_weights, small_files
from .layers import INPUT_SCALES, SIZES, WEIGHT_SCALES, layers, split_name
from .patterns import slow_on_names
from .stored_scheme import config_of

_AT_ONCE = 1 << 22
"""Bytes of scales in memory at once."""

TensorLocation = tuple[Tensor, int]
"""A tensor, and where its data begin in the file."""


def inspect(ref: str) -> Checkpoint:
    """Return what the files of a folder or a hub id hold, without loading the model.

    Headers and scales are read, no weights. Raises Refusal for what cannot be read; the
    weights of a hub id must be in the local cache, for nothing is downloaded for this
    but the small files.
    """
    return _read_or_refuse(*_folder_and_name(ref))


def inspect_spec(spec: ModelSpec) -> Checkpoint | None:
    """Return the same for a model to be loaded; None as long as its weights are on the hub."""
    files = small_files(spec, trusted=bool(spec.args.get("trust_remote_code", False)))
    name = display_name(spec)
    refuse_leftover(files.folder, name)
    return _read_or_refuse(files.folder, name) if has_weights(files, name) else None


def _read_or_refuse(folder: Path, name: str) -> Checkpoint:
    try:
        return _checkpoint(folder, name)
    except OSError as error:
        raise Refusal(
            ModelCode.UNREADABLE_FILE,
            name=name,
            file=str(error.filename or folder),
            error=Quoted(str(error.strerror)),
        ) from error


def _folder_and_name(ref: str) -> tuple[Path, str]:
    path = Path(ref)
    if path.is_dir() and _only_gguf(path):
        raise Refusal(ModelCode.CHECKPOINT_IS_GGUF_FOLDER, name=path.name)
    if path.is_file():
        raise Refusal(ModelCode.CHECKPOINT_IS_FILE, name=path.name, folder=str(path.parent))
    if path.is_dir() or path.is_absolute() or ref.startswith((".", "~")):
        return path, path.resolve().name
    hub_id, _, revision = ref.partition("@")
    spec = ModelSpec(hub_id, hub_id, "native", "transformers", revision=revision or None)
    files, name = small_files(spec, trusted=False), display_name(spec)
    if not has_weights(files, name):
        raise Refusal(ModelCode.WEIGHTS_NOT_CACHED, name=name, ref=hub_id, revision=revision)
    return files.folder, name


def _only_gguf(folder: Path) -> bool:
    return any(folder.glob("*.gguf")) and not any(folder.glob("*.safetensors"))


def _checkpoint(folder: Path, name: str) -> Checkpoint:
    config = config_of(folder, name)
    claim = claim_of(config, name)
    tensors = check_weights(folder, name)
    _refuse_slow(claim, tensors, name)
    files = weight_files(folder, name)
    scales: dict[str, Scales] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        for tensor, place in _places(path, name):
            part = split_name(tensor)[1]
            if part in WEIGHT_SCALES + INPUT_SCALES:
                tensor_scales = _scales(path, tensor, place, part in INPUT_SCALES)
                scales.update({tensor: tensor_scales} if tensor_scales else {})
            elif part == "weight_shape":
                shape = _integers(path, place)
                shapes.update({tensor: shape} if len(shape) == 2 and min(shape) > 0 else {})
    architectures = config.get("architectures")
    architecture = architectures[0] if isinstance(architectures, list) and architectures else None
    return Checkpoint(
        name=name,
        architecture=str(architecture or config.get("model_type") or "unknown architecture"),
        claim=claim,
        layers=tuple(layers(tensors, scales, shapes, claim)),
        size=sum(path.stat().st_size for path in files),
        files=len(files),
        beside=(ADAPTER,) if has_adapter(folder) else (),
    )


def _refuse_slow(claim: Claim, tensors: Iterable[str], name: str) -> None:
    """Refuse a config whose patterns take too long on the model's own names."""
    entries = chain(claim.ignore or (), *(group.targets for group in claim.groups))
    patterns = [entry[3:] for entry in dict.fromkeys(entries) if entry.startswith("re:")]
    names = list(dict.fromkeys(split_name(tensor)[0] for tensor in tensors))
    if (slow := slow_on_names(patterns, names)) is not None:
        raise Refusal(ModelCode.UNUSABLE_PATTERNS, name=name, cause=slow)


def _places(path: Path, name: str) -> Iterator[tuple[str, TensorLocation]]:
    """Yield the location of each tensor of a file whose header `check_weights` has checked."""
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        header = plain_json.parse(file.read(length))
    for tensor, entry in header.items():
        if tensor.startswith("__"):
            continue
        layout = Tensor(str(entry["dtype"]), whole_numbers(entry["shape"]))
        start, end = whole_numbers(entry["data_offsets"])
        bits = math.prod(layout.shape) * SIZES.get(layout.dtype, 0)
        if end < start or (layout.dtype in SIZES and 8 * (end - start) != bits):
            damage = Problem(ModelCode.OTHER_TENSOR_SIZE, {"tensor": tensor})
            raise torn_file(path, name, damage)
        yield tensor, (layout, 8 + length + start)


def _scales(path: Path, name: str, place: TensorLocation, of_inputs: bool) -> Scales | None:
    """Counts over all values of one tensor of scales; None for a type that is none.

    Quantized scales (bitsandbytes with nested statistics) have scales of their own,
    which are looked at instead.
    """
    tensor, _ = place
    nested = name.endswith("absmax") and tensor.dtype == "U8"
    if tensor.dtype not in _NUMPY_TYPES or nested:
        return None
    totals = np.zeros(4, np.int64)
    for raw in _pieces(path, place):
        totals += _count_values(np.frombuffer(raw, _NUMPY_TYPES[tensor.dtype]), tensor.dtype)
    count, ones, zeros, broken = (int(number) for number in totals)
    return Scales(name, count, ones, zeros, broken, of_inputs)


def _count_values(stored: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.int64]:
    """Count all values, and those that are one, zero, and not finite."""
    width = stored.dtype.itemsize
    if width > 2 or stored.size < 1 << 8 * width:
        values = _values(stored, dtype)
        times = np.ones(stored.size, np.int64)
    else:
        # Billions of scales hold a few patterns; each is understood once.
        patterns = np.arange(1 << 8 * width, dtype=f"u{width}")
        values = _values(patterns.view(stored.dtype), dtype)
        times = np.bincount(stored.view(patterns.dtype), minlength=patterns.size)
    kinds = (values == 1, values == 0, ~np.isfinite(values))
    return np.array([stored.size, *(times[kind].sum() for kind in kinds)], np.int64)


def _pieces(path: Path, place: TensorLocation) -> Iterator[bytes]:
    tensor, start = place
    left = math.prod(tensor.shape) * SIZES[tensor.dtype] // 8
    with path.open("rb") as file:
        file.seek(start)
        while left > 0 and (raw := file.read(min(left, _AT_ONCE))):
            left -= len(raw)
            yield raw


def _integers(path: Path, place: TensorLocation) -> tuple[int, ...]:
    tensor = place[0]
    if tensor.dtype not in ("I64", "I32"):
        return ()
    raw = b"".join(_pieces(path, place))
    return tuple(int(n) for n in np.frombuffer(raw, "<i8" if tensor.dtype == "I64" else "<i4"))


_NUMPY_TYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    **dict.fromkeys(("F8_E4M3", "F8_E8M0", "U8"), "u1"),
}
"""numpy's name of what lies in the file; U8 is how E8M0 is written by older tools."""


def _values(stored: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.float64]:
    """Return the numbers that the stored patterns stand for.

    bfloat16 is the upper half of float32. E4M3 has no infinity and one pattern for NaN;
    E8M0 is 2^(n - 127), 255 being NaN (OCP Microscaling Formats 1.0, 5.3 and 5.4).
    """
    if dtype == "BF16":
        stored = (stored.astype(np.uint32) << 16).view(np.float32)
    elif dtype == "F8_E4M3":
        stored = _E4M3[stored]
    elif dtype in ("F8_E8M0", "U8"):
        stored = np.where(stored == 255, np.nan, np.ldexp(1.0, stored.astype(np.int32) - 127))
    # A signalling NaN warns as it is converted, and it is counted anyway.
    with np.errstate(invalid="ignore"):
        return stored.astype(np.float64)


def _e4m3(pattern: int) -> float:
    exponent, fraction = pattern >> 3 & 15, pattern & 7
    if pattern & 127 == 127:
        return math.nan
    size = math.ldexp(fraction, -9) if exponent == 0 else math.ldexp(8 + fraction, exponent - 10)
    return -size if pattern & 128 else size


_E4M3 = np.array([_e4m3(pattern) for pattern in range(256)])
