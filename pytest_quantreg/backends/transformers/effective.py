"""Reads from loaded modules what is really quantized; to be called before any forward."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ...core.records.run import EffectiveScheme
from ...core.schemes.names import Quantization, describe, name_of
from ..checkpoint import torchao_tensors
from ..checkpoint.stored_scheme import amounts_to, quantization

_BNB_TYPES = {"nf4": "bnb-nf4"}


@dataclass(frozen=True)
class Layer:
    """One linear layer as loaded; ``name`` is set where the module itself decides it."""

    weights: Quantization | None = None
    activations: Quantization | None = None
    kernel: str | None = None
    mode: str = "full precision"
    name: str | None = None
    words: str | None = None

    @property
    def quantized(self) -> bool:
        """Return whether its weights are held quantized."""
        return self.weights is not None or self.words is not None


def effective_scheme(model: Any) -> EffectiveScheme:
    """Return the scheme that the modules of a freshly loaded model amount to.

    compressed-tensors layers count when their weights are packed or carry scales, and
    their activations only when their forward really quantizes them. The first forward
    unpacks everything, so ask before it.
    """
    layers = [_layer(module) for module in _linears(model)]
    quantized = [layer for layer in layers if layer.quantized]
    kv = _kv_cache(model)
    dtype = _dtype(model)
    if not quantized:
        return _unquantized(dtype, kv, len(layers))
    return EffectiveScheme(
        scheme=_scheme(quantized, kv),
        weights=_common(layer.words or describe(layer.weights) for layer in quantized),
        activations=_common(_activations(layer, dtype) for layer in quantized),
        kv_cache=dtype if kv is None else describe(kv),
        kernel=_common(layer.kernel or f"{dtype} matmul after unpacking" for layer in quantized),
        mode=_common(layer.mode for layer in quantized),
        quantized_layers=len(quantized),
        linear_layers=len(layers),
    )


def _unquantized(dtype: str, kv: Quantization | None, layers: int) -> EffectiveScheme:
    name = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}.get(dtype)
    if name is not None and kv is not None:
        name += "+kv-fp8"
    return EffectiveScheme(
        scheme=name,
        weights=dtype,
        activations=dtype,
        kv_cache=dtype if kv is None else describe(kv),
        kernel=f"{dtype} matmul",
        mode="full precision" if kv is None else "emulated",
        quantized_layers=0,
        linear_layers=layers,
    )


def _linears(model: Any) -> Iterator[Any]:
    import torch

    for name, module in model.named_modules():
        if ".lora_" in name:
            continue  # of an adapter; the layer that it is added to is counted
        # Kernels of others (FP8, GPTQ, AWQ) are classes of their own, named *Linear*.
        if isinstance(module, torch.nn.Linear) or (
            "Linear" in type(module).__name__ and not list(module.children())
        ):
            yield module


def _layer(module: Any) -> Layer:
    for reader in (_bitsandbytes, _compressed, _fp8, _packed_kernel, _torchao, _raw):
        layer = reader(module)
        if layer is not None:
            return layer
    return Layer()


def _bitsandbytes(module: Any) -> Layer | None:
    kind, weight = type(module).__name__, getattr(module, "weight", None)
    if kind == "Linear8bitLt":
        stored = str(getattr(weight, "dtype", ""))
        held = getattr(weight, "CB", None) is not None or stored == "torch.int8"
        return Layer(
            weights=Quantization("int", 8, "channel") if held else None,
            activations=Quantization("int", 8, "token", dynamic=True) if held else None,
            kernel="bitsandbytes LLM.int8",
            mode="native",
            name="bnb-int8",
        )
    if kind == "Linear4bit":
        held = getattr(weight, "quant_state", None) is not None
        kind4 = str(getattr(weight, "quant_type", "fp4"))
        size = int(getattr(weight, "blocksize", 64))
        return Layer(
            words=f"{kind4} in groups of {size}" if held else None,
            kernel="bitsandbytes 4-bit",
            mode="native",
            name=_BNB_TYPES.get(kind4, f"bitsandbytes {kind4}"),
        )
    return None


def _compressed(module: Any) -> Layer | None:
    scheme = getattr(module, "quantization_scheme", None)
    if scheme is None or scheme.weights is None or not _has_quantized_weights(module):
        return None
    return Layer(
        weights=quantization(scheme.weights.model_dump()),
        activations=_running_activations(module, scheme),
        mode="emulated",
    )


def _has_quantized_weights(module: Any) -> bool:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    if "weight_scale" not in tensors:
        return False
    scale = tensors["weight_scale"]
    # A scale that no file filled in is zero or uninitialised: nothing was quantized by it.
    return bool(scale.numel()) and bool((scale.float() != 0).any())


def _running_activations(module: Any, scheme: Any) -> Quantization | None:
    if scheme.input_activations is None or not getattr(module, "quantization_enabled", True):
        return None
    # The wrapper on the instance is what quantizes inputs; a plain forward drops that.
    if "forward" not in vars(module) and type(module).__name__ == "Linear":
        return None
    return quantization(scheme.input_activations.model_dump())


def _fp8(module: Any) -> Layer | None:
    weight = getattr(module, "weight", None)
    if weight is None or "float8" not in str(getattr(weight, "dtype", "")):
        return None
    scale = getattr(module, "weight_scale_inv", getattr(module, "weight_scale", None))
    if scale is None:
        return None
    block = getattr(module, "block_size", None)
    weights = (
        Quantization("float", 8, "block", group_size=int(block[0]))
        if block
        else Quantization("float", 8, "channel" if scale.numel() > 1 else "tensor")
    )
    dynamic = str(getattr(module, "activation_scheme", "dynamic")) == "dynamic"
    activations = Quantization("float", 8, "group" if block else "token", dynamic=dynamic)
    return Layer(weights, activations, kernel="fp8 matmul", mode="native")


def _packed_kernel(module: Any) -> Layer | None:
    packed = getattr(module, "qweight", None)
    if packed is None:
        return None
    bits = int(getattr(module, "bits", getattr(module, "w_bit", 4)))
    size = int(getattr(module, "group_size", 128))
    weights = Quantization("int", bits, "group", group_size=size)
    return Layer(weights, kernel=type(module).__name__, mode="native")


def _torchao(module: Any) -> Layer | None:
    weight = getattr(module, "weight", None)
    tensor = getattr(weight, "data", weight)
    if not type(tensor).__module__.startswith("torchao"):
        return None
    if (parts := torchao_tensors.loaded(tensor)) is not None:
        weights, activations, kernel = parts
        return Layer(weights, activations, kernel=kernel, mode="native")
    words = f"torchao {type(tensor).__name__}"
    return Layer(words=words, kernel="torchao", mode="native", name=words)


def _raw(module: Any) -> Layer | None:
    weight = getattr(module, "weight", None)
    dtype = getattr(weight, "dtype", None)
    if dtype is None or dtype.is_floating_point:
        return None
    words = f"{str(dtype).removeprefix('torch.')} tensors"
    return Layer(words=words, kernel=type(module).__name__, mode="native", name=words)


def _kv_cache(model: Any) -> Quantization | None:
    for module in model.modules():
        scheme = getattr(module, "quantization_scheme", None)
        if scheme is not None and hasattr(module, "kv_cache") and scheme.input_activations:
            return quantization(scheme.input_activations.model_dump())
    return None


def _scheme(quantized: list[Layer], kv: Quantization | None) -> str | None:
    named = {layer.name for layer in quantized}
    if named != {None}:
        only = next(iter(named)) if len(named) == 1 else None
        return only if only in ("bnb-int8", "bnb-nf4") else None
    pairs = {(layer.weights, layer.activations) for layer in quantized}
    names = {name_of(weights, activations) for weights, activations in pairs}
    if len(names) != 1 or None in names:
        return None
    return amounts_to(pairs, kv)


def _activations(layer: Layer, dtype: str) -> str:
    return dtype if layer.activations is None else describe(layer.activations)


def _common(words: Iterable[str]) -> str:
    counted = Counter(words).most_common()
    if len(counted) == 1:
        return counted[0][0]
    return ", ".join(f"{word} ({count})" for word, count in counted)


def _dtype(model: Any) -> str:
    return str(getattr(model, "dtype", "unknown")).removeprefix("torch.")
