"""What vLLM's layers amount to, from the plain values that its workers told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.records.run import EffectiveScheme
from ...core.schemes.names import (
    Granularity,
    NumberType,
    Quantization,
    ScaleType,
    describe,
    name_of,
)
from ..checkpoint.stored_scheme import amounts_to

WEIGHT_ONLY = (*("Marlin", "W8A16", "W4A16", "CPUFp8PerTensor", "CPUFp8BlockScaledMM"),)
"""Kernels, by a part of their name, that leave activations as they are."""

_PLAIN = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_FP8 = ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2")


@dataclass(frozen=True)
class Layer:
    """One matrix as loaded; both None for one that is not quantized.

    ``words`` stand in where the numbers behind them are not known.
    """

    weights: Quantization | None = None
    activations: Quantization | None = None
    kernel: str = ""
    mode: str = "full precision"
    words: str | None = None

    @property
    def quantized(self) -> bool:
        """Return whether its weights are held quantized."""
        return self.weights is not None or self.words is not None


def effective_scheme(
    layers: Sequence[Mapping[str, Any]], kv: Mapping[str, Any], *, scales_in_files: bool
) -> EffectiveScheme:
    """Return the scheme of a model whose workers reported ``layers`` and ``kv``.

    ``scales_in_files`` says that the checkpoint brings scales of the KV cache: a scale of
    1.0 may be one of them or vLLM's own.
    """
    read = [read_layer(raw) for raw in layers]
    quantized = [layer for layer in read if layer.quantized]
    dtype = str(kv["model_dtype"])
    cache = _cache(kv)
    words = dtype
    if _cache_kinds(kv) - {"auto", *_PLAIN}:
        words = f"{_cache_words(kv)}, {_scales(kv, scales_in_files)}"
    if not quantized:
        name = _PLAIN.get(dtype)
        return EffectiveScheme(
            scheme=name if name is None else name + _suffix(cache),
            weights=dtype,
            activations=dtype,
            kv_cache=words,
            kernel=f"{dtype} matmul",
            mode="full precision" if cache is None else "native",
            quantized_layers=0,
            linear_layers=len(read),
        )
    return EffectiveScheme(
        scheme=_scheme(quantized, cache),
        weights=_common(layer.words or describe(layer.weights) for layer in quantized),
        activations=_common(
            dtype if layer.activations is None else describe(layer.activations)
            for layer in quantized
        ),
        kv_cache=words,
        kernel=_common(layer.kernel for layer in quantized),
        mode=_common(layer.mode for layer in quantized),
        quantized_layers=len(quantized),
        linear_layers=len(read),
    )


def read_layer(raw: Mapping[str, Any]) -> Layer:
    """One layer of `worker_probe.Probe.quantreg_layers`."""
    if raw["plain"] or raw["empty_scales"]:
        return Layer()
    kernel = str(raw["kernel"] or raw["scheme"] or raw["method"])
    weights, activations = _by_kernel(raw)
    if weights is None:
        weights = _by_tensors(raw)
    if weights is None:
        return Layer() if _all_plain(raw) else Layer(kernel=kernel, mode="native", words=kernel)
    mode = "native"
    if "Emulation" in kernel:
        mode = "emulated"
    elif activations is not None and any(part in kernel for part in WEIGHT_ONLY):
        mode, activations = "weight-only fallback", None
    return Layer(weights, activations, kernel, mode)


def _by_kernel(raw: Mapping[str, Any]) -> tuple[Quantization | None, Quantization | None]:
    config, family = raw["config"], str(raw["family"] or "").partition(".")[0]
    if "weight_quant_key" in config:
        return _of_key(config["weight_quant_key"]), _of_key(config.get("activation_quant_key"))
    if "weight_bits" in config:
        return _mixed(config)
    if family == "scaled_mm" and "is_channelwise" in config:
        shared: Granularity = "channel" if config["is_channelwise"] else "tensor"
        static = bool(config.get("is_static_input_scheme"))
        activations = Quantization("int", 8, "tensor" if static else "token", dynamic=not static)
        return Quantization("int", 8, shared), activations
    if family in ("nvfp4", "mxfp4", "mxfp8"):
        return _micro(family, raw)
    return None, None


def _mixed(config: Mapping[str, Any]) -> tuple[Quantization, Quantization | None]:
    size, bits = int(config.get("group_size") or 0), int(config["weight_bits"])
    number: NumberType = "float" if config["weight_float"] else "int"
    weights = Quantization(number, bits, "channel")
    if size > 0:
        weights = Quantization(number, bits, "group", group_size=size)
    inputs = str(config.get("act_type", ""))
    if inputs in _FP8:
        return weights, Quantization("float", 8, "token", dynamic=True)
    if inputs == "int8":
        return weights, Quantization("int", 8, "token", dynamic=True)
    return weights, None


def _micro(family: str, raw: Mapping[str, Any]) -> tuple[Quantization, Quantization | None]:
    scale: ScaleType = "e4m3" if family == "nvfp4" else "e8m0"
    bits, size = (8 if family == "mxfp8" else 4), (16 if family == "nvfp4" else 32)
    weights = Quantization("float", bits, "group", group_size=size, scale=scale)
    inputs = Quantization("float", bits, "group", dynamic=True, group_size=size, scale=scale)
    # With Marlin, MXFP4 is the same whether activations were to be quantized or not.
    alone = raw["weights_only"] or (family == "mxfp4" and "Marlin" in str(raw["kernel"]))
    return weights, None if alone else inputs


def _of_key(key: Mapping[str, Any] | None) -> Quantization | None:
    """One of vLLM's quantization keys; its groups are (rows, columns), -1 for all."""
    if key is None:
        return None
    dtype, rows, columns = str(key["dtype"]), int(key["rows"]), int(key["columns"])
    if dtype not in (*_FP8, "int8"):
        return None
    number: NumberType = "int" if dtype == "int8" else "float"
    size = max(rows, columns)
    if (rows, columns) == (-1, -1):
        shared: Granularity = "tensor"
    elif columns == -1:
        shared = "token"
    elif rows == -1:
        shared = "channel"
    else:
        shared = "group" if rows == 1 else "block"
    scale: ScaleType = "e8m0" if "e8m0" in str(key["scale"]) or size == 32 else "float"
    return Quantization(
        number,
        8,
        shared,
        dynamic=not key["static"],
        group_size=size if size > 1 else None,
        scale=scale,
    )


def _by_tensors(raw: Mapping[str, Any]) -> Quantization | None:
    """From the type of the weights themselves, where the kernel says nothing."""
    tensors = raw["tensors"]
    for name, (dtype, _) in tensors.items():
        if name.endswith("weight") and dtype in (*_FP8, "int8"):
            scale = tensors.get(f"{name}_scale_inv") or tensors.get(f"{name}_scale")
            shared = _shared(scale[1]) if scale else "tensor"
            number: NumberType = "int" if dtype == "int8" else "float"
            return Quantization(number, 8, shared)
    return None


def _shared(shape: Sequence[int]) -> Granularity:
    if len(shape) >= 2 and min(shape[-2:]) > 1:
        return "block"
    return "channel" if any(size > 1 for size in shape) else "tensor"


def _all_plain(raw: Mapping[str, Any]) -> bool:
    tensors = [dtype for name, (dtype, _) in raw["tensors"].items() if "weight" in name]
    return bool(tensors) and all(dtype in _PLAIN for dtype in tensors) and not raw["kernel"]


def _scheme(quantized: Sequence[Layer], cache: Quantization | None) -> str | None:
    pairs = {(layer.weights, layer.activations) for layer in quantized}
    names = {name_of(weights, activations) for weights, activations in pairs}
    if len(names) != 1 or None in names:
        return None
    return amounts_to(pairs, cache)


def _cache(kv: Mapping[str, Any]) -> Quantization | None:
    """Return the type of keys and values; None unquantized, or where layers differ."""
    kinds = _cache_kinds(kv)
    if len(kinds) != 1 or kinds <= {"auto", *_PLAIN}:
        return None
    (kind,) = kinds
    shared: Granularity = "token" if "per_token" in kind else "tensor"
    number: NumberType = "int" if kind.startswith("int") else "float"
    bits = 4 if kind.startswith(("int4", "nvfp4")) else 8
    return Quantization(number, bits, shared, dynamic="per_token" in kind)


def _cache_kinds(kv: Mapping[str, Any]) -> set[str]:
    """Return the types of keys and values, two spellings of one type taken as one."""
    return {"fp8_e4m3" if kind == "fp8" else str(kind) for kind in kv["dtypes"]}


def _cache_words(kv: Mapping[str, Any]) -> str:
    words = {"fp8_e4m3": "fp8 e4m3", "fp8_e5m2": "fp8 e5m2", "auto": str(kv["model_dtype"])}
    names = (words.get(kind, kind.replace("_", " ")) for kind in sorted(_cache_kinds(kv)))
    return " and ".join(dict.fromkeys(names))


def _scales(kv: Mapping[str, Any], in_files: bool) -> str:
    if any("per_token" in kind for kind in kv["dtypes"]):
        return "scales computed for each token"
    ones = set(kv["scales"]) <= {1.0}
    if in_files:
        return "scales from the checkpoint" + (", all of them 1.0" if ones else "")
    return "scales 1.0" if ones else "scales set while loading"


def _suffix(cache: Quantization | None) -> str:
    if cache is None:
        return ""
    return f"+kv-{'fp' if cache.type == 'float' else 'int'}{cache.bits}"


def _common(words: Iterable[str]) -> str:
    counted = Counter(words).most_common()
    if len(counted) == 1:
        return counted[0][0]
    return ", ".join(f"{word} ({count})" for word, count in counted)
