"""Requests that fail: which are sent again, after which waits, and what is told in the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_quantreg.backends.openai.client import Client, ServerError, run
from pytest_quantreg.core.codes import EngineCode, ServerCode
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.facts import Problem
from pytest_quantreg.report.words import words_of

from .scripted_server import ScriptedServer

MakeClient = Callable[..., Client]
BODY = {"model": "tiny-llama", "prompt": [0, 5], "max_tokens": 4}


def ask(client: Client, count: int = 1) -> list[Any]:
    """So many completions at once."""
    return run(client.answers("completions", [BODY] * count, lambda place: None))


@pytest.mark.parametrize("failure", [503, 429, 500, "drop"])
def test_retries_with_backoff(
    client: MakeClient, server: ScriptedServer, waits: list[float], failure: int | str
) -> None:
    """What may pass is tried again, after waits that double."""
    server.failures = [failure, failure, failure]
    assert ask(client())[0]["choices"][0]["text"] == "x"
    assert waits == [0.5, 1.0, 2.0]


def test_waits_have_an_end(client: MakeClient, server: ScriptedServer, waits: list[float]) -> None:
    """However often it is tried, no wait is longer than ten seconds."""
    server.failures = [503] * 8
    ask(client(max_retries=8))
    assert max(waits) == 10.0


def test_gives_up(client: MakeClient, server: ScriptedServer, waits: list[float]) -> None:
    """After the last try it is told what happened and how often it was tried."""
    server.failures = [503] * 3
    sender = client(max_retries=2)
    with pytest.raises(ServerError) as caught:
        ask(sender)
    refusal = sender.refusal(caught.value, Problem(EngineCode.ANSWERING_REQUESTS, {"requests": 2}))
    assert refusal.category is Category.ENGINE
    assert words_of(refusal.problem).what == (
        f"the server at {server.url} answered 503: scripted 503, asked 3 times, "
        "while answering 2 requests"
    )
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("status", "help"),
    [(400, "own log"), (401, "OPENAI_API_KEY"), (404, "usually ends in /v1")],
)
def test_what_cannot_help_is_not_tried_again(
    client: MakeClient, server: ScriptedServer, waits: list[float], status: int, help: str
) -> None:
    """A request that is wrong stays so: it is sent once, and the way out is named."""
    server.failures = [status]
    sender = client()
    with pytest.raises(ServerError) as caught:
        ask(sender)
    assert help in words_of(sender.refusal(caught.value).problem).help[0]
    assert waits == []
    assert len(server.seen) == 1


def test_time_out(client: MakeClient, server: ScriptedServer) -> None:
    """A server that does not answer in time is told so, with the argument that gives more."""
    server.failures = ["hang"]
    sender = client(timeout=0.3, max_retries=0)
    with pytest.raises(ServerError) as caught:
        ask(sender)
    assert words_of(caught.value.problem).what == "did not answer within 0.3 s"
    assert (
        "--quant-backend-arg=timeout=0.6" in words_of(sender.refusal(caught.value).problem).help[0]
    )


def test_a_time_out_is_tried_again(client: MakeClient, server: ScriptedServer) -> None:
    """One that hangs once is asked once more."""
    server.failures = ["hang"]
    assert ask(client(timeout=0.3))[0]["choices"]


def test_nobody_listens(client: MakeClient, server: ScriptedServer, waits: list[float]) -> None:
    """Where no server is any more all tries are made, and its end is told."""
    sender = client()
    server.stop()
    with pytest.raises(ServerError) as caught:
        ask(sender)
    said = words_of(caught.value.problem).what
    assert re.search(r"cannot be reached \(.*\), asked 4 times", said)
    assert caught.value.gone
    assert waits == [0.5, 1.0, 2.0]


def test_not_json(client: MakeClient, server: ScriptedServer, waits: list[float]) -> None:
    """A page of a proxy in place of an answer is named as what it is not."""
    server.failures = ["page"]
    with pytest.raises(ServerError) as caught:
        ask(client())
    assert caught.value.problem.code is ServerCode.ANSWER_IS_NOT_JSON
    assert words_of(caught.value.problem).help == ("look at the server's own log",)
    assert waits == []


@pytest.mark.parametrize("wanted", [1, 3])
def test_requests_at_once(client: MakeClient, server: ScriptedServer, wanted: int) -> None:
    """As many requests are under way as num_concurrent says; answers keep their order."""
    server.pause = 0.02
    sender = client(num_concurrent=wanted)
    bodies = [{**BODY, "prompt": f"What is {number} plus {number}?"} for number in range(9)]
    places: list[int] = []
    answers = run(sender.answers("completions", bodies, places.append))
    assert [answer["choices"][0]["text"] for answer in answers] == [str(2 * n) for n in range(9)]
    assert server.most_under_way == wanted
    assert sorted(places) == list(range(9))


def test_one_failure_ends_the_others(client: MakeClient, server: ScriptedServer) -> None:
    """When one request fails for good, those not sent yet are not sent."""
    server.failures = [400]
    server.pause = 0.02
    with pytest.raises(ServerError):
        ask(client(num_concurrent=2), count=50)
    assert len(server.seen) < 10


def test_interrupting(client: MakeClient, server: ScriptedServer) -> None:
    """An interruption passes through, at once, without the frames of third parties."""
    server.failures = ["hang"]

    async def interrupted() -> None:
        task = asyncio.ensure_future(client().answers("completions", [BODY], print))
        await asyncio.sleep(0.1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError) as caught:
        run(interrupted())
    assert caught.value.__context__ is None
    assert all("aiohttp" not in str(entry.path) for entry in caught.traceback)
