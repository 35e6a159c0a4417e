"""Times a server as its users see it: streamed answers, by the clock of this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.codes import ServerCode
from ...core.errors import Refusal
from ...core.facts import Problem
from ...core.records.speed import Load, Request
from .client import Client, ServerError, run_together, without_frames

if TYPE_CHECKING:
    import aiohttp

EXTRAS: tuple[Mapping[str, Any], ...] = (
    {"ignore_eos": True, "return_token_ids": True},
    {"ignore_eos": True},
    {},
)
"""What is asked for beyond the protocol, the most first: servers reject what they do not know.

``ignore_eos`` lets nothing end before all tokens are there (vLLM, SGLang, TensorRT-LLM,
llama.cpp), ``return_token_ids`` says how many tokens a chunk holds (vLLM).
"""

_REJECTED = (400, 422)
_TRIED_TOKENS = 2

FASTEST = 1e-4
"""Seconds per token of one request: what comes faster was not generated meanwhile."""

LEAST_STREAMED = 8
"""Shorter answers may well come in one piece."""


@dataclass
class _StreamedAnswer:
    """One answer as it comes in: times of its first and last tokens, and their number."""

    first: float | None = None
    last: float = 0.0
    counted: int = 0
    usage: Mapping[str, Any] | None = None

    def add_chunk(self, event: Mapping[str, Any], now: float) -> None:
        """Add one chunk that came at ``now``."""
        if isinstance(event.get("usage"), Mapping):
            self.usage = event["usage"]
        for choice in event.get("choices") or ():
            tokens = choice.get("token_ids")
            if tokens is None and not choice.get("text"):
                continue
            self.counted += len(tokens or ())
            if tokens is None or tokens:
                self.first = now if self.first is None else self.first
                self.last = now


class Streaming:
    """Plays rounds on one server; keeps its connections from one to the next.

    The seconds until the first token are those until the first chunk that holds any; a
    chunk may hold several. How many there were in all is the server's own count (usage),
    else the number of token ids.
    """

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self._model = model
        self._loop = asyncio.new_event_loop()
        self._session: aiohttp.ClientSession | None = None
        self._extras: Mapping[str, Any] | None = None

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Answers every prompt with exactly its number of tokens. Raises Refusal."""
        try:
            return self._loop.run_until_complete(self._round(load))
        except ServerError as error:
            step = Problem(ServerCode.STREAMING_ANSWERS, {"requests": len(load.prompts)})
            raise self._client.refusal(error, step) from None
        except BaseException as error:
            raise without_frames(error) from None

    def close(self) -> None:
        """Closes the connections; harmless the second time."""
        session, self._session = self._session, None
        if self._loop.is_closed():
            return
        if session is not None:
            self._loop.run_until_complete(session.close())
        self._loop.close()

    async def _round(self, load: Load) -> tuple[Request, ...]:
        if self._session is None:
            self._session = self._client.session()
        if self._extras is None:
            self._extras = await self._accepted(load.prompts[0])
        served: list[Request | None] = [None] * len(load.prompts)
        free = asyncio.Semaphore(load.in_flight)
        start = time.perf_counter()

        async def send_request(place: int) -> None:
            due = None if load.arrivals is None else load.arrivals[place]
            if due is not None:
                await asyncio.sleep(due - (time.perf_counter() - start))
            async with free:
                # Whoever keeps so many in flight sends the next when one has ended; at
                # times of their own, requests wait in a queue, and that counts.
                arrived = time.perf_counter() - start if due is None else due
                answer = await self._stream(load.prompts[place], load.output_tokens, start)
                count = self._count(answer, len(load.prompts[place]), load.output_tokens)
            served[place] = Request(arrived, answer.first or 0.0, answer.last, count)

        await run_together([send_request(place) for place in range(len(load.prompts))])
        requests = tuple(request for request in served if request is not None)
        _refuse_buffered(requests, load.output_tokens)
        return requests

    async def _accepted(self, prompt: tuple[int, ...]) -> Mapping[str, Any]:
        """Return the largest set of extras that the server accepts."""
        for extras in EXTRAS[:-1]:
            self._extras = extras
            with contextlib.suppress(_Rejected):
                await self._stream(prompt, _TRIED_TOKENS, time.perf_counter())
                return extras
        return EXTRAS[-1]

    async def _stream(self, prompt: tuple[int, ...], tokens: int, start: float) -> _StreamedAnswer:
        assert self._session is not None
        answer = _StreamedAnswer()
        body = {
            "model": self._model,
            "prompt": list(prompt),
            "max_tokens": tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            **(self._extras or {}),
        }
        url = f"{self._client.args.base_url}/completions"
        try:
            async with self._client.response(self._session, "POST", url, body) as response:
                async for event in _events(response):
                    answer.add_chunk(event, time.perf_counter() - start)
        except ServerError as error:
            if error.status in _REJECTED:
                raise _Rejected(error.problem, again=False, status=error.status) from None
            raise
        return answer

    def _count(self, answer: _StreamedAnswer, prompt_tokens: int, wanted: int) -> int:
        """The tokens of an answer. Raises Refusal for another number than ``wanted``."""
        usage = answer.usage or {}
        count = usage.get("completion_tokens", answer.counted or None)
        read = usage.get("prompt_tokens", prompt_tokens)
        if count is None or answer.first is None:
            raise Refusal(ServerCode.TOKENS_NOT_COUNTED)
        if read != prompt_tokens:
            raise Refusal(ServerCode.PROMPTS_CHANGED, read=read, sent=prompt_tokens)
        if count != wanted and not (self._extras or {}).get("ignore_eos"):
            raise Refusal(ServerCode.ANSWER_ENDED_EARLY, generated=count, requested=wanted)
        if count != wanted:
            raise Refusal(ServerCode.ANSWER_OF_WRONG_LENGTH, generated=count, requested=wanted)
        return int(count)


def _refuse_buffered(requests: tuple[Request, ...], tokens: int) -> None:
    """Refuses answers that came all at once: no time to a first token can be told then."""
    whole = sum(request.latency("tpot") < FASTEST for request in requests)
    if tokens >= LEAST_STREAMED and 2 * whole > len(requests):
        raise Refusal(
            ServerCode.STREAM_HELD_BACK, whole=whole, answers=len(requests), tokens=tokens
        )


class _Rejected(ServerError):
    """The server does not take a request as it is."""


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[Mapping[str, Any]]:
    """The data of server-sent events, up to ``[DONE]``. Raises ServerError for an error in them."""
    async for line in response.content:
        if not line.startswith(b"data:"):
            continue
        text = line[5:].strip()
        if text == b"[DONE]":
            return
        event = json.loads(text)
        if not isinstance(event, Mapping) or event.get("error"):
            raise ServerError(Problem(ServerCode.STREAM_BROKEN_OFF, {}), again=False)
        yield event
    raise ServerError(Problem(ServerCode.STREAM_ENDED_EARLY, {}), again=False, gone=True)
