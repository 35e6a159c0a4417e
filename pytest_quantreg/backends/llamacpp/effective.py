"""What a loaded model of llama.cpp runs as: its tensors, where they lie, its cache."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import EngineCode
from ...core.errors import Refusal
from ...core.records.run import EffectiveScheme, Json, Machine
from ...core.schemes.gguf_types import PLAIN
from ..device import cpu_name
from ..gguf.files import GgufModel
from ..gguf.scheme import count_types, linear_tensors, stored_scheme
from .log_capture import LogCapture
from .native import Native

_KINDS = {
    "CUDA": "cuda",
    "ROCm": "rocm",
    "HIP": "rocm",
    "Metal": "mps",
    "MTL": "mps",
    "SYCL": "xpu",
}
"""How llama.cpp's names for devices begin, and what others call the kind."""

_NEAR = 0.1
"""By how much they may differ: of a small model one large tensor twice is as much."""

_KV_WORDS = {"f16": "float16", "bf16": "bfloat16", "f32": "float32"}


def effective_scheme(model: GgufModel, native: Native, args: Mapping[str, Json]) -> EffectiveScheme:
    """Return the scheme that runs, once llama.cpp has loaded the tensors of ``model``.

    llama.cpp multiplies with the tensors as they lie in the file; raises Refusal where the
    bits per parameter that it has loaded are others than those of the file.
    """
    _check_loaded(model, native)
    layers = linear_tensors(model)
    quantized = [tensor for tensor in layers if tensor.type not in PLAIN]
    counts = count_types(quantized or layers)
    plain = PLAIN.get(counts.most_common(1)[0][0]) if counts else None
    words = " and ".join(name.lower() for name, _ in counts.most_common())
    # The type that ggml turns activations into before it multiplies (ggml-cpu, vec_dot_type).
    inner = "int8 in each product" if quantized else f"{words} in each product"
    return EffectiveScheme(
        scheme=_gguf_scheme(stored_scheme(model)) if quantized else plain,
        weights=words or "none",
        activations=f"float32, {inner}",
        kv_cache=_kv_words(args),
        kernel=_kernel(native.log),
        mode="native" if quantized else "full precision",
        quantized_layers=len(quantized),
        linear_layers=len(layers),
    )


def machine(log: LogCapture) -> Machine:
    """Return where most of the weights lie: a processor, or the devices that hold some of them."""
    mib_by_place: dict[str, float] = {}
    for name, size in log.buffers.items():
        # Mapped weights of a device that shares the host's memory are called so.
        place = name.removesuffix("_Mapped")
        mib_by_place[place] = mib_by_place.get(place, 0.0) + size
    cards = [name for name in mib_by_place if name in log.devices]
    if not cards:
        return Machine("cpu", cpu_name())
    first = max(cards, key=lambda name: mib_by_place[name])
    kind = next((kind for start, kind in _KINDS.items() if first.startswith(start)), "gpu")
    return Machine(kind, log.devices[first], count=len(cards))


def _check_loaded(model: GgufModel, native: Native) -> None:
    # Not by their sums: some tensors are left out, and tied ones may be there twice.
    stored = sum(tensor.size for tensor in model.tensors)
    held = 8 * stored / max(sum(tensor.parameters for tensor in model.tensors), 1)
    loaded = 8 * native.size / max(native.parameters, 1)
    if abs(loaded - held) > _NEAR * held:
        raise Refusal(EngineCode.LOADED_UNLIKE_FILE, model=model.name, loaded=loaded, stored=held)


def _gguf_scheme(scheme: str | None) -> str | None:
    return scheme if scheme is not None and scheme.startswith("gguf-") else None


def _kernel(log: LogCapture) -> str:
    """ggml, and the layouts and devices that it put weights into: ``ggml (CPU_REPACK)``."""
    places = [name for name in log.buffers if name not in ("CPU", "CPU_Mapped")]
    return f"ggml ({', '.join(places)})" if places else "ggml"


def _kv_words(args: Mapping[str, Json]) -> str:
    keys, values = (str(args.get(name, "f16")) for name in ("type_k", "type_v"))
    if keys == values:
        return _KV_WORDS.get(keys, keys)
    return f"{_KV_WORDS.get(keys, keys)} keys, {_KV_WORDS.get(values, values)} values"
