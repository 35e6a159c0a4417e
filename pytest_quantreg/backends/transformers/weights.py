"""How many bytes a loaded model's tensors take, wherever its format hides them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Key = tuple[str, int]
"""Device and address of a storage: views and tied weights share one."""

_ON_PARAMETERS = ("quant_state", "CB", "SCB")
"""Where bitsandbytes keeps the statistics of a weight."""

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


@dataclass(frozen=True)
class Storages:
    """Every storage of a model once: its bytes, and the dtype of a tensor that lies in it."""

    sizes: Mapping[Key, int]
    dtypes: Mapping[Key, str]

    @property
    def total(self) -> int:
        """Bytes on all devices."""
        return sum(self.sizes.values())

    def largest_device(self) -> str | None:
        """The device that holds most."""
        by_device: Counter[str] = Counter()
        for (device, _), size in self.sizes.items():
            by_device[device] += size
        return max(by_device, key=lambda device: by_device[device], default=None)

    def by_dtype(self, device: str | None) -> dict[str, int]:
        """Bytes on one device by dtype, most first."""
        sizes: Counter[str] = Counter()
        for key, size in self.sizes.items():
            if key[0] == device:
                sizes[self.dtypes[key]] += size
        return dict(sizes.most_common())


def storages(model: Any) -> Storages:
    """The storages of all parameters, buffers, and other tensors that modules keep.

    Tensor subclasses are taken apart (torchao), and so is what bitsandbytes hangs onto
    its weights. Tensors without storage (meta, emptied) count nothing.
    """
    sizes: dict[Key, int] = {}
    dtypes: dict[Key, str] = {}
    for module in model.modules():
        for tensor in _tensors_of(module):
            _add(tensor, sizes, dtypes)
    return Storages(sizes, dtypes)


def streamed(model: Any, model_storages: Storages) -> int | None:
    """Bytes of weights that a decoding step of one token reads.

    That is all but the table of input embeddings, of which a step reads one row; where
    that table is the output layer too, it is read as such. None for a mixture of
    experts: which of them are read depends on the text.
    """
    config = _text_config(model)
    if any((getattr(config, name, 0) or 0) > 1 for name in _EXPERTS):
        return None
    table, output = (
        _storage_keys(model.get_input_embeddings()),
        _storage_keys(model.get_output_embeddings()),
    )
    return model_storages.total - sum(model_storages.sizes.get(key, 0) for key in table - output)


def kv_per_token(model: Any) -> int | None:
    """Bytes of keys and values per token of context, unquantized; None for other caches.

    2 (keys, values) x layers x key-value heads x width of a head x bytes of the dtype.
    """
    config = _text_config(model)
    kinds = getattr(config, "layer_types", None) or ()
    if getattr(config, "kv_lora_rank", None) or any("attention" not in kind for kind in kinds):
        return None
    if any("linear" in kind for kind in kinds):
        return None
    try:
        heads = config.num_attention_heads
        width = getattr(config, "head_dim", None) or config.hidden_size // heads
        shared = getattr(config, "num_key_value_heads", None) or heads
        layers = config.num_hidden_layers
    except AttributeError:
        return None
    return int(2 * layers * shared * width * model.dtype.itemsize)


def _text_config(model: Any) -> Any:
    config = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _storage_keys(module: Any) -> set[Key]:
    sizes: dict[Key, int] = {}
    for tensor in [] if module is None else _tensors_of(module):
        _add(tensor, sizes, {})
    return set(sizes)


def _tensors_of(module: Any) -> Iterator[Any]:
    state = getattr(module, "state", None)
    for holder in (
        # Offloading replaces the dict by a cache that loads what is read from it.
        getattr(module._parameters, "offloaded_values", module._parameters),
        getattr(module._buffers, "offloaded_values", module._buffers),
        vars(module),
        vars(state) if hasattr(state, "__dict__") else {},
    ):
        for value in list(holder.values()):
            yield from plain_parts(value)


def plain_parts(value: Any) -> Iterator[Any]:
    """The plain tensors that ``value`` is made of, none for what is no tensor.

    A subclass is taken apart; what bitsandbytes hangs onto a weight is a part of it.
    """
    import torch

    if not isinstance(value, torch.Tensor):
        return
    if hasattr(value, "__tensor_flatten__"):
        names, _ = value.__tensor_flatten__()
        for name in names:
            yield from plain_parts(getattr(value, name))
        return
    data = value.data
    if type(data) is not torch.Tensor and hasattr(data, "__tensor_flatten__"):
        yield from plain_parts(data)
        return
    yield value
    for name in _ON_PARAMETERS:
        extra = getattr(value, name, None)
        if isinstance(extra, torch.Tensor):
            yield from plain_parts(extra)
        elif extra is not None:
            yield from _quant_state(extra)


def _quant_state(state: Any) -> Iterator[Any]:
    """Tensors of a bitsandbytes QuantState, whose own scales may be quantized in turn."""
    for value in vars(state).values():
        if type(value) is type(state):
            yield from _quant_state(value)
        else:
            yield from plain_parts(value)


def _add(tensor: Any, sizes: dict[Key, int], dtypes: dict[Key, str]) -> None:
    if tensor.is_meta:
        return
    storage = tensor.untyped_storage()
    if not storage.nbytes():
        return
    key = (str(tensor.device), storage.data_ptr())
    sizes[key] = storage.nbytes()
    dtypes.setdefault(key, str(tensor.dtype).removeprefix("torch."))
