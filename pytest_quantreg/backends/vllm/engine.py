"""A loaded vLLM engine: how it scores and serves, what it holds, how it is freed."""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.records.run import EffectiveScheme, Machine, ModelSpec
from ...core.records.speed import DeviceState, Footprint, Load, Request
from ..checkpoint.folder import weight_files
from ..device import card_state, cpu_name, cpu_state, nvidia_driver
from ..quiet import quietly_imported
from ..timed_engine import closed_engine_error
from .arguments import prompt_arguments
from .effective import effective_scheme
from .failures import is_out_of_memory
from .serving import check, engine_steps, serve

if TYPE_CHECKING:
    from .lm import LoadedVLLM


class VllmEngine:
    """Implements `pytest_quantreg.core.engine.TimedEngine` over a ``vllm.LLM``."""

    def __init__(self, spec: ModelSpec, llm: Any, folder: Path, *, kv_scales: bool) -> None:
        self._spec = spec
        self._llm = llm
        self._folder = folder
        self._lm: LoadedVLLM | None = None
        self._kv = self._ask("quantreg_kv_cache")[0]
        layers = self._ask("quantreg_layers")[0]
        self._effective = effective_scheme(layers, self._kv, scales_in_files=kv_scales)
        self._devices = self._ask("quantreg_device")
        self._loaded = self._weights()["by_dtype"]

    @property
    def effective(self) -> EffectiveScheme:
        """What the first worker holds: its share of every layer, all of the same kind."""
        return self._effective

    @property
    def machine(self) -> Machine:
        """The devices of the workers."""
        first = self._devices[0]
        if first["kind"] == "cpu":
            return Machine("cpu", cpu_name(), count=len(self._devices))
        driver = first.get("driver") or nvidia_driver()
        name = str(first["name"] or first["kind"])
        return Machine(str(first["kind"]), name, count=len(self._devices), driver=driver)

    @property
    def model(self) -> Any:
        """The ``vllm.LLM``."""
        return self._open()

    @property
    def tokenizer(self) -> Any:
        """vLLM's tokenizer."""
        return self._open().get_tokenizer()

    @property
    def name(self) -> str:
        """The model's name in messages."""
        return f"{self._spec.name} {self._spec.scheme}"

    def lm(self, batch_size: int) -> Any:
        """One VLLM of lm-eval for the life of the engine, set to this batch size."""
        llm = self._open()
        if self._lm is None:
            quietly_imported("lm_eval.models.vllm_causallms")
            from .lm import LoadedVLLM

            options = prompt_arguments(self._spec.args)
            trusted = bool(self._spec.args.get("trust_remote_code", False))
            self._lm = LoadedVLLM(
                llm, str(self._folder), batch_size, trust_remote_code=trusted, **options
            )
        return self._lm.with_batch_size(batch_size)

    def serve(self, load: Load) -> tuple[Request, ...]:
        """A round with vLLM's continuous batching; no prompt is known from an earlier one."""
        engine = self._open().llm_engine
        check(load, self.name, self._positions(), self._vocabulary())
        # A prompt that was served before would be found in its cache, and cost nothing.
        engine.reset_prefix_cache()
        return serve(load, *engine_steps(engine))

    def footprint(self) -> Footprint:
        """Of the worker that holds most; the KV cache is that of the whole engine."""
        peaks = [peak for peak in self._ask("quantreg_peak") if peak is not None]
        weights = self._weights()
        tokens, size = self._kv["tokens"], self._kv["bytes"]
        with contextlib.suppress(AttributeError):
            cached_tokens = self._open().llm_engine.vllm_config.cache_config.kv_cache_size_tokens
            tokens = cached_tokens or tokens
        return Footprint(
            loaded=self._loaded,
            weights=sum(weights["by_dtype"].values()),
            peak=max(peaks, default=None),
            peak_of="allocator" if self._devices[0]["kind"] in ("cuda", "rocm") else "resident",
            streamed=weights["streamed"],
            kv_per_token=round(size / tokens) if size and tokens else None,
            kv_cache_tokens=tokens,
            disk=sum(path.stat().st_size for path in weight_files(self._folder, self.name)),
        )

    def forget_peak(self) -> None:
        """Starts the peak anew, in every worker."""
        self._ask("quantreg_forget_peak")

    def copy_bandwidth(self) -> float | None:
        """Of the first worker's device."""
        bandwidth: float | None = self._ask("quantreg_bandwidth")[0]
        return bandwidth

    def state(self) -> DeviceState:
        """Of the same device."""
        first = self._devices[0]
        if first["kind"] == "cpu":
            return cpu_state(first["threads"])
        uuid = first["uuid"]
        if first["kind"] != "cuda" or uuid is None:
            return DeviceState()
        return card_state(uuid if str(uuid).startswith("GPU-") else f"GPU-{uuid}")

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether a smaller batch may help."""
        return is_out_of_memory(error)

    def close(self) -> None:
        """Ends the engine and its workers; harmless the second time."""
        llm, self._llm = self._llm, None
        if self._lm is not None:
            # A caller may still hold it.
            self._lm.model = None
            self._lm = None
        if llm is None:
            return
        with contextlib.suppress(AttributeError):
            llm.llm_engine.engine_core.shutdown()
        del llm
        gc.collect()
        (distributed,) = quietly_imported("vllm.distributed")
        distributed.cleanup_dist_env_and_memory()

    def _ask(self, method: str) -> list[Any]:
        """One answer per worker to a method of `worker_probe.Probe`."""
        answers: list[Any] = self._open().collective_rpc(method)
        return answers

    def _weights(self) -> dict[str, Any]:
        by_worker = self._ask("quantreg_weights")
        most: dict[str, Any] = max(by_worker, key=lambda weights: sum(weights["by_dtype"].values()))
        return most

    def _positions(self) -> int:
        return int(self._open().llm_engine.model_config.max_model_len)

    def _vocabulary(self) -> int:
        return int(self._open().llm_engine.model_config.get_vocab_size())

    def _open(self) -> Any:
        if self._llm is None:
            raise closed_engine_error(self.name)
        return self._llm


class SleepingVllmEngine(VllmEngine):
    """An engine that was started with ``enable_sleep_mode``."""

    def sleep(self) -> None:
        """Moves the weights to the host and drops the KV cache."""
        self._open().sleep(level=1)

    def wake(self) -> None:
        """Takes the device's memory back."""
        self._open().wake_up()
