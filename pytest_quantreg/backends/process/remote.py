"""A model in a process of its own, used like one that is here."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ...core.codes import EngineCode
from ...core.errors import Category, QuantregError, Refusal
from ...core.facts import Fact, Problem, Quoted
from ...core.records.run import EffectiveScheme, Machine, ModelSpec
from ...core.records.speed import DeviceState, Footprint, Load, Request
from ..device import free_memory, in_gib, weights_on_disk
from .child import WorkerProcess
from .scoring import RemoteLM
from .wire import FAILED, OUT_OF_MEMORY, cause_from, error_from, flat, requests_from, unflat

TIMEOUT = 600.0
"""Seconds that any single step may take unless somebody says otherwise."""

_GRACE = 5.0
_STEPS = {
    "load": Problem(EngineCode.LOADING, {}),
    "footprint": Problem(EngineCode.READING_FOOTPRINT, {}),
    "forget_peak": Problem(EngineCode.READING_FOOTPRINT, {}),
    "bandwidth": Problem(EngineCode.MEASURING_BANDWIDTH, {}),
    "state": Problem(EngineCode.READING_DEVICE_STATE, {}),
    "sleep": Problem(EngineCode.GOING_TO_SLEEP, {}),
    "wake": Problem(EngineCode.WAKING_UP, {}),
    "close": Problem(EngineCode.CLOSING, {}),
}


class RemoteEngine:
    """Implements `pytest_quantreg.core.engine.TimedEngine` over pipes to a worker.

    Made by `start`. Its process ends when it is closed, when a step takes longer than
    its time, when the engine fails, and when waiting for it is interrupted. What fails
    in the process is a Refusal here (``engine failed`` or ``out of memory``); refusals
    and wrong use travel as they are.
    """

    def __init__(self, spec: ModelSpec, timeout: float) -> None:
        self._spec = spec
        self._timeout = timeout
        self._process: WorkerProcess | None = None
        self._effective: EffectiveScheme | None = None
        self._machine: Machine | None = None
        self.can_sleep = False
        self.load_seconds = 0.0
        """From the start of the process until the model could answer, imports included."""

    @classmethod
    def start(
        cls, spec: ModelSpec, *, cache_dir: Path, timeout: float = TIMEOUT, timed: bool = True
    ) -> RemoteEngine:
        """A process that has loaded a prepared ``spec`` with the backend it names.

        ``timeout`` is in seconds and holds for each step by itself, while answers are
        scored for each sign of life. Raises what the backend raises while loading, WrongUse
        for an engine that is to be ``timed`` and cannot be, or a Refusal; no process is left
        then.
        """
        engine = cls(spec, timeout)
        try:
            engine._load(cache_dir, timed=timed)
        except BaseException:
            engine._kill()
            raise
        return engine

    @property
    def name(self) -> str:
        """The model's name in messages: ``tiny-llama w8a8-int8``."""
        return f"{self._spec.name} {self._spec.scheme}"

    @property
    def pid(self) -> int | None:
        """The process, None once it has ended."""
        return None if self._process is None else self._process.pid

    @property
    def effective(self) -> EffectiveScheme:
        """The scheme that the process really loaded."""
        assert self._effective is not None
        return self._effective

    @property
    def machine(self) -> Machine:
        """The machine that it runs on."""
        assert self._machine is not None
        return self._machine

    @property
    def model(self) -> Any:
        """None: it is in another process."""
        return None

    @property
    def tokenizer(self) -> Any:
        """None: it is in another process."""
        return None

    @property
    def ended(self) -> bool:
        """Return whether its process is gone: closed, failed, hung or interrupted."""
        return self._process is None

    def lm(self, batch_size: int) -> RemoteLM:
        """Asks the process what lm-eval's tasks ask."""
        return RemoteLM(self._ask, batch_size)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether a step failed for want of memory."""
        if isinstance(error, Refusal):
            return error.category is Category.OUT_OF_MEMORY
        return isinstance(error, MemoryError)

    def serve(self, load: Load) -> tuple[Request, ...]:
        """One round; the times are those that the process took."""
        step = Problem(
            EngineCode.SERVING,
            {
                "requests": len(load.prompts),
                "prompt_tokens": max(map(len, load.prompts), default=0),
                "output_tokens": load.output_tokens,
            },
        )
        return requests_from(self._ask(step, do="serve", load=flat(load)))

    def footprint(self) -> Footprint:
        """Return the memory that the model occupies in its process."""
        return unflat(Footprint, self._do("footprint"))

    def forget_peak(self) -> None:
        """Starts the peak anew."""
        self._do("forget_peak")

    def copy_bandwidth(self) -> float | None:
        """Bytes read plus written per second, measured in the process."""
        bandwidth: float | None = self._do("bandwidth")
        return bandwidth

    def state(self) -> DeviceState:
        """Return the state of the device."""
        return unflat(DeviceState, self._do("state"))

    def sleep(self) -> None:
        """Gives the device's memory to others; only if `can_sleep`."""
        self._do("sleep")

    def wake(self) -> None:
        """Takes it back."""
        self._do("wake")

    def close(self) -> None:
        """Asks the process to end, waits a little, and sees to it; harmless when it has."""
        if self._process is None:
            return
        try:
            with contextlib.suppress(QuantregError):
                self._do("close", min(self._timeout, _GRACE))
                self._process.wait(_GRACE)
        finally:
            self._kill()

    def __enter__(self) -> RemoteEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, Exception):
            self.close()
        else:
            self._kill()

    def __del__(self) -> None:
        # Nobody closed it; at this point nobody waits for an answer either.
        with contextlib.suppress(Exception):
            self._kill()

    def _load(self, cache_dir: Path, *, timed: bool) -> None:
        started = time.perf_counter()
        self._process = WorkerProcess()
        spec, folder = flat(self._spec), str(cache_dir)
        loaded = self._do("load", spec=spec, cache_dir=folder, timed=timed)
        load_seconds = loaded["load_seconds"]
        self.load_seconds = (
            time.perf_counter() - started if load_seconds is None else float(load_seconds)
        )
        self._effective = unflat(EffectiveScheme, loaded["effective"])
        self._machine = unflat(Machine, loaded["machine"])
        self.can_sleep = bool(loaded["can_sleep"])

    def _do(self, do: str, timeout: float | None = None, **fields: Any) -> Any:
        return self._ask(_STEPS[do], timeout, do=do, **fields)

    def _ask(
        self,
        step: Problem,
        timeout: float | None = None,
        on_progress: Callable[[Mapping[str, Any]], None] | None = None,
        **command: Any,
    ) -> Any:
        """Sends a command and waits; ``on_progress`` receives what comes before the answer."""
        if self._process is None:
            raise Refusal(EngineCode.PROCESS_IS_GONE, model=self.name, step=step)
        seconds, free = timeout or self._timeout, free_memory()
        message = json.dumps(command).encode() + b"\n"
        try:
            while "moved" in (answer := json.loads(self._process.exchange(message, seconds))):
                message = b""
                if on_progress is not None:
                    on_progress(answer)
        except TimeoutError:
            raise self._hung(step, seconds) from None
        except EOFError:
            raise self._died(step, free) from None
        except BaseException:
            self._kill()
            raise
        if "error" not in answer:
            return answer["value"]
        if command["do"] == "score" and answer["error"]["kind"] == OUT_OF_MEMORY:
            # The model is still there: with fewer requests at a time it may go on.
            raise MemoryError(str(cause_from(answer["error"])))
        raise self._failure(answer["error"], step)

    def _hung(self, step: Problem, seconds: float) -> Refusal:
        _, last = self._reap()
        return Refusal(
            EngineCode.PROCESS_HUNG, model=self.name, seconds=seconds, step=step, last=last
        )

    def _died(self, step: Problem, free: int | None) -> Refusal:
        assert self._process is not None
        self._process.wait(_GRACE)
        status, last = self._reap()
        if status == -signal.SIGKILL:
            # Nobody else kills so: the kernel does, when the host has no memory left.
            weights = weights_on_disk(self._spec.ref)
            return Refusal(
                EngineCode.PROCESS_KILLED,
                model=self.name,
                step=step,
                last=last,
                free=None if free is None else in_gib(free),
                weights=in_gib(weights) if weights else None,
            )
        ending = Problem(EngineCode.EXIT_STATUS, {"status": status})
        if status < 0:
            ending = Problem(EngineCode.SIGNAL, {"number": -status})
        return Refusal(
            EngineCode.PROCESS_ENDED, model=self.name, ending=ending, step=step, last=last
        )

    def _failure(self, failure: Mapping[str, Any], step: Problem) -> QuantregError:
        if failure["kind"] == OUT_OF_MEMORY:
            self._kill()
            return self._too_large(failure, step)
        if failure["kind"] != FAILED:
            return error_from(failure)
        places = [line.strip() for line in failure["trace"] if line.lstrip().startswith("File ")]
        _, last = self._reap()
        return Refusal(
            EngineCode.STEP_FAILED,
            model=self.name,
            step=step,
            error=cause_from(failure),
            place=Quoted(places[-1]) if places else None,
            last=last,
        )

    def _too_large(self, failure: Mapping[str, Any], step: Problem) -> Refusal:
        free: dict[str, Fact] = {
            "weights": failure["weights"],
            "host": failure["host"],
            "cards": tuple(failure["cards"]),
        }
        cause = cause_from(failure)
        if step.code is EngineCode.LOADING:
            return Refusal(EngineCode.NO_MEMORY_TO_LOAD, model=self.name, cause=cause, **free)
        return Refusal(
            EngineCode.NO_MEMORY_FOR_STEP, model=self.name, step=step, cause=cause, **free
        )

    def _reap(self) -> tuple[int, Quoted | None]:
        """Ends the process; its exit status, and the last line that it wrote to stderr."""
        assert self._process is not None
        last_line = self._process.last_words()
        status = self._kill()
        return status, Quoted(last_line) if last_line else None

    def _kill(self) -> int:
        process, self._process = self._process, None
        return 0 if process is None else process.kill()
