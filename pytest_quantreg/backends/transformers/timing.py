"""Times what a loaded transformers model generates, and reads what it occupies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...core.codes import EngineCode
from ...core.errors import Refusal, WrongUse
from ...core.records.speed import DeviceState, Footprint, Load, Request
from ..checkpoint.folder import weight_files
from ..device import card_state, cpu_state
from ..lockstep import serve_in_groups
from ..peak_memory import Peak, copy_bandwidth
from ..quiet import quiet, quietly_imported
from .weights import kv_per_token, storages, streamed

Clock = Callable[[], float]


class Stopwatch:
    """The timed part of an engine; see `pytest_quantreg.core.engine.TimedEngine`.

    Made before the first forward: that of compressed checkpoints unpacks the weights.
    """

    def __init__(self, name: str, model: Any, clock: Clock = time.perf_counter) -> None:
        self._torch, self._transformers = quietly_imported("torch", "transformers")
        refuse_offloaded(name, {parameter.device.type for parameter in model.parameters()})
        self._name = name
        self._model = model
        self._clock = clock
        model_storages = storages(model)
        self._loaded = model_storages.by_dtype(model_storages.largest_device())
        self._device = model.get_input_embeddings().weight.device
        self._peak = Peak(self._torch, self._device.type)

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Greedy answers of exactly so many tokens, a group at a time.

        Raises:
            Refusal: the model has fewer positions than prompt and answer take, or stops
                earlier than it was told to.
            WrongUse: prompts of unequal length, or tokens that it does not have.
        """
        self._check(load)

        def generate(prompts: Sequence[tuple[int, ...]]) -> tuple[float, float]:
            return self._generate(prompts, load.output_tokens)

        with quiet():
            return serve_in_groups(load, generate, self._clock, time.sleep)

    def footprint(self) -> Footprint:
        """Weights by tensor, the peak by the allocator or the system."""
        model_storages = storages(self._model)
        return Footprint(
            loaded=self._loaded,
            weights=sum(model_storages.by_dtype(model_storages.largest_device()).values()),
            peak=self._peak.read(),
            peak_of=self._peak.of,
            streamed=streamed(self._model, model_storages),
            kv_per_token=kv_per_token(self._model),
            disk=_on_disk(Path(str(self._model.name_or_path)), self._name),
        )

    def forget_peak(self) -> None:
        """Starts the peak anew."""
        self._peak.forget()

    def copy_bandwidth(self) -> float | None:
        """Of the device that holds the input embeddings."""
        return copy_bandwidth(self._torch, self._device, self._synchronize)

    def state(self) -> DeviceState:
        """Of the same device."""
        if self._device.type == "cpu":
            return cpu_state(self._torch.get_num_threads())
        if self._device.type != "cuda" or self._torch.version.hip:
            return DeviceState()
        # Not by number: CUDA_VISIBLE_DEVICES counts otherwise than the driver.
        uuid = getattr(self._torch.cuda.get_device_properties(self._device), "uuid", None)
        return DeviceState() if uuid is None else card_state(f"GPU-{uuid}")

    def _generate(self, prompts: Sequence[tuple[int, ...]], tokens: int) -> tuple[float, float]:
        torch = self._torch
        inputs = torch.tensor(prompts, dtype=torch.long, device=self._device)
        first: list[float] = []

        def note(ids: Any, scores: Any, **_: Any) -> Any:  # noqa: ARG001
            if not first:
                self._synchronize()
                first.append(self._clock())
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)

        settings = self._model.generation_config
        ends, settings.eos_token_id = settings.eos_token_id, None
        try:
            with torch.inference_mode():
                self._synchronize()
                began = self._clock()
                answer = self._model.generate(
                    inputs,
                    attention_mask=torch.ones_like(inputs),
                    do_sample=False,
                    use_cache=True,
                    max_new_tokens=tokens,
                    pad_token_id=0,
                    stopping_criteria=self._transformers.StoppingCriteriaList([note]),
                )
                self._synchronize()
                ended = self._clock()
        finally:
            settings.eos_token_id = ends
        generated = answer.shape[1] - inputs.shape[1]
        if generated != tokens or not first:
            raise Refusal(
                EngineCode.GENERATED_OTHER_LENGTH,
                model=self._name,
                generated=generated,
                tokens=tokens,
            )
        return first[0] - began, ended - began

    def _synchronize(self) -> None:
        """Waits until the device has done all that was queued."""
        if self._device.type == "cuda":
            # Layers may be spread over several cards.
            for index in range(self._torch.cuda.device_count()):
                self._torch.cuda.synchronize(index)
        elif self._device.type in ("xpu", "mps"):
            getattr(self._torch, self._device.type).synchronize()

    def _check(self, load: Load) -> None:
        lengths = {len(prompt) for prompt in load.prompts}
        if len(lengths) > 1 or 0 in lengths:
            raise WrongUse(
                EngineCode.UNEQUAL_PROMPTS, model=self._name, lengths=tuple(sorted(lengths))
            )
        config = self._model.config.get_text_config()
        size = self._model.get_input_embeddings().weight.shape[0]
        if any(max(prompt) >= size for prompt in load.prompts):
            raise WrongUse(EngineCode.TOKENS_NOT_IN_VOCABULARY, model=self._name, vocabulary=size)
        positions = getattr(config, "max_position_embeddings", None)
        longest = max(lengths, default=0)
        needed = longest + load.output_tokens
        if positions is not None and needed > positions:
            raise Refusal(
                EngineCode.MODEL_HAS_FEWER_POSITIONS,
                model=self._name,
                positions=positions,
                prompt=longest,
                output=load.output_tokens,
                needed=needed,
            )


def refuse_offloaded(name: str, kinds: set[str]) -> None:
    """Refuses to time a model of which parts wait on disk, or on the host beside a card.

    Its speed is that of moving them, and its memory that of what was not moved.
    """
    if len(kinds) > 1 or "meta" in kinds:
        places = tuple("disk" if kind == "meta" else kind for kind in sorted(kinds))
        raise Refusal(EngineCode.WEIGHTS_OFFLOADED, model=name, places=places)


def _on_disk(folder: Path, name: str) -> int | None:
    if not folder.is_dir():
        return None
    return sum(path.stat().st_size for path in weight_files(folder, name))
