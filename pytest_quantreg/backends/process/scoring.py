"""lm-eval's questions to a model in another process: asked here, answered there."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from ...core.codes import EngineCode
from ...core.facts import Problem

SendCommand: TypeAlias = Callable[..., Any]
"""Sends a command, which carries out a step, with its fields; the value that comes back."""

Send: TypeAlias = Callable[[Mapping[str, Any]], None]
"""Sends one line that is no answer yet."""

KINDS = ("loglikelihood", "loglikelihood_rolling", "generate_until")
LM_EVAL = "lm_eval"
_SECONDS = 0.5


class RemoteLM:
    """What lm-eval's tasks ask of a model, over a worker; see `answers` for the other side.

    Has what `measure` uses of an ``lm_eval.api.model.LM``. Of a request only its arguments
    travel. Random draws of the process begin from a number drawn here, so that seeding here
    seeds there. Bars move and warnings of lm-eval are logged here as if it ran here.
    """

    def __init__(self, ask: SendCommand, batch_size: int) -> None:
        self._ask = ask
        self._batch_size = batch_size
        self._last_encoded: dict[str, list[int]] = {}
        self._facts: Mapping[str, Any] | None = None

    @property
    def prefix_token_id(self) -> int | None:
        """The token that documents are predicted from, None where the engine has none."""
        if self._facts is None:
            step = Problem(EngineCode.READING_TOKENIZER, {})
            self._facts = self._ask(step, do="lm", batch=self._batch_size)
        token_id: int | None = self._facts["prefix_token_id"]
        return token_id

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """One (log-likelihood, greedy) per request."""
        return [
            (value, greedy) for value, greedy in self._request_answers("loglikelihood", requests)
        ]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """One log-likelihood per request."""
        return self._request_answers("loglikelihood_rolling", requests)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One text per request; ``cut_answers`` then says which reached the limit, if known."""
        return self._request_answers("generate_until", requests)

    def tok_encode(self, text: str, add_special_tokens: bool | None = None) -> list[int]:
        """The engine's own tokens of a text."""
        key = json.dumps([text, add_special_tokens])
        if key not in self._last_encoded:
            step = Problem(EngineCode.ENCODING_TEXT, {})
            fields = {"do": "encode", "batch": self._batch_size, "text": text}
            self._last_encoded = {
                key: self._ask(step, special=add_special_tokens, **fields),
            }
        return self._last_encoded[key]

    def _request_answers(self, kind: str, requests: Sequence[Any]) -> list[Any]:
        from tqdm.auto import tqdm

        logger = logging.getLogger(LM_EVAL)
        with tqdm(total=len(requests), disable=True) as bar:

            def on_progress(progress: Mapping[str, Any]) -> None:
                bar.update(progress.get("moved", 0))
                for line in progress.get("logged", ()):
                    logger.warning(line)

            value = self._ask(
                Problem(EngineCode.ANSWERING_REQUESTS, {"requests": len(requests)}),
                on_progress=on_progress,
                do="score",
                kind=kind,
                batch=self._batch_size,
                seed=random.getrandbits(32),
                requests=[list(request.args) for request in requests],
            )
        if kind == "generate_until":
            self._note_cut(value["cut"])
        responses: list[Any] = value["responses"]
        return responses

    def _note_cut(self, cut: Sequence[bool] | None) -> None:
        if cut is not None:
            self.cut_answers = tuple(cut)
        elif hasattr(self, "cut_answers"):
            del self.cut_answers


def answers(lm: Any, command: Mapping[str, Any], send: Send) -> dict[str, Any]:
    """The responses of a loaded ``lm`` to a ``score`` command of `RemoteLM`.

    ``cut`` is None where the engine does not know which answers were cut. What lm-eval's
    bars and warnings say meanwhile is sent at most twice a second.
    """
    kind = command["kind"]
    if kind not in KINDS:
        raise ValueError(f"unknown kind of request {kind!r}")
    requests = list(_requests(kind, command["requests"]))
    _seed(command["seed"])
    with _report_progress(send):
        responses = getattr(lm, kind)(requests)
    cut = getattr(lm, "cut_answers", None) if kind == "generate_until" else None
    if kind == "loglikelihood":
        responses = [[float(value), bool(greedy)] for value, greedy in responses]
    elif kind == "loglikelihood_rolling":
        responses = [float(value) for value in responses]
    return {"responses": list(responses), "cut": None if cut is None else list(map(bool, cut))}


def facts(lm: Any) -> dict[str, Any]:
    """Return the facts that `RemoteLM` asks for once."""
    prefix = getattr(lm, "prefix_token_id", None)
    return {"prefix_token_id": None if prefix is None else int(prefix)}


def encoded(lm: Any, text: str, special: bool | None) -> list[int]:
    """The tokens of a text; the engine's own habit about special ones where None is given."""
    options = {} if special is None else {"add_special_tokens": special}
    return [int(token) for token in lm.tok_encode(text, **options)]


def _requests(kind: str, arguments: Sequence[Sequence[Any]]) -> Iterator[Any]:
    from lm_eval.api.instance import Instance

    for place, args in enumerate(arguments):
        yield Instance(
            request_type=kind, doc={}, arguments=tuple(args), idx=0, metadata=("", place, 1)
        )


def _seed(seed: int) -> None:
    import numpy as np

    random.seed(seed)
    np.random.seed(seed)
    # Only where it is there already: not every engine is built on it.
    import sys

    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)


class _ProgressReporter(logging.Handler):
    """Gathers what is to be told, and sends it now and then."""

    def __init__(self, send: Send) -> None:
        super().__init__(level=logging.WARNING)
        self._send = send
        self._moved = 0.0
        self._lines: list[str] = []
        self._next = time.monotonic() + _SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a message."""
        self._lines.append(record.getMessage())

    def add_progress(self, by: float) -> None:
        """Adds to how far the bars have come."""
        self._moved += by
        if time.monotonic() >= self._next:
            self.report()

    def report(self) -> None:
        """Sends what there is."""
        self._next = time.monotonic() + _SECONDS
        moved, lines = self._moved, self._lines
        self._moved, self._lines = 0.0, []
        if moved or lines:
            self._send({"moved": moved, "logged": lines})


@contextmanager
def _report_progress(send: Send) -> Iterator[None]:
    from tqdm.std import tqdm

    reporter = _ProgressReporter(send)
    logger = logging.getLogger(LM_EVAL)
    update = tqdm.update

    def update_and_report(self: Any, n: float | None = 1) -> Any:
        reporter.add_progress(n or 0)
        return update(self, n)

    logger.addHandler(reporter)
    tqdm.update = update_and_report
    try:
        yield
    finally:
        tqdm.update = update
        logger.removeHandler(reporter)
        reporter.report()
