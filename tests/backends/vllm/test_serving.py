"""A round of requests over an engine that answers a token of each request per step."""

from __future__ import annotations

from pytest_quantreg.backends.vllm.serving import check, serve
from pytest_quantreg.core.records.speed import Load, Request

from ...wording import refused, wrong_use


class Engine:
    """Takes a second per step; each step gives every request that it has one more token."""

    def __init__(self, *, stops_at: int | None = None) -> None:
        self.now = 0.0
        self.most = 0
        self.slept: list[float] = []
        self._stops_at = stops_at
        self._wanted: dict[str, int] = {}
        self._given: dict[str, int] = {}

    def submit(self, name: str, prompt: tuple[int, ...], tokens: int) -> None:
        """Takes a request."""
        self._wanted[name], self._given[name] = tokens, 0
        self.most = max(self.most, len(self._given))

    def step(self) -> list[tuple[str, int, bool]]:
        """A second later."""
        self.now += 1
        moved = []
        for name in list(self._given):
            self._given[name] += 1
            tokens = self._given[name]
            ended = tokens in (self._wanted[name], self._stops_at)
            if ended:
                del self._given[name]
            moved.append((name, tokens, ended))
        return moved

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        self.slept.append(seconds)
        self.now += seconds


def served(engine: Engine, load: Load) -> tuple[Request, ...]:
    """A round on the engine's own clock."""
    return serve(load, engine.submit, engine.step, lambda: engine.now, engine.sleep)


def test_requests_follow_each_other() -> None:
    """The next request enters when one has ended, never more than allowed at once."""
    engine = Engine()
    requests = served(engine, Load(((1,), (2,), (3,)), 4, 2))
    assert engine.most == 2
    assert requests == (Request(0, 1, 4, 4), Request(0, 1, 4, 4), Request(4, 5, 8, 4))


def test_arrivals_are_waited_for() -> None:
    """Nothing begins before it has arrived, and time in the queue counts."""
    engine = Engine()
    requests = served(engine, Load(((1,), (2,), (3,)), 2, 1, (10.0, 3.0, 3.5)))
    assert engine.slept == [3.0, 3.0]
    assert requests == (Request(10.0, 11, 12, 2), Request(3.0, 4, 5, 2), Request(3.5, 6, 7, 2))


def test_requests_join_while_others_run() -> None:
    """A request that arrives while another is decoded joins it: nothing waits for a batch."""
    requests = served(Engine(), Load(((1,), (2,)), 5, 8, (0.0, 1.5)))
    assert requests == (Request(0.0, 1, 5, 5), Request(1.5, 3, 7, 5))


def test_another_number_of_tokens_is_refused() -> None:
    """An engine that stops early gives no throughput of what was asked for."""
    with refused("generated 3 tokens where 8 were asked for"):
        served(Engine(stops_at=3), Load(((1,),), 8, 1))


def test_rounds_that_do_not_fit() -> None:
    """Too many positions are a refusal, tokens that do not exist wrong use."""
    check(Load(((1, 2),), 6, 1), "m", positions=8, vocabulary=10)
    with refused("m has 8 positions, and 2 prompt tokens with 7"):
        check(Load(((1, 2),), 7, 1), "m", positions=8, vocabulary=10)
    with wrong_use("none of its 10"):
        check(Load(((1, 10),), 1, 1), "m", positions=8, vocabulary=10)
