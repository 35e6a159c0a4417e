"""Which generated answers ran into the limit of new tokens instead of ending by themselves."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from typing import Any


class Numbered(str):
    """A prompt that knows the place of its request; equal to the same text without."""

    at: int


def number_prompts(requests: Sequence[Any]) -> Iterator[Any]:
    """Copies of generation requests whose prompts are `Numbered`."""
    for at, request in enumerate(requests):
        prompt, options = request.args
        prompt = Numbered(prompt)
        prompt.at = at
        numbered_request = copy(request)
        numbered_request.arguments = (prompt, options)
        yield numbered_request


class CutRecorder:
    """Stands in for HFLM's cache hook, which hears of every answer with its prompt.

    HFLM sorts prompts by length and returns texts alone, so this is where an answer can
    still be told from the others. ``cut`` has one entry per request.
    """

    def __init__(self, requests: int) -> None:
        self.cut = [False] * requests
        self._batch: deque[bool] = deque()

    def note_batch(self, cut: Sequence[bool]) -> None:
        """Note which answers of the batch just generated were cut, in its order."""
        self._batch = deque(cut)

    def add_partial(self, _: str, request: tuple[Numbered, Any], __: str) -> None:
        """Called by HFLM for each answer of a batch, in its order."""
        self.cut[request[0].at] = self._batch.popleft()


@contextmanager
def record_cut_answers(lm: Any, requests: int) -> Iterator[None]:
    """Record cut answers while ``lm`` generates; set its ``cut_answers`` afterwards."""
    hook, recorder = lm.cache_hook, CutRecorder(requests)
    lm.cache_hook = recorder
    try:
        yield
    finally:
        lm.cache_hook = hook
    lm.cut_answers = tuple(recorder.cut)


def find_cut_rows(
    rows: Sequence[Sequence[int]], limit: int, ends: set[int], stops: Sequence[str], decode: Any
) -> list[bool]:
    """Per generated row whether it has ``limit`` tokens and neither ended nor was stopped.

    ``rows`` hold the new tokens alone, all equally long: a row that ended early is padded
    after its end token, and one that was stopped goes on until the whole batch is done.
    """
    if not rows or len(rows[0]) < limit:
        return [False] * len(rows)
    return [not ends.intersection(row) and not _stopped(decode(row), stops) for row in rows]


def _stopped(text: str, stops: Sequence[str]) -> bool:
    return any(stop in text for stop in stops if stop)
