"""Runs one model in a process of its own: commands in on stdin, answers out on stdout.

``python -m pytest_quantreg.backends.process.worker`` reads one JSON object per line::

    {"do": "load", "spec": {...ModelSpec...}, "cache_dir": "...", "timed": true}
        -> effective, machine, can_sleep, load_seconds (null, except from the test double)
    {"do": "score", "kind": "loglikelihood" | ..., "batch": n, "seed": n, "requests": [[...]]}
        -> responses, cut; before it any number of {"moved": n, "logged": [...]}
    {"do": "encode", "text": "...", "special": true | false | null, "batch": n}  -> token ids
    {"do": "lm", "batch": n}                 -> prefix_token_id
    {"do": "serve", "load": {...Load...}}    -> one [arrived, first, ended, tokens] per request
    {"do": "footprint" | "forget_peak" | "bandwidth" | "state" | "sleep" | "wake" | "close"}

and answers each with one line, ``{"value": ...}`` or ``{"error": ...}`` (see `wire`). It ends
at ``close``, and at once when stdin ends: nobody is left to want the answer. Nothing heavy is
imported before ``load``.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from ...core.codes import EngineCode
from ...core.engine import TimedEngine
from ...core.errors import Category, QuantregError, Refusal, WrongUse
from ...core.records.run import ModelSpec
from .. import find
from ..device import die_first, free_memory, free_on_cards, in_gib, weights_on_disk
from . import scoring
from .wire import OUT_OF_MEMORY, describe_error, flat, load_from, rows, unflat

TIMED = ("serve", "footprint", "forget_peak", "copy_bandwidth", "state")


class Worker:
    """Carries out commands; holds the one engine of its process."""

    def __init__(self, send: scoring.Send) -> None:
        self._send = send
        self._engine: TimedEngine | None = None
        self._spec: ModelSpec | None = None

    def answer(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """``{"value": ...}`` or ``{"error": ...}``; only exits and interrupts come out."""
        try:
            return {"value": self._carry_out(command)}
        except Exception as error:  # travels to the client, which decides what it means
            return {"error": self._describe_error(error)}

    def close(self) -> None:
        """Closes the engine, if there is one."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def _carry_out(self, command: Mapping[str, Any]) -> Any:
        do = command["do"]
        if do == "load":
            spec = unflat(ModelSpec, command["spec"])
            return self._load(spec, Path(command["cache_dir"]), timed=command["timed"])
        if do == "close":
            return self.close()
        engine = self._loaded()
        if do in ("score", "encode", "lm"):
            return self._score(engine.lm(command["batch"]), command)
        if do == "serve":
            return rows(engine.serve(load_from(command["load"])))
        if do == "footprint":
            return flat(engine.footprint())
        if do == "forget_peak":
            return engine.forget_peak()
        if do == "bandwidth":
            return engine.copy_bandwidth()
        if do == "state":
            return flat(engine.state())
        if do in ("sleep", "wake"):
            return getattr(engine, do)()
        raise ValueError(f"unknown command {do!r}")

    def _score(self, lm: Any, command: Mapping[str, Any]) -> Any:
        if command["do"] == "encode":
            return scoring.encoded(lm, command["text"], command["special"])
        if command["do"] == "lm":
            return scoring.facts(lm)
        return scoring.answers(lm, command, self._send)

    def _load(self, spec: ModelSpec, cache_dir: Path, *, timed: bool) -> dict[str, Any]:
        self._spec = spec
        engine: Any = find(spec.backend, cache_dir=cache_dir).load(spec)
        if timed and (lacking := [name for name in TIMED if not hasattr(engine, name)]):
            engine.close()
            raise WrongUse(EngineCode.CANNOT_BE_TIMED, backend=spec.backend, lacking=lacking[0])
        self._engine = engine
        return {
            "effective": flat(engine.effective),
            "machine": flat(engine.machine),
            "can_sleep": hasattr(engine, "sleep") and hasattr(engine, "wake"),
            "load_seconds": getattr(engine, "load_seconds", None),
        }

    def _loaded(self) -> TimedEngine:
        if self._engine is None:
            raise WrongUse(EngineCode.NOTHING_LOADED)
        return self._engine

    def _describe_error(self, error: Exception) -> dict[str, Any]:
        if not self._is_out_of_memory(error):
            return describe_error(error)
        # Asked now: the client hears of it when everything has been given back.
        details = describe_error(error, OUT_OF_MEMORY)
        host, torch = free_memory(), sys.modules.get("torch")
        return {
            **details,
            "host": None if host is None else in_gib(host),
            "cards": [] if torch is None else list(map(in_gib, free_on_cards(torch))),
            "weights": self._weights(),
        }

    def _is_out_of_memory(self, error: Exception) -> bool:
        if isinstance(error, QuantregError):
            return isinstance(error, Refusal) and error.category is Category.OUT_OF_MEMORY
        if self._engine is not None and self._engine.is_out_of_memory(error):
            return True
        return isinstance(error, MemoryError) or "out of memory" in str(error).lower()

    def _weights(self) -> str | None:
        size = weights_on_disk(self._spec.ref) if self._spec is not None else 0
        return in_gib(size) if size else None


def main() -> None:
    """Serves until ``close`` or the end of stdin."""
    commands, answers = _pipes()
    die_first()

    def send(line: Mapping[str, Any]) -> None:
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    worker = Worker(send)
    while True:
        command = json.loads(commands.get())
        send(worker.answer(command))
        if command["do"] == "close":
            sys.stderr.flush()
            # Engines leave threads behind that may hold up, or crash, an orderly end.
            os._exit(0)


def _pipes() -> tuple[queue.SimpleQueue[bytes], TextIO]:
    """The commands as they come in, and where answers go.

    What engines print goes to stderr, and what they read from stdin is empty.
    """
    source, target = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(source, lines), daemon=True).start()
    return lines, os.fdopen(target, "w", encoding="utf-8")


def _listen(source: int, lines: queue.SimpleQueue[bytes]) -> None:
    held = b""
    while part := os.read(source, 1 << 16):
        *whole, held = (held + part).split(b"\n")
        for line in whole:
            lines.put(line)
    # Whoever asked is gone, perhaps killed: neither this process nor its own may stay.
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
