"""A served model: how it is asked, what is said of it, and how it is timed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.records.run import EffectiveScheme, Machine
from ...core.records.speed import DeviceState, Footprint, Load, Request
from ..quiet import quietly_imported
from .connection import Connection
from .server import UNKNOWN
from .timing import Streaming

if TYPE_CHECKING:
    from .lm import ServedLM

SERVER = "server"


class OpenaiEngine:
    """Implements `pytest_quantreg.core.engine.TimedEngine` for a model behind HTTP.

    Nothing can be said of its memory, nor of how long it took to load: ``load_seconds``
    is not a number.
    """

    load_seconds = math.nan

    def __init__(
        self, session: Connection, folder: Path, tokenizer: Any, effective: EffectiveScheme
    ) -> None:
        self._session = session
        self._folder = folder
        self._tokenizer = tokenizer
        self._effective = effective
        self._lms: dict[int, ServedLM] = {}
        self._streaming: Streaming | None = None

    @property
    def effective(self) -> EffectiveScheme:
        """The scheme in the model's files, marked as not read back."""
        return self._effective

    @property
    def machine(self) -> Machine:
        """A server by the name of its engine; its version is software, its host nobody's."""
        engine = self._session.served.engine
        return Machine(SERVER, SERVER if engine == UNKNOWN else f"{engine} {SERVER}")

    @property
    def model(self) -> Any:
        """None: it is in the server."""
        return None

    @property
    def tokenizer(self) -> Any:
        """The tokenizer that prompts are encoded with."""
        return self._tokenizer

    def lm(self, batch_size: int) -> Any:
        """lm-eval's class for completions, with so many prompts in each request."""
        self._session.check()
        if batch_size not in self._lms:
            quietly_imported("lm_eval.models.openai_completions")
            from .lm import ServedLM

            self._lms[batch_size] = ServedLM(self._session, self._folder, batch_size)
        return self._lms[batch_size]

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Of this process alone: a server that has no room answers later."""
        return isinstance(error, MemoryError)

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Streams the answers of a round."""
        self._session.check()
        if self._streaming is None:
            self._streaming = Streaming(self._session.client, self._session.served.model)
        return self._streaming.serve(load)

    def footprint(self) -> Footprint:
        """Nothing: it is not told."""
        return Footprint()

    def forget_peak(self) -> None:
        """Nothing: there is none."""

    def copy_bandwidth(self) -> float | None:
        """None: the device is out of reach."""
        return None

    def state(self) -> DeviceState:
        """Nothing: the device is out of reach."""
        return DeviceState()

    def close(self) -> None:
        """Closes connections; the server goes on."""
        streaming, self._streaming = self._streaming, None
        self._lms.clear()
        self._session.closed = True
        if streaming is not None:
            streaming.close()
