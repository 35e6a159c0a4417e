"""Greedy answers of llama.cpp: several prompts at a time, a token of each in every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...core.codes import EngineCode
from ...core.errors import Refusal
from .native import Entry, Logits, Native

_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""What tasks call the most new tokens; the first that is given counts, as in lm-eval."""


@dataclass(frozen=True)
class GenerationRequest:
    """A prompt, and where its answer ends: after ``most`` tokens or before a stop string."""

    prompt: tuple[int, ...]
    most: int
    stops: tuple[str, ...]

    @classmethod
    def of(cls, prompt: Sequence[int], options: Mapping[str, Any], most: int) -> GenerationRequest:
        """Read a task's ``generation_kwargs``; raises Refusal for random answers."""
        temperature = float(options.get("temperature") or 0.0)
        if options.get("do_sample", temperature > 0) and temperature > 0:
            raise Refusal(EngineCode.NOT_GREEDY, temperature=temperature)
        until = options.get("until") or []
        stops = [until] if isinstance(until, str) else until
        limits = [options[name] for name in _LIMITS if options.get(name) is not None]
        return cls(
            tuple(prompt), int(limits[0]) if limits else most, tuple(stop for stop in stops if stop)
        )

    def shortened(self, room: int) -> GenerationRequest:
        """With the last ``room`` tokens of the prompt alone."""
        return replace(self, prompt=self.prompt[-room:])


@dataclass(frozen=True)
class Answer:
    """``cut`` is whether it reached the limit of new tokens, and neither end nor stop."""

    text: str
    cut: bool


class _OpenAnswer:
    """One answer under way."""

    def __init__(self, native: Native, request: GenerationRequest) -> None:
        self._native = native
        self._request = request
        self._tokens: list[int] = []
        self._raw = b""
        self._ended = False

    @property
    def position(self) -> int:
        """The position of its newest token."""
        return len(self._request.prompt) + len(self._tokens) - 1

    @property
    def last(self) -> int:
        """Its newest token."""
        return self._tokens[-1]

    @property
    def done(self) -> bool:
        """Return whether nothing is to be added."""
        return self._ended or len(self._tokens) >= self._request.most

    def add(self, token: int) -> None:
        """Takes the next token."""
        self._ended = self._native.ends(token)
        if not self._ended:
            self._tokens.append(token)
            self._raw += self._native.piece(token)
            self._ended = bool(self._request.stops) and self._stopped(self._text())

    def answer(self) -> Answer:
        """Return the answer without the stop string and what follows it."""
        text = whole = self._text()
        for stop in self._request.stops:
            text = text.partition(stop)[0]
        return Answer(text, not self._ended and not self._stopped(whole))

    def _stopped(self, text: str) -> bool:
        return any(stop in text for stop in self._request.stops)

    def _text(self) -> str:
        return self._raw.decode("utf-8", errors="replace")


def generate(
    native: Native, requests: Sequence[GenerationRequest], sequences: int, limit: int
) -> Iterator[list[Answer]]:
    """The answers in their order, a list for each group that was answered together.

    ``limit`` is the most tokens of one prompt with its answer; the cache holds as much.
    """
    start = 0
    while start < len(requests):
        count, cells = 0, 0
        for request in requests[start : start + sequences]:
            need = min(len(request.prompt) + request.most, limit)
            if count and cells + need > native.capacity:
                break
            count, cells = count + 1, cells + need
        yield _generate_together(native, requests[start : start + count])
        start += count


def _generate_together(native: Native, requests: Sequence[GenerationRequest]) -> list[Answer]:
    answers = [_OpenAnswer(native, request) for request in requests]
    entries: list[Entry] = []
    owners: dict[int, int] = {}
    for number, request in enumerate(requests):
        last = len(request.prompt) - 1
        entries += [
            Entry(token, at, (number,), at == last) for at, token in enumerate(request.prompt)
        ]
        owners[len(entries) - 1] = number

    def take(entry: int, logits: Logits) -> None:
        answers[owners[entry]].add(int(logits.argmax()))

    native.forget()
    native.decode(entries, take)
    while under_way := [number for number, answer in enumerate(answers) if not answer.done]:
        owners = dict(enumerate(under_way))
        native.decode(
            [
                Entry(answers[number].last, answers[number].position, (number,), True)
                for number in under_way
            ],
            take,
        )
    return [answer.answer() for answer in answers]
