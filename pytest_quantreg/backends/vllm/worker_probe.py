"""What is read inside vLLM's workers: plain values only, since they cross processes.

vLLM mixes `Probe` into its worker class, in each process of a tensor-parallel engine. No
function travels: its methods are called by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

PlainValues = Mapping[str, Any]

_UNQUANTIZED = (
    "UnquantizedLinearMethod",
    "UnquantizedEmbeddingMethod",
    "UnquantizedFusedMoEMethod",
)
_KERNELS = ".kernels."


class Probe:
    """Methods of vLLM's workers; their names are ours alone, as vLLM demands."""

    def quantreg_layers(self: Any) -> list[PlainValues]:
        """Every matrix of the model: its kind, kernel, quantization and size in bytes."""
        model = self.get_model()
        return [_layer(name, module) for name, module in model.named_modules() if _counts(module)]

    def quantreg_kv_cache(self: Any) -> PlainValues:
        """Type, scales and size of the KV cache."""
        layers = [module for module in self.get_model().modules() if _caches(module)]
        return {
            "dtypes": sorted({str(module.kv_cache_dtype) for module in layers}),
            "scales": sorted({scale for module in layers for scale in _kv_scales(module)}),
            "model_dtype": _short(self.model_config.dtype),
            **_kv_size(self),
        }

    def quantreg_weights(self: Any) -> PlainValues:
        """Bytes of the weights by dtype, and how many a decoding step reads."""
        return _weights(self.get_model())

    def quantreg_device(self: Any) -> PlainValues:
        """Where this worker runs."""
        import torch

        kind = str(self.device.type)
        if kind != "cuda":
            return {"kind": kind, "name": None, "uuid": None, "threads": torch.get_num_threads()}
        properties = torch.cuda.get_device_properties(self.device)
        return {
            "kind": "rocm" if torch.version.hip else "cuda",
            "name": str(properties.name),
            "uuid": str(getattr(properties, "uuid", "")) or None,
            "threads": None,
            "driver": torch.version.hip,
        }

    def quantreg_peak(self: Any) -> int | None:
        """The most memory taken since it was last forgotten."""
        peak: int | None = _peak(self).read()
        return peak

    def quantreg_forget_peak(self: Any) -> None:
        """Starts it anew."""
        _peak(self).forget()

    def quantreg_bandwidth(self: Any) -> float | None:
        """Bytes per second of a large copy on the device of this worker."""
        import torch

        from ..peak_memory import copy_bandwidth

        def synchronize() -> None:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        return copy_bandwidth(torch, self.device, synchronize)


def _peak(worker: Any) -> Any:
    import torch

    from ..peak_memory import Peak

    if not hasattr(worker, "_quantreg_peak"):
        worker._quantreg_peak = Peak(torch, worker.device.type)
    return worker._quantreg_peak


def _counts(module: Any) -> bool:
    from vllm.model_executor.layers.linear import LinearBase
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

    return isinstance(module, (LinearBase, ParallelLMHead)) or _has_experts(module)


def _has_experts(module: Any) -> bool:
    return getattr(module, "w13_weight", getattr(module, "w13_weight_packed", None)) is not None


def _caches(module: Any) -> bool:
    return hasattr(module, "kv_cache_dtype") and hasattr(module, "kv_cache")


def _layer(name: str, module: Any) -> PlainValues:
    method = getattr(module, "quant_method", None)
    scheme = getattr(module, "scheme", None)
    kernel = _kernel(method) or _kernel(scheme)
    return {
        "name": name,
        "method": type(method).__name__,
        "scheme": None if scheme is None else type(scheme).__name__,
        "weights_only": bool(getattr(scheme, "use_a16", False)),
        "plain": method is None or type(method).__name__ in _UNQUANTIZED,
        "kernel": None if kernel is None else type(kernel).__name__,
        "family": None if kernel is None else type(kernel).__module__.rpartition("linear.")[2],
        "config": {} if kernel is None else _config(getattr(kernel, "config", None)),
        "tensors": {
            key: [_short(tensor.dtype), list(tensor.shape)] for key, tensor in _tensors(module)
        },
        "empty_scales": _empty_scales(module),
    }


def _kernel(holder: Any) -> Any:
    for value in vars(holder).values() if hasattr(holder, "__dict__") else ():
        if _KERNELS in type(value).__module__:
            return value
    return None


def _config(config: Any) -> PlainValues:
    """The kernel's own words on what it multiplies, of whichever kind it is."""
    settings: dict[str, Any] = {}
    for name in ("group_size", "is_static_input_scheme", "is_channelwise"):
        if hasattr(config, name):
            value = getattr(config, name)
            settings[name] = None if value is None else int(value)
    if (kind := getattr(config, "weight_type", None)) is not None:
        settings["weight_bits"] = int(kind.size_bits)
        settings["weight_float"] = bool(kind.is_floating_point())
    if (acts := getattr(config, "act_type", None)) is not None:
        settings["act_type"] = _short(acts)
    for name in ("weight_quant_key", "activation_quant_key"):
        if (key := getattr(config, name, None)) is not None:
            settings[name] = _key(key)
    return settings


def _key(key: Any) -> PlainValues:
    shape = key.scale.group_shape
    return {
        "dtype": _short(key.dtype),
        "rows": int(shape[0]),
        "columns": int(shape[1]),
        "static": bool(key.scale.static),
        "scale": _short(key.scale.dtype),
    }


def _tensors(module: Any) -> Iterator[tuple[str, Any]]:
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def _empty_scales(module: Any) -> bool:
    """Return whether a scale of the weights is zero throughout: nothing was read into it."""
    scales = [
        tensor for key, tensor in _tensors(module) if "weight_scale" in key and tensor.numel()
    ]
    return any(not bool((scale.float() != 0).any()) for scale in scales)


def _kv_scales(module: Any) -> Iterator[float]:
    for name in ("_k_scale", "_v_scale"):
        if (scale := getattr(module, name, None)) is not None:
            yield from (float(value) for value in scale.detach().float().flatten().tolist()[:1])


def _kv_size(worker: Any) -> PlainValues:
    config = getattr(worker.model_runner, "kv_cache_config", None)
    blocks = getattr(config, "num_blocks", None)
    size = getattr(worker.vllm_config.cache_config, "block_size", None)
    if not blocks or not size:
        return {"tokens": None, "bytes": None}
    allocated = sum(int(tensor.size) for tensor in getattr(config, "kv_cache_tensors", ()))
    return {"tokens": int(blocks) * int(size), "bytes": allocated or None}


def _weights(model: Any) -> PlainValues:
    sizes: dict[int, int] = {}
    dtypes: dict[str, int] = {}
    table, head = set(), set()
    for name, module in model.named_modules():
        for _, tensor in _tensors(module):
            if not tensor.numel():
                continue
            place = tensor.untyped_storage().data_ptr()
            if "embed" in name.rpartition(".")[2]:
                table.add(place)
            if "lm_head" in name:
                head.add(place)
            if place not in sizes:
                sizes[place] = tensor.untyped_storage().nbytes()
                dtype = _short(tensor.dtype)
                dtypes[dtype] = dtypes.get(dtype, 0) + sizes[place]
        for dtype, packed in _packed(module):
            dtypes[dtype] = dtypes.get(dtype, 0) + packed
    total = sum(dtypes.values())
    experts = any(_has_experts(module) for module in model.modules())
    # Without a head of its own the model multiplies by the table of embeddings.
    unread = sum(sizes.get(place, 0) for place in table - head) if head else 0
    return {"by_dtype": dtypes, "streamed": None if experts else total - unread}


def _packed(module: Any) -> Iterator[tuple[str, int]]:
    """Weights that a CPU kernel has taken out of the module, counted by their shape."""
    wide = getattr(module, "input_size_per_partition", None)
    high = getattr(module, "output_size_per_partition", None)
    if wide is None or high is None or not hasattr(module, "quant_method"):
        return
    weight = getattr(module, "weight", None)
    if weight is not None and not weight.numel():
        yield _short(weight.dtype), int(wide * high * weight.dtype.itemsize)
    elif weight is None and "Int8" in type(_kernel(getattr(module, "scheme", None))).__name__:
        yield "int8", int(wide * high)


def _short(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
