"""Streamed answers: their times, how their tokens are counted, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantreg.backends.openai import OpenaiBackend
from pytest_quantreg.backends.openai.engine import OpenaiEngine
from pytest_quantreg.core.records.speed import DeviceState, Footprint, Load
from pytest_quantreg.measure.speed.rounds import check_answers
from pytest_quantreg.report.words import words_of

from ...wording import refused, wrong_use
from .conftest import Spec
from .scripted_server import ScriptedServer

TOKENS = 12


def load(requests: int = 6, in_flight: int = 2, **options: Any) -> Load:
    """Prompts of three tokens each."""
    prompts = tuple((5, 6, 7 + number) for number in range(requests))
    return Load(prompts, TOKENS, in_flight, **options)


@pytest.fixture
def engine(backend: OpenaiBackend, spec: Spec) -> Any:
    """A loaded engine, closed in the end."""
    made = backend.load(spec())
    yield made
    made.close()


def test_a_round(engine: OpenaiEngine, server: ScriptedServer) -> None:
    """Each request is sent as token ids, ends after all its tokens, and keeps to its turn."""
    server.most_under_way = 0
    requests = engine.serve(load())
    check_answers(requests, load(), "here", "all at once")
    assert server.most_under_way == 2
    sent = [body for body in server.seen if body.get("stream")][-6:]
    assert sorted(body["prompt"][2] for body in sent) == list(range(7, 13))
    assert all(body["max_tokens"] == TOKENS and body["ignore_eos"] for body in sent)
    # Two at a time: the last cannot begin before two others have ended.
    ended = sorted(request.ended for request in requests)
    assert max(request.arrived for request in requests) >= ended[1]
    assert all(request.latency("tpot") > 0 for request in requests)


def test_arrivals(engine: OpenaiEngine) -> None:
    """Requests with a time of their own begin no earlier, and waiting in the queue counts."""
    times = (0.0, 0.05, 0.1, 0.1)
    requests = engine.serve(load(4, 1, arrivals=times))
    assert tuple(request.arrived for request in requests) == times
    assert all(request.first_token > request.arrived for request in requests)
    # Those that arrive together are served one after the other.
    first, second = sorted(requests[2:], key=lambda request: request.ended)
    assert second.first_token >= first.ended > first.first_token


@pytest.mark.parametrize("usage", [True, False])
def test_chunks_of_several_tokens(
    engine: OpenaiEngine, server: ScriptedServer, usage: bool
) -> None:
    """Tokens are counted by the server's usage, or by token ids, never by chunks."""
    server.chunk, server.usage = 3, usage
    assert {request.output_tokens for request in engine.serve(load())} == {TOKENS}


@pytest.mark.parametrize(
    "unknown", [("return_token_ids",), ("ignore_eos",), ("ignore_eos", "return_token_ids")]
)
def test_what_a_server_does_not_know(
    engine: OpenaiEngine, server: ScriptedServer, unknown: tuple[str, ...]
) -> None:
    """A field that it rejects is left out of all requests after the first tries."""
    server.unknown = unknown
    assert {request.output_tokens for request in engine.serve(load())} == {TOKENS}
    server.seen.clear()
    engine.serve(load())
    assert len(server.seen) == 6


def test_uncounted(engine: OpenaiEngine, server: ScriptedServer) -> None:
    """Without usage and token ids nobody knows how much was done: refused."""
    server.unknown, server.usage = ("return_token_ids",), False
    with refused("does not say how many tokens"):
        engine.serve(load())


@pytest.mark.parametrize(
    ("unknown", "way_out"),
    [((), "too long for it together"), (("ignore_eos",), "rejects ignore_eos")],
)
def test_fewer_tokens(
    engine: OpenaiEngine, server: ScriptedServer, unknown: tuple[str, ...], way_out: str
) -> None:
    """An answer that ended early is refused; the way out depends on who ended it."""
    server.short, server.unknown = 1, unknown
    with refused(f"generated {TOKENS - 1} tokens where {TOKENS}") as caught:
        engine.serve(load())
    assert way_out in words_of(caught.value.problem).help[1]


def test_all_in_one_piece(engine: OpenaiEngine, server: ScriptedServer) -> None:
    """A stream that something holds back has no time to its first token: refused."""
    server.chunk = TOKENS
    with refused("sent 6 of 6 answers of 12 tokens in one piece") as caught:
        engine.serve(load())
    assert "a proxy that buffers" in words_of(caught.value.problem).help[1]


@pytest.mark.parametrize("failure", [503, 400, "drop", "die"])
def test_failures_are_not_tried_again(
    engine: OpenaiEngine, server: ScriptedServer, failure: int | str
) -> None:
    """A round with a failed request is no round: refused with what happened, not repeated."""
    engine.serve(load())
    server.seen.clear()
    server.failures = [failure]
    with refused("while streaming the answers to 6 requests"):
        engine.serve(load())
    assert len(server.seen) < 6


def test_what_nobody_can_tell(engine: OpenaiEngine) -> None:
    """Memory, load time and the device's state are unknown, not zero."""
    assert engine.footprint() == Footprint()
    assert engine.state() == DeviceState()
    assert engine.copy_bandwidth() is None
    assert engine.load_seconds != engine.load_seconds


def test_closing(engine: OpenaiEngine) -> None:
    """Closed twice does no harm, and used after that is wrong use."""
    engine.serve(load())
    engine.close()
    engine.close()
    with wrong_use("not in use any more"):
        engine.serve(load())
    with wrong_use("not in use any more"):
        engine.lm(1)
