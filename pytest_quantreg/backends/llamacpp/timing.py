"""Times what a model of llama.cpp generates, and reads what it occupies."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ...core.codes import EngineCode
from ...core.errors import Refusal, WrongUse
from ...core.records.run import Json, Machine
from ...core.records.speed import DeviceState, Footprint, Load, Request
from ..device import card_state, cpu_state
from ..gguf.files import GgufModel
from ..gguf.scheme import kind_of
from ..lockstep import serve_in_groups
from ..peak_memory import Peak
from .arguments import KV_BITS
from .native import SEQUENCES, Entry, Logits, Native

Clock = Callable[[], float]

_COPY = 256 << 20
_COPIES = 7


class Stopwatch:
    """The timed part of an engine; see `pytest_quantreg.core.engine.TimedEngine`."""

    def __init__(
        self,
        name: str,
        native: Native,
        model: GgufModel,
        args: Mapping[str, Json],
        machine: Machine,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._name = name
        self._native = native
        self._model = model
        self._args = args
        self._machine = machine
        self._clock = clock
        # Without torch in between, what a device holds is known to its driver alone.
        self._peak = Peak(None, "cpu")

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Greedy answers of exactly so many tokens, a group at a time.

        Raises Refusal where the model was trained on fewer tokens than prompt and answer
        take, and WrongUse for prompts of no use.
        """
        self._check(load)
        longest = max(map(len, load.prompts)) + load.output_tokens
        together = min(load.in_flight, len(load.prompts))
        # Before the clock starts; the cache keeps the size it once had.
        self._native.reserve(together * longest, together)

        def generate(prompts: Sequence[tuple[int, ...]]) -> tuple[float, float]:
            return self._generate(prompts, load.output_tokens)

        return serve_in_groups(load, generate, self._clock, time.sleep)

    def footprint(self) -> Footprint:
        """Weights by type of their tensors; the peak is the resident memory of the process."""
        loaded: dict[str, int] = {}
        for tensor in self._model.tensors:
            loaded[tensor.type.lower()] = loaded.get(tensor.type.lower(), 0) + tensor.size
        on_host = self._machine.kind == "cpu"
        return Footprint(
            loaded=dict(sorted(loaded.items(), key=lambda item: -item[1])),
            weights=self._native.size,
            peak=self._peak.read() if on_host else None,
            peak_of=self._peak.of,
            streamed=_streamed(self._model),
            kv_per_token=_kv_per_token(self._model, self._args),
            kv_cache_tokens=self._native.capacity or None,
            disk=self._model.size,
        )

    def forget_peak(self) -> None:
        """Starts the peak anew."""
        self._peak.forget()

    def copy_bandwidth(self) -> float | None:
        """Bytes read plus written per second by all threads, on a processor."""
        return _copy_bandwidth(self._native.threads) if self._machine.kind == "cpu" else None

    def state(self) -> DeviceState:
        """Of the processor, or of the first card."""
        if self._machine.kind == "cpu":
            return cpu_state(self._native.threads)
        return card_state(0) if self._machine.kind == "cuda" else DeviceState()

    def _generate(self, prompts: Sequence[tuple[int, ...]], tokens: int) -> tuple[float, float]:
        native = self._native
        native.forget()
        newest = [0] * len(prompts)
        owners: dict[int, int] = {}
        entries: list[Entry] = []
        for number, prompt in enumerate(prompts):
            last = len(prompt) - 1
            entries += [Entry(t, at, (number,), at == last) for at, t in enumerate(prompt)]
            owners[len(entries) - 1] = number

        def take(entry: int, logits: Logits) -> None:
            newest[owners[entry]] = int(logits.argmax())

        native.synchronize()
        began = self._clock()
        native.decode(entries, take)
        first = self._clock()
        owners = {number: number for number in range(len(prompts))}
        for step in range(tokens - 1):
            native.decode(
                [
                    Entry(newest[number], len(prompt) + step, (number,), True)
                    for number, prompt in enumerate(prompts)
                ],
                take,
            )
        native.synchronize()
        return first - began, self._clock() - began

    def _check(self, load: Load) -> None:
        lengths = {len(prompt) for prompt in load.prompts}
        if not lengths or 0 in lengths:
            raise WrongUse(EngineCode.NO_PROMPT, model=self._name)
        size = self._native.vocab_size
        if any(not 0 <= token < size for prompt in load.prompts for token in prompt):
            raise WrongUse(EngineCode.TOKENS_NOT_IN_VOCABULARY, model=self._name, vocabulary=size)
        if load.in_flight > SEQUENCES:
            raise WrongUse(
                EngineCode.TOO_MANY_IN_FLIGHT,
                model=self._name,
                in_flight=load.in_flight,
                most=SEQUENCES,
            )
        needed = max(lengths) + load.output_tokens
        if needed > self._native.trained_on:
            raise Refusal(
                EngineCode.TRAINED_ON_FEWER_POSITIONS,
                model=self._name,
                positions=self._native.trained_on,
                prompt=max(lengths),
                output=load.output_tokens,
                needed=needed,
            )


def _streamed(model: GgufModel) -> int | None:
    """Bytes of weights that a step of one token reads; None for a mixture of experts.

    All but the table of input embeddings, unless it is the output layer too.
    """
    if (model.of_architecture("expert_count") or 0) > 1:
        return None
    tied = not any(tensor.name == "output.weight" for tensor in model.tensors)
    return sum(
        tensor.size for tensor in model.tensors if tied or kind_of(tensor.name) != "embeddings"
    )


def _kv_per_token(model: GgufModel, args: Mapping[str, Json]) -> int | None:
    """Bytes of keys and values per token: layers x key-value heads x width x bits of each."""
    layers = model.of_architecture("block_count")
    heads = model.of_architecture("attention.head_count")
    shared = model.of_architecture("attention.head_count_kv") or heads
    width = model.of_architecture("embedding_length")
    if not all(isinstance(figure, int) and figure > 0 for figure in (layers, heads, shared, width)):
        return None
    keys = model.of_architecture("attention.key_length") or width // heads
    values = model.of_architecture("attention.value_length") or width // heads
    bits = (KV_BITS[str(args.get(name, "f16"))] for name in ("type_k", "type_v"))
    return int(layers * shared * sum(n * b for n, b in zip((keys, values), bits, strict=True)) / 8)


def _copy_bandwidth(threads: int) -> float:
    """The best of several copies of 256 MiB, which no cache holds, split among threads."""
    source = np.ones(_COPY, dtype=np.uint8)
    target = np.empty_like(source)
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_COPIES):
            began = time.perf_counter()
            list(pool.map(lambda pair: np.copyto(*pair), parts))
            best = min(best, time.perf_counter() - began)
    return 2 * _COPY / best
