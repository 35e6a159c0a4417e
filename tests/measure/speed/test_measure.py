"""Taking turns: which model plays which round when, on which prompts, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.speed import ASYNCHRONOUS, Footprint, Load, Request, Workload
from pytest_quantreg.measure.speed.measure import measure_alone

from ...wording import refused, says, wrong_use
from .speed_world import BATCH, SHORT, FakeEngine, World, pair, played


def test_both_alternate_by_round_and_who_went_second_goes_first() -> None:
    """After both warm-ups the order is AB BA AB BA, in two processes that live at once."""
    world = World()
    baseline, quantized = pair(world, SHORT)
    assert played(world) == "AABB" + "ABBAABBA"
    assert world.events[:2] == ["+B", "+A"]
    assert world.events[-2:] == ["-A", "-B"]
    assert [len(speed.series[0].rounds) for speed in (baseline, quantized)] == [4, 4]
    assert quantized.series[0].throughputs() == (8.0,) * 4
    assert baseline.series[0].throughputs() == (4.0,) * 4
    assert {round_.block for round_ in baseline.series[0].rounds} == {0}


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
    assert [series.workload for series in baseline.series] == [SHORT, BATCH]
    assert played(world)[12:] == "AB" + "ABBAABBA"
    assert all(len(round_.requests) == 3 for round_ in baseline.series[1].rounds)


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
    assert [state.temperature_c for state in baseline.states] == [2.0, served]


@pytest.mark.parametrize(
    ("kind", "others", "load"), [("cuda", 2.0, None), ("rocm", 2.0, None), ("cpu", None, 3.0)]
)
def test_the_other_model_is_no_stranger_on_the_card(
    kind: str, others: float | None, load: float | None
) -> None:
    """Of the other processes on a card one is ours; a load average is left as it is."""
    baseline, _ = pair(World(kind=kind), SHORT)
    assert {state.others for state in baseline.states} == {others}
    assert {state.load_average for state in baseline.states} == {load}


def test_engines_that_take_the_whole_device_take_turns_by_block() -> None:
    """A B B A A B B A, each block in a process of its own, pair i of both with one number."""
    world = World(room=1)
    baseline, quantized = pair(world, SHORT, exclusive=True, blocks=4)
    starts = [event for event in world.events if event[0] in "+-"]
    assert starts == [f"{sign}{name}" for name in "ABBAABBA" for sign in "+-"]
    # Two rounds of warm-up before each block of one.
    assert played(world) == "".join(name * 3 for name in "ABBAABBA")
    for speed in (baseline, quantized):
        assert [round_.block for round_ in speed.series[0].rounds] == [0, 1, 2, 3]
        assert len(speed.load_seconds) == 4
    assert world.said[0] == (
        "one model at a time: 4 blocks of each in turn, 8 starts with a warm-up each, "
        "4 rounds of each model in all"
    )
    assert any("7 loads to go" in line for line in world.said)


def test_what_blocks_cost_is_announced() -> None:
    """Twelve starts unless told otherwise; that, and the first load time, must reach a log."""
    world, announced = World(room=1), list[str]()
    pair(world, replace(SHORT, rounds=6), exclusive=True, announce=announced.append)
    assert sum(event[0] == "+" for event in world.events) == 12
    assert announced == [
        "one model at a time: 6 blocks of each in turn, 12 starts with a warm-up each, "
        "6 rounds of each model in all",
        "A took 11 s to load; 11 loads to go",
    ]
    assert not set(announced) & set(world.said)
    quiet = World()
    pair(quiet, SHORT, announce=announced.append)
    assert len(announced) == 2


def test_rounds_are_shared_out_among_blocks() -> None:
    """No round is lost, none played twice, both models play the same ones in a block."""
    world = World(room=1)
    workloads = (replace(SHORT, rounds=10, warmup=0), replace(BATCH, rounds=7, warmup=0))
    baseline, quantized = pair(world, *workloads, exclusive=True, blocks=4)
    for series, other in zip(baseline.series, quantized.series, strict=True):
        blocks = [played.block for played in series.rounds]
        assert blocks == [played.block for played in other.rounds]
        assert blocks == sorted(blocks)
        assert len(blocks) == series.workload.rounds
        assert set(blocks) == {0, 1, 2, 3}
    assert sorted(map(repr, world.rounds("A"))) == sorted(map(repr, world.rounds("B")))
    assert len(set(world.rounds("A"))) == 10


def test_no_more_blocks_than_rounds() -> None:
    """A block without a round would be a load for nothing."""
    world = World(room=1)
    baseline, _ = pair(world, replace(SHORT, rounds=2), exclusive=True, blocks=6)
    assert [round_.block for round_ in baseline.series[0].rounds] == [0, 1]


def test_sleepers_are_woken_instead_of_started() -> None:
    """An engine that can leave the device is loaded once and warmed up after each waking."""
    world = World(room=1, sleepers=True)
    baseline, _ = pair(world, SHORT, exclusive=True, blocks=4)
    kept = [event for event in world.events if event not in ("A", "B", "forget A", "forget B")]
    assert kept == [
        *("+A", "sleep A", "+B", "sleep B"),
        *(f"{act} {name}" for name in "BAABBA" for act in ("wake", "sleep")),
        *("-A", "-B"),
    ]
    assert played(world) == "".join(name * 3 for name in "ABBAABBA")
    assert len(baseline.load_seconds) == 1


def test_two_that_do_not_fit_together_take_turns() -> None:
    """Out of memory beside the other model is no refusal: they go on one at a time, said so."""
    world = World(room=1)
    baseline, quantized = pair(world, SHORT)
    assert world.events[:4] == ["+B", "+A", "-B", "+A"]
    assert [round_.block for round_ in baseline.series[0].rounds] == [0, 1, 2, 3]
    assert len(quantized.series[0].rounds) == 4
    assert "A and B do not fit into memory together" in world.said
    assert world.alive == set()


def test_one_that_does_not_fit_by_itself_is_refused() -> None:
    """Where even a single model does not fit there are no turns to take."""
    world = World(room=0)
    with refused("B does not fit") as caught:
        pair(world, SHORT)
    assert caught.value.category is Category.OUT_OF_MEMORY
    assert world.events == ["+B"]


@pytest.mark.parametrize(("exclusive", "fails_after"), [(False, 3), (True, 2)])
def test_a_failure_leaves_no_process(exclusive: bool, fails_after: int) -> None:
    """When an engine fails in the midst of it, both end, and the message says when it was."""
    world = World(fails_after=fails_after)
    with refused("broke") as caught:
        pair(world, SHORT, exclusive=exclusive)
    assert world.alive == set()
    assert says(caught.value).endswith("\n  it was in round 1 of 4, batch 1")


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
    with refused(words) as caught:
        pair(world, SHORT)
    assert caught.value.category is Category.ENGINE
    assert says(caught.value).startswith("A, batch 1: ")


def test_missing_answers_are_refused() -> None:
    """An engine that drops a request has done less work."""
    world = World()

    class Dropping(FakeEngine):
        def serve(self, load: Load) -> tuple[Request, ...]:
            return super().serve(load)[1:]

    with refused("answered 2 of 3 requests"):
        measure_alone(lambda: Dropping(world, "A", 1.0), [BATCH], seed=1, vocab_size=9, say=print)


def test_no_workload_and_the_same_twice() -> None:
    """Neither is a measurement."""
    with wrong_use("no workload"):
        pair(World())
    with wrong_use("given twice"):
        pair(World(), SHORT, SHORT)


def test_arrivals_are_those_of_the_rate() -> None:
    """Gaps are exponential with mean 1/rate, the same for both models, others each round."""
    world = World()
    workload = Workload(ASYNCHRONOUS, 8, 4, 8, rounds=3, warmup=0, requests=1000, request_rate=5.0)
    pair(world, workload)
    arrivals = [load.arrivals for load in world.rounds("A")]
    assert arrivals == [load.arrivals for load in world.rounds("B")]
    assert len(set(arrivals)) == 3
    for times in arrivals:
        assert times is not None
        assert list(times) == sorted(times)
        # The sum of 1,000 gaps has mean 200 and standard deviation 6.3.
        assert 175 < times[-1] < 225
        assert times[0] > 0
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
    """Further processes of the quantized model are started, asked nothing and ended."""
    world, announced = World(), list[str]()
    baseline, quantized = pair(world, SHORT, extra_loads=2, announce=announced.append)
    assert world.events[-6:] == ["-A", "-B", "+B", "-B", "+B", "-B"]
    assert (len(baseline.load_seconds), len(quantized.load_seconds)) == (1, 3)
    assert announced == ["B: 2 more fresh processes for load times, about 22 s"]
    assert world.alive == set()
    alone = measure_alone(
        world.opener("A"), [SHORT], seed=1, vocab_size=9, say=print, extra_loads=1
    )
    assert len(alone.load_seconds) == 2
