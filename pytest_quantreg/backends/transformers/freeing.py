"""Gives a model's memory back for certain."""

from __future__ import annotations

import gc
import sys
from typing import Any


def free(model: Any) -> None:
    """Takes the storage away from every tensor of ``model``.

    Whoever still holds the module (a traceback, a fixture) holds empty tensors then.
    Storages are not resized: reading a tensor whose storage is gone crashes the process.
    """
    torch = sys.modules["torch"]
    with torch.no_grad():
        for module in model.modules():
            _empty(module, torch)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _empty(module: Any, torch: Any) -> None:
    for tensors in (module._parameters, module._buffers):
        # Offloading replaces the dict by a cache that keeps tensors of its own.
        in_memory = getattr(tensors, "offloaded_values", tensors)
        for name, tensor in list(in_memory.items()):
            if isinstance(tensor, torch.Tensor):
                _empty_tensor(in_memory, name, tensor, torch)
    state = getattr(module, "state", None)
    for holder in (vars(module), vars(state) if hasattr(state, "__dict__") else {}):
        for name, value in list(holder.items()):
            if isinstance(value, torch.Tensor):
                holder[name] = torch.empty(0)


def _empty_tensor(in_memory: Any, name: str, tensor: Any, torch: Any) -> None:
    for extra in ("quant_state", "CB", "SCB"):
        # bitsandbytes keeps the statistics of a weight as attributes of the weight.
        if getattr(tensor, extra, None) is not None:
            setattr(tensor, extra, None)
    try:
        tensor.data = torch.empty(0, dtype=tensor.dtype)
    except (RuntimeError, TypeError):
        # Tensor subclasses refuse new data; letting go of them is what is left.
        in_memory[name] = torch.nn.Parameter(torch.empty(0), requires_grad=False)
