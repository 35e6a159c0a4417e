"""Which scheme a checkpoint's ``quantization_config`` describes, read without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...core.hardware.kernel_rules import COMPRESSED_TENSORS
from ...core.schemes.names import Granularity, Quantization, ScaleType, describe, name_of
from . import torchao_tensors
from .folder import read_config, read_json

GRANULARITIES: Mapping[str, Granularity] = {
    "tensor": "tensor",
    "channel": "channel",
    "token": "token",
    "group": "group",
    "tensor_group": "group",
    "block": "block",
    "attn_head": "channel",
}


MODELOPT = "hf_quant_config.json"


def config_of(folder: Path, name: str) -> Mapping[str, Any]:
    """config.json with its ``quantization_config``, wherever a checkpoint keeps that.

    Models of several parts may have it in the part for text, ModelOpt in a file beside.
    Raises Refusal for what cannot be read.
    """
    config = read_config(folder, name)
    if quantization_config_of(config):
        return config
    text = config.get("text_config")
    if isinstance(text, Mapping) and quantization_config_of(text):
        return {**config, "quantization_config": quantization_config_of(text)}
    if (folder / MODELOPT).is_file():
        modelopt_config = read_json(folder / MODELOPT, name)
        return {**config, "quantization_config": {**modelopt_config, "quant_method": "modelopt"}}
    return config


def quantization_config_of(config: Mapping[str, Any]) -> Any:
    """Return the quantization section of ``config``, by either of its names; falsy without one."""
    return config.get("quantization_config") or config.get("compression_config")


def method_of(quantization: Mapping[str, Any]) -> str:
    """Return the method of a ``quantization_config``."""
    return str(quantization.get("quant_method", COMPRESSED_TENSORS)).lower()


def stored_scheme(config: Mapping[str, Any]) -> str | None:
    """The canonical name of what config.json says, None for an unquantized model.

    A quantized model of no known scheme gives a description instead, which is the
    identity of none.
    """
    quantization = quantization_config_of(config)
    if not quantization:
        return None
    return _READERS.get(method_of(quantization), _other)(quantization)


def quantization(args: Mapping[str, Any] | None) -> Quantization | None:
    """One entry of compressed-tensors (``weights``, ``input_activations``) as our data."""
    if not args:
        return None
    strategy = str(_plain(args.get("strategy")) or "tensor")
    bits, kind = int(args.get("num_bits", 8)), str(_plain(args.get("type", "int")))
    block = args.get("block_structure")
    size = block[0] if block else args.get("group_size")
    return Quantization(
        "float" if kind == "float" else "int",
        bits,
        GRANULARITIES.get(strategy, "tensor"),
        dynamic=bool(args.get("dynamic")),
        group_size=int(size) if size and int(size) > 0 else None,
        scale=_scale(args, bits, kind, strategy),
    )


def amounts_to(
    pairs: set[tuple[Quantization | None, Quantization | None]], kv: Quantization | None
) -> str:
    """The name for the (weights, activations) pairs of a model's quantized layers.

    Several pairs amount to a name only when each of them does, and to the same.
    """
    names = {name_of(w, a) or _described(w, a) for w, a in pairs} or {"unquantized"}
    suffix = "" if kv is None else f"+kv-{'fp' if kv.type == 'float' else 'int'}{kv.bits}"
    return " and ".join(sorted(names)) + suffix


def _described(weights: Quantization | None, activations: Quantization | None) -> str:
    words = f"{describe(weights)} weights"
    return words if activations is None else f"{words} with {describe(activations)} activations"


def _plain(value: Any) -> Any:
    return getattr(value, "value", value)


def _scale(args: Mapping[str, Any], bits: int, kind: str, strategy: str) -> ScaleType:
    if kind != "float":
        return "float"
    scale_dtype = str(args.get("scale_dtype") or "")
    if "uint8" in scale_dtype or "e8m0" in scale_dtype:
        return "e8m0"
    if strategy == "tensor_group" or (bits == 4 and args.get("group_size") == 16):
        return "e4m3"
    # Older files do not state the type of scales; the MX formats always have groups of 32.
    return "e8m0" if strategy == "group" and args.get("group_size") == 32 else "float"


def _compressed_tensors(config: Mapping[str, Any]) -> str | None:
    groups = (config.get("config_groups") or {}).values()
    pairs = {
        (quantization(group.get("weights")), quantization(group.get("input_activations")))
        for group in groups
        if isinstance(group, Mapping)
    }
    kv = quantization(config.get("kv_cache_scheme"))
    weights = {pair for pair in pairs if pair[0] is not None}
    if not weights and kv is None:
        return None
    return amounts_to(weights, kv)


def _weight_only(config: Mapping[str, Any]) -> str | None:
    size = int(config.get("group_size", config.get("q_group_size", 128)) or 128)
    bits = int(config.get("bits", config.get("w_bit", 4)))
    stored = Quantization("int", bits, "group" if size > 0 else "channel", group_size=max(size, 1))
    return name_of(stored) or f"{describe(stored)} weights"


def _bitsandbytes(config: Mapping[str, Any]) -> str | None:
    if config.get("load_in_8bit") or config.get("_load_in_8bit"):
        return "bnb-int8"
    kind = str(config.get("bnb_4bit_quant_type", "fp4"))
    return "bnb-nf4" if kind == "nf4" else f"bitsandbytes {kind}"


def _fp8(config: Mapping[str, Any]) -> str | None:
    return "w8a8-fp8-block" if config.get("weight_block_size") else "w8a8-fp8"


def _modelopt(config: Mapping[str, Any]) -> str | None:
    inner = config.get("quantization", config)
    algorithm = str(inner.get("quant_algo", "unknown")).upper()
    name = _MODELOPT.get(algorithm, f"modelopt {algorithm.lower()}")
    kv = str(inner.get("kv_cache_quant_algo") or "").upper()
    # In config.json itself ModelOpt says it as compressed-tensors does.
    if (scheme := quantization(inner.get("kv_cache_scheme"))) is not None:
        kv = "FP8" if (scheme.type, scheme.bits) == ("float", 8) else kv
    return f"{name}+kv-fp8" if kv == "FP8" else name


_MODELOPT: Mapping[str, str] = {
    "FP8": "w8a8-fp8",
    "FP8_PER_CHANNEL_PER_TOKEN": "w8a8-fp8",
    "NVFP4": "w4a4-nvfp4",
    "W4A16_AWQ": "w4a16-int4",
}


def _other(config: Mapping[str, Any]) -> str | None:
    return f"{config.get('quant_method')} (not a known scheme)"


_READERS: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "compressed-tensors": _compressed_tensors,
    "gptq": _weight_only,
    "awq": _weight_only,
    "auto-round": _weight_only,
    "bitsandbytes": _bitsandbytes,
    "bitsandbytes_8bit": _bitsandbytes,
    "bitsandbytes_4bit": _bitsandbytes,
    "fp8": _fp8,
    "fbgemm_fp8": _fp8,
    "mxfp4": lambda _: "w4a16-mxfp4",
    "modelopt": _modelopt,
    "torchao": torchao_tensors.stored,
}
