"""Taking turns: which model plays which round when, on which prompts, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.remote import RemoteEngine
from pytest_quantreg.core.errors import Category, Refusal, WrongUse
from pytest_quantreg.core.record import Machine, ModelSpec
from pytest_quantreg.core.speed import (
    ASYNCHRONOUS,
    DeviceState,
    Footprint,
    Load,
    ModelSpeed,
    Request,
    Workload,
)
from pytest_quantreg.measure.contender import Timed
from pytest_quantreg.measure.speed import measure_alone, measure_loads, measure_pair

SHORT = Workload(rounds=4, warmup=2, prompt_tokens=6, output_tokens=8)
BATCH = Workload(batch_size=3, requests=3, rounds=4, warmup=1, prompt_tokens=5, output_tokens=9)


@dataclass
class World:
    """What all engines of a test share: the order of events, and what goes wrong when."""

    events: list[str] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    room: int = 2
    loads: dict[str, list[Load]] = field(default_factory=dict)
    spoil: Callable[[Request], Request] = lambda request: request
    fails_after: int = 10**9
    kind: str = "cpu"
    sleepers: bool = False

    def opener(self, name: str, seconds: float = 1.0) -> Callable[[], Timed]:
        """Starts an engine of that name, each round of which takes so long."""
        return lambda: FakeEngine(self, name, seconds)

    def rounds(self, name: str, output_tokens: int = 8) -> list[Load]:
        """The loads of a model that had so many tokens to generate."""
        return [one for one in self.loads[name] if one.output_tokens == output_tokens]


class FakeEngine:
    """An engine in this process that answers at once."""

    def __init__(self, world: World, name: str, seconds: float) -> None:
        world.events.append(f"+{name}")
        if len(world.alive) >= world.room:
            raise Refusal(Category.OUT_OF_MEMORY, f"{name} does not fit")
        world.alive.add(name)
        self.world, self.name, self.seconds = world, name, seconds
        self.load_seconds = 10.0 + len(world.events)
        self.machine = Machine(world.kind, "fake")
        self.served = 0
        self.can_sleep = world.sleepers

    def serve(self, load: Load) -> tuple[Request, ...]:
        if self.served >= self.world.fails_after:
            raise Refusal(Category.ENGINE, f"{self.name} broke")
        self.served += 1
        self.world.loads.setdefault(self.name, []).append(load)
        if load.output_tokens > 4:
            self.world.events.append(self.name)
        return tuple(
            self.world.spoil(Request(0.0, self.seconds / 2, self.seconds, load.output_tokens))
            for _ in load.prompts
        )

    def footprint(self) -> Footprint:
        return Footprint({"bf16": 7}, weights=100 + self.served, peak=1000 + self.served)

    def forget_peak(self) -> None:
        self.world.events.append(f"forget {self.name}")

    def copy_bandwidth(self) -> float | None:
        return 5.0

    def state(self) -> DeviceState:
        return DeviceState(temperature_c=float(self.served), others=3.0)

    def sleep(self) -> None:
        self.world.alive.remove(self.name)
        self.world.events.append(f"sleep {self.name}")

    def wake(self) -> None:
        self.world.alive.add(self.name)
        self.world.events.append(f"wake {self.name}")

    def close(self) -> None:
        self.world.alive.discard(self.name)
        self.world.events.append(f"-{self.name}")


def pair(world: World, *workloads: Workload, **how: Any) -> tuple[ModelSpeed, ModelSpeed]:
    """Measures A against B, B twice as fast."""
    settings = {"exclusive": False, "seed": 1, "vocab_size": 50, "say": world.said.append, **how}
    return measure_pair(
        world.opener("A", 2.0), world.opener("B", 1.0), workloads, names=("A", "B"), **settings
    )


def played(world: World) -> str:
    """The counted and warm-up rounds in order, as ``AABB``, starts and ends left out."""
    return "".join(event for event in world.events if event in ("A", "B"))


def test_both_alternate_by_round_and_who_went_second_goes_first() -> None:
    """After both warm-ups the order is AB BA AB BA, in two processes that live at once."""
    world = World()
    baseline, quantized = pair(world, SHORT)
    assert played(world) == "AABB" + "ABBAABBA"
    assert world.events[:2] == ["+B", "+A"]
    assert world.events[-2:] == ["-A", "-B"]
    assert [len(one.series[0].rounds) for one in (baseline, quantized)] == [4, 4]
    assert quantized.series[0].throughputs() == (8.0,) * 4
    assert baseline.series[0].throughputs() == (4.0,) * 4
    assert {one.block for one in baseline.series[0].rounds} == {0}


def test_both_get_the_same_prompts_and_no_round_those_of_another() -> None:
    """Round for round the same tokens, every prompt new, all of them in the vocabulary."""
    world = World()
    pair(world, replace(SHORT, requests=2))
    ours, theirs = world.rounds("A"), world.rounds("B")
    assert ours == theirs
    prompts = [prompt for load in world.loads["A"] for prompt in load.prompts]
    # 6 rounds of 2, and 4 of 1 before them that do not count.
    assert len(set(prompts)) == 6 * 2 + 4
    assert {len(prompt) for prompt in prompts} == {6}
    assert all(0 <= token < 50 for prompt in prompts for token in prompt)


def test_prompts_depend_on_the_seed_alone() -> None:
    """The same seed asks the same in a pair and alone, another one something else."""
    loads = []
    for seed in (1, 1, 2):
        world = World()
        pair(world, SHORT, seed=seed)
        loads.append(world.rounds("A"))
    alone = World()
    measure_alone(
        alone.opener("A"), [SHORT], seed=1, vocab_size=50, say=alone.said.append, name="A"
    )
    assert loads[0] == loads[1] == alone.rounds("A")
    assert loads[0] != loads[2]


def test_each_takes_the_device_over_before_its_round() -> None:
    """A few tokens that do not count go before every round of a pair, none when alone."""
    world = World()
    pair(world, SHORT)
    counts = [load.output_tokens for load in world.loads["A"]]
    assert counts == [8, 8] + [4, 8] * 4
    alone = World()
    measure_alone(alone.opener("A"), [SHORT], seed=1, vocab_size=50, say=print)
    assert [load.output_tokens for load in alone.loads["A"]] == [8] * 6


def test_all_workloads_on_one_pair_of_processes() -> None:
    """Several workloads are measured one after another without loading anew."""
    world = World()
    baseline, _ = pair(world, SHORT, BATCH)
    assert [event for event in world.events if event[0] in "+-"] == ["+B", "+A", "-A", "-B"]
    assert [one.workload for one in baseline.series] == [SHORT, BATCH]
    assert played(world)[12:] == "AB" + "ABBAABBA"
    assert all(len(one.requests) == 3 for one in baseline.series[1].rounds)


def test_footprint_before_and_after() -> None:
    """Dtypes are those before the first forward, weights and peak those after the rounds."""
    world = World()
    baseline, _ = pair(world, SHORT)
    served = 2 + 2 * 4
    assert baseline.footprint == Footprint({"bf16": 7}, weights=100 + served, peak=1000 + served)
    assert baseline.bandwidth == 5.0
    # After warm-up, so that loading is forgotten, and before anything counts.
    assert world.events.index("forget A") == 4
    assert world.events.count("forget A") == 1
    assert [one.temperature_c for one in baseline.states] == [2.0, served]


@pytest.mark.parametrize(("kind", "others"), [("cuda", 2.0), ("cpu", 3.0)])
def test_the_other_model_is_no_stranger_on_the_card(kind: str, others: float) -> None:
    """Of the other processes on a card one is ours; a load average is left as it is."""
    baseline, _ = pair(World(kind=kind), SHORT)
    assert {one.others for one in baseline.states} == {others}


def test_engines_that_take_the_whole_device_take_turns_by_block() -> None:
    """One process at a time, A BB AA BB A, and pair i of both has the same number."""
    world = World(room=1)
    baseline, quantized = pair(world, SHORT, exclusive=True, blocks=4)
    starts = [event for event in world.events if event[0] in "+-"]
    assert starts == ["+A", "-A", "+B", "-B", "+A", "-A", "+B", "-B", "+A", "-A"]
    assert played(world) == "AAA" + "BBBB" + "AAAA" + "BBBB" + "AAA"
    for speed in (baseline, quantized):
        assert [one.block for one in speed.series[0].rounds] == [0, 1, 2, 3]
    assert (len(baseline.load_seconds), len(quantized.load_seconds)) == (3, 2)
    assert world.said[0] == (
        "one model at a time: 4 blocks of each in turn, 5 starts with a warm-up each, "
        "4 rounds of each model in all"
    )
    assert any("4 loads to go" in line for line in world.said)


def test_rounds_are_shared_out_among_blocks() -> None:
    """No round is lost, none played twice, both models play the same ones in a block."""
    world = World(room=1)
    workloads = (replace(SHORT, rounds=10, warmup=0), replace(BATCH, rounds=7, warmup=0))
    baseline, quantized = pair(world, *workloads, exclusive=True, blocks=4)
    for one, other in zip(baseline.series, quantized.series, strict=True):
        blocks = [played.block for played in one.rounds]
        assert blocks == [played.block for played in other.rounds]
        assert blocks == sorted(blocks)
        assert len(blocks) == one.workload.rounds
        assert set(blocks) == {0, 1, 2, 3}
    assert sorted(map(repr, world.rounds("A"))) == sorted(map(repr, world.rounds("B")))
    assert len(set(world.rounds("A"))) == 10


def test_no_more_blocks_than_rounds() -> None:
    """A block without a round would be a load for nothing."""
    world = World(room=1)
    baseline, _ = pair(world, replace(SHORT, rounds=2), exclusive=True, blocks=6)
    assert [one.block for one in baseline.series[0].rounds] == [0, 1]


def test_sleepers_are_woken_instead_of_started() -> None:
    """An engine that can leave the device is loaded once and warmed up after each waking."""
    world = World(room=1, sleepers=True)
    baseline, _ = pair(world, SHORT, exclusive=True, blocks=4)
    kept = [event for event in world.events if event not in ("A", "B", "forget A", "forget B")]
    assert kept == [
        *("+A", "sleep A", "+B", "sleep B", "wake A", "sleep A"),
        *("wake B", "sleep B", "wake A", "sleep A", "-A", "-B"),
    ]
    assert played(world) == "AAA" + "BBBB" + "AAAA" + "BBBB" + "AAA"
    assert len(baseline.load_seconds) == 1


def test_two_that_do_not_fit_together_take_turns() -> None:
    """Out of memory beside the other model is no refusal: they go on one at a time, said so."""
    world = World(room=1)
    baseline, quantized = pair(world, SHORT)
    assert world.events[:4] == ["+B", "+A", "-B", "+A"]
    assert [one.block for one in baseline.series[0].rounds] == [0, 1, 2, 3]
    assert len(quantized.series[0].rounds) == 4
    assert "A and B do not fit into memory together" in world.said
    assert world.alive == set()


def test_one_that_does_not_fit_by_itself_is_refused() -> None:
    """Where even a single model does not fit there are no turns to take."""
    world = World(room=0)
    with pytest.raises(Refusal, match="B does not fit") as caught:
        pair(world, SHORT)
    assert caught.value.category is Category.OUT_OF_MEMORY
    assert world.events == ["+B"]


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_failure_leaves_no_process(exclusive: bool) -> None:
    """When an engine fails in the midst of it, both end, and the message says when it was."""
    world = World(fails_after=3)
    with pytest.raises(Refusal, match="broke") as caught:
        pair(world, SHORT, exclusive=exclusive)
    assert world.alive == set()
    assert any(", batch 1" in line for line in caught.value.help)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output_tokens": 7}, "generated 7 tokens where 8 were asked for"),
        ({"ended": float("nan")}, "impossible times"),
        ({"ended": float("inf")}, "impossible times"),
        ({"first_token": 1e6}, "impossible times"),
        ({"arrived": -1.0}, "impossible times"),
        ({"arrived": 0.0, "first_token": 0.0, "ended": 0.0}, "impossible times"),
    ],
)
def test_unequal_work_and_impossible_times_are_refused(change: Any, words: str) -> None:
    """Fewer tokens, or times that cannot be, are never compared."""
    world = World(spoil=lambda request: replace(request, **change))
    with pytest.raises(Refusal, match=words) as caught:
        pair(world, SHORT)
    assert caught.value.category is Category.ENGINE
    assert "A, batch 1" in caught.value.what


def test_missing_answers_are_refused() -> None:
    """An engine that drops a request has done less work."""
    world = World()

    class Dropping(FakeEngine):
        def serve(self, load: Load) -> tuple[Request, ...]:
            return super().serve(load)[1:]

    with pytest.raises(Refusal, match="answered 2 of 3 requests"):
        measure_alone(lambda: Dropping(world, "A", 1.0), [BATCH], seed=1, vocab_size=9, say=print)


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        (replace(SHORT, rounds=0), "rounds is 0"),
        (replace(SHORT, warmup=-1), "warmup is -1"),
        (replace(SHORT, output_tokens=0), "output_tokens is 0"),
        (replace(SHORT, deployment="parallel"), "'parallel' is not known"),
        (replace(SHORT, batch_size=4), "never has 4 of them under way"),
        (replace(SHORT, deployment=ASYNCHRONOUS, request_rate=0.0), "request_rate is 0.0"),
    ],
)
def test_workloads_that_cannot_be_what_they_say(workload: Workload, words: str) -> None:
    """A batch of 64 with one request in it, or no rounds: refused before anything starts."""
    world = World()
    with pytest.raises(WrongUse, match=words):
        pair(world, workload)
    assert world.events == []


def test_no_workload_and_the_same_twice() -> None:
    """Neither is a measurement."""
    with pytest.raises(WrongUse, match="no workload"):
        pair(World())
    with pytest.raises(WrongUse, match="given twice"):
        pair(World(), SHORT, SHORT)


def test_arrivals_are_those_of_the_rate() -> None:
    """Gaps are exponential with mean 1/rate, the same for both models, others each round."""
    world = World()
    workload = Workload(ASYNCHRONOUS, 8, 4, 8, rounds=3, warmup=0, requests=1000, request_rate=5.0)
    pair(world, workload)
    arrivals = [load.arrivals for load in world.rounds("A")]
    assert arrivals == [load.arrivals for load in world.rounds("B")]
    assert len(set(arrivals)) == 3
    for one in arrivals:
        assert one is not None
        assert list(one) == sorted(one)
        # The sum of 1,000 gaps has mean 200 and standard deviation 6.3.
        assert 175 < one[-1] < 225
        assert one[0] > 0
    assert {load.in_flight for load in world.rounds("A")} == {8}


def test_what_is_said_before_it_takes_long() -> None:
    """Starts, and after the warm-up how many rounds of how long."""
    world = World()
    pair(world, SHORT)
    assert world.said == [
        "starting B in a process of its own",
        "starting A in a process of its own",
        "batch 1: 4 rounds of about 2 s (A) and 1 s (B), in turn",
    ]
    alone = World()
    measure_alone(alone.opener("A"), [SHORT], seed=1, vocab_size=9, say=alone.said.append)
    assert alone.said[-1] == "batch 1: 4 rounds of about 1 s"
    cold = World()
    pair(cold, replace(SHORT, warmup=0, rounds=1))
    assert cold.said[-1] == "batch 1: 1 round"


def test_more_loads_for_load_times_alone() -> None:
    """Further processes are started, asked nothing and ended, in turn."""
    world = World()
    baseline, quantized = pair(world, SHORT, extra_loads=2)
    assert world.events[-8:] == ["+A", "-A", "+B", "-B"] * 2
    assert (len(baseline.load_seconds), len(quantized.load_seconds)) == (3, 3)
    assert len(measure_loads(world.opener("A"), 3)) == 3
    assert world.alive == set()
    alone = measure_alone(
        world.opener("A"), [SHORT], seed=1, vocab_size=9, say=print, extra_loads=1
    )
    assert len(alone.load_seconds) == 2


def scripted(folder: Path, **speed: Any) -> Callable[[], RemoteEngine]:
    """Starts a scripted model in a real process."""
    folder.mkdir()
    (folder / "scripted.json").write_text(json.dumps({"speed": speed}), encoding="utf-8")
    spec = ModelSpec(str(folder), folder.name, "native", "scripted")
    return lambda: RemoteEngine.start(spec, cache_dir=folder, timeout=20)


@pytest.mark.parametrize("exclusive", [False, True])
def test_through_real_processes(tmp_path: Path, exclusive: bool) -> None:
    """The double, in processes of its own, gives the times of its script in either order."""
    baseline, quantized = measure_pair(
        scripted(tmp_path / "slow", seconds_to_first=0.1, seconds_per_token=0.1),
        scripted(tmp_path / "fast", seconds_to_first=0.1, seconds_per_token={"1": 0.05, "3": 0.2}),
        [SHORT, BATCH],
        exclusive=exclusive,
        seed=1,
        vocab_size=100,
        say=lambda line: None,
    )
    assert baseline.series[0].throughputs() == pytest.approx([8 / 0.8] * 4)
    assert quantized.series[0].throughputs() == pytest.approx([8 / 0.45] * 4)
    assert quantized.series[1].throughputs() == pytest.approx([27 / 1.7] * 4)
    assert quantized.load_seconds[0] == 1.0
    assert quantized.footprint.weights == 1000


def test_two_real_processes_that_do_not_fit_together(tmp_path: Path) -> None:
    """Out of memory in one process while the other lives: both are ended and take turns."""
    marker = tmp_path / "alive"
    opener = scripted(tmp_path / "m")

    def second() -> RemoteEngine:
        if marker.exists():
            return scripted(
                tmp_path / f"full{len(list(tmp_path.iterdir()))}", out_of_memory="load"
            )()
        return opener()

    def first() -> RemoteEngine:
        engine = opener()
        marker.touch()
        close = engine.close

        def closing() -> None:
            close()
            marker.unlink(missing_ok=True)

        engine.close = closing  # type: ignore[method-assign]
        return engine

    said: list[str] = []
    # The quantized one starts first, so the baseline is the second that does not fit.
    baseline, quantized = measure_pair(
        second, first, [SHORT], exclusive=False, seed=1, vocab_size=9, say=said.append, blocks=2
    )
    assert "baseline and quantized do not fit into memory together" in said
    assert [one.block for one in baseline.series[0].rounds] == [0, 0, 1, 1]
    assert [one.block for one in quantized.series[0].rounds] == [0, 0, 1, 1]
