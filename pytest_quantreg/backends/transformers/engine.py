"""A loaded transformers model: how it scores, what it is, where it runs, how it is freed."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from ...core.records.run import EffectiveScheme, Machine, ModelSpec
from ..checkpoint.tokenizer import prompt_args
from ..device import cpu_name, nvidia_driver
from ..out_of_memory import is_out_of_memory
from ..quiet import quietly_imported
from ..timed_engine import StopwatchEngine, closed_engine_error
from .effective import effective_scheme
from .timing import Stopwatch

if TYPE_CHECKING:
    from .lm import LoadedHFLM


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


class TransformersEngine(StopwatchEngine):
    """Implements `pytest_quantreg.core.engine.TimedEngine`."""

    def __init__(self, spec: ModelSpec, model: Any, tokenizer: Any) -> None:
        self._spec = spec
        self._model = model
        self._tokenizer = tokenizer
        self._lm: LoadedHFLM | None = None
        self._stopwatch: Stopwatch | None = None
        # Now: the first forward unpacks compressed weights for good.
        self._effective = effective_scheme(model)
        self._machine = machine(model)

    @property
    def effective(self) -> EffectiveScheme:
        """The scheme that was loaded, read before the first forward."""
        return self._effective

    @property
    def machine(self) -> Machine:
        """The device the weights lie on."""
        return self._machine

    @property
    def model(self) -> Any:
        """The transformers model."""
        return self._open()

    @property
    def tokenizer(self) -> Any:
        """The transformers tokenizer."""
        self._open()
        return self._tokenizer

    def lm(self, batch_size: int) -> Any:
        """One HFLM for the life of the engine, set to this batch size."""
        model = self._open()
        if self._lm is None:
            quietly_imported("lm_eval.models.huggingface")
            from .lm import LoadedHFLM

            options = prompt_args(self._spec.args)
            self._lm = LoadedHFLM(model, self._tokenizer, batch_size, **options)
        return self._lm.with_batch_size(batch_size)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether a smaller batch may help."""
        return is_out_of_memory(error)

    def close(self) -> None:
        """Empties every tensor of the model, then forgets it; harmless the second time."""
        model, self._model, self._tokenizer = self._model, None, None
        self._stopwatch = None
        if self._lm is not None:
            # A caller may still hold the HFLM.
            self._lm._model = None
            self._lm = None
        if model is not None:
            free(model)

    def _timed(self) -> Stopwatch:
        model = self._open()
        if self._stopwatch is None:
            self._stopwatch = Stopwatch(f"{self._spec.name} {self._spec.scheme}", model)
        return self._stopwatch

    def _open(self) -> Any:
        if self._model is None:
            raise closed_engine_error(f"{self._spec.name} {self._spec.scheme}")
        return self._model


def machine(model: Any) -> Machine:
    """The kind, name and number of the devices that hold ``model``'s weights."""
    devices = {parameter.device for parameter in model.parameters()}
    kinds = {device.type for device in devices} - {"meta"}
    if "cuda" in kinds:
        (torch,) = quietly_imported("torch")
        cards = [device for device in devices if device.type == "cuda"]
        name = torch.cuda.get_device_name(min(cards, key=lambda card: card.index or 0))
        if torch.version.hip:
            return Machine("rocm", str(name), count=len(cards), driver=str(torch.version.hip))
        return Machine("cuda", str(name), count=len(cards), driver=nvidia_driver())
    kind = min(kinds, default="cpu")
    return Machine(kind, cpu_name() if kind == "cpu" else kind)
