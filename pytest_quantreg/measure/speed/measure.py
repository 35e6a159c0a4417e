"""Times one model, or two that take turns, each in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...core.codes import SpeedCode
from ...core.engine import Say
from ...core.errors import Category, Refusal, WrongUse
from ...core.records.speed import ModelSpeed, Workload
from .rounds import Rounds
from .timed_model import Open, Sleeper, Timed, TimedModel

__all__ = ["BLOCKS", "Open", "Sleeper", "Timed", "measure_alone", "measure_pair"]

BLOCKS = 6
"""Blocks of each model where one lives at a time: the fewest pairs that leave one more than
an interval of 95 % needs to have both its ends."""


def measure_pair(
    open_baseline: Open,
    open_quantized: Open,
    workloads: Sequence[Workload],
    *,
    exclusive: bool,
    seed: int,
    vocab_size: int,
    say: Say,
    announce: Say | None = None,
    extra_loads: int = 0,
    blocks: int = BLOCKS,
    names: tuple[str, str] = ("baseline", "quantized"),
) -> tuple[ModelSpeed, ModelSpeed]:
    """Both models under every workload, taking turns so that drift hits both.

    Both processes live at once and alternate by round, A B B A A B ..., unless an engine
    is ``exclusive`` (takes the whole device) or both do not fit. Then one lives at a time
    and they alternate by block in the same order: ``blocks`` of each, every one in a process
    of its own, the rounds shared out among them. ``Round.block`` then numbers the pair that
    a block belongs to, so that unit i of both models ran one after the other. Engines that
    can sleep are put to sleep instead of started anew.

    Prompts and arrivals are the same for both models and others in every round;
    ``vocab_size`` is that of the smaller vocabulary. ``extra_loads`` more processes of the
    quantized model are started for their load times alone. ``announce`` hears what it will
    cost where that is much, ``say`` what is done meanwhile.

    Raises WrongUse for no workloads or equal ones, and Refusal for engines that fail, answer
    with another number of tokens, or do not fit even alone.
    """
    _check(workloads)
    rounds = Rounds(seed, vocab_size)

    def contenders() -> tuple[TimedModel, TimedModel]:
        baseline = TimedModel(names[0], open_baseline, workloads, rounds)
        return baseline, TimedModel(names[1], open_quantized, workloads, rounds)

    models = contenders()
    if exclusive or not _play_together(models, workloads, say):
        models = contenders()
        _in_blocks(models, workloads, blocks, say, announce or say)
    _load_more(models[1], extra_loads, announce or say)
    return models[0].result(), models[1].result()


def measure_alone(
    open_engine: Open,
    workloads: Sequence[Workload],
    *,
    seed: int,
    vocab_size: int,
    say: Say,
    announce: Say | None = None,
    extra_loads: int = 0,
    name: str = "model",
) -> ModelSpeed:
    """One model under every workload: what is stored as a baseline, or judged against one.

    Prompts and arrivals are those of `measure_pair` at the same seed and vocabulary; the
    same errors are raised.
    """
    _check(workloads)
    model = TimedModel(name, open_engine, workloads, Rounds(seed, vocab_size))
    _play_all((model,), workloads, say)
    _load_more(model, extra_loads, announce or say)
    return model.result()


def _load_more(model: TimedModel, count: int, announce: Say) -> None:
    if math.isnan(model.load_seconds):
        return  # a server has loaded its model long ago
    if count:
        announce(
            f"{model.name}: {count} more fresh processes for load times, about "
            f"{model.load_seconds * count:.2g} s"
        )
    for _ in range(count):
        model.load_once()


def _check(workloads: Sequence[Workload]) -> None:
    if not workloads:
        raise WrongUse(SpeedCode.NO_WORKLOAD)
    if len(set(workloads)) < len(workloads):
        raise WrongUse(SpeedCode.SAME_WORKLOAD_TWICE)


def _play_together(models: tuple[TimedModel, ...], workloads: Sequence[Workload], say: Say) -> bool:
    """Measures both at once; False when they do not fit beside each other."""
    try:
        _play_all(models, workloads, say)
    except Refusal as error:
        if error.category is not Category.OUT_OF_MEMORY or not models[-1].opened:
            raise
        say(f"{' and '.join(model.name for model in models)} do not fit into memory together")
        return False
    return True


def _play_all(models: Sequence[TimedModel], workloads: Sequence[Workload], say: Say) -> None:
    try:
        # The quantized one first: what must not be timed is refused before the other loads.
        for model in reversed(models):
            say(f"starting {model.name} in a process of its own")
            model.beside = len(models) - 1
            model.open()
        for workload in workloads:
            _play(models, workload, say)
        for model in models:
            model.settle()
    finally:
        for model in models:
            model.close()


def _play(models: Sequence[TimedModel], workload: Workload, say: Say) -> None:
    seconds = [model.warm(workload) for model in models]
    say(_forecast(models, workload, seconds))
    for number in range(workload.rounds):
        # Whoever went second goes first: a drift that lasts for both favours neither.
        for model in models if number % 2 == 0 else reversed(models):
            if len(models) > 1:
                model.touch(workload, number)
            model.play(workload, number)


def _forecast(models: Sequence[TimedModel], workload: Workload, seconds: Sequence[float]) -> str:
    rounds = f"{workload.label}: {_count(workload.rounds, 'round')}"
    if not all(seconds):
        return rounds
    if len(models) == 1:
        return f"{rounds} of about {seconds[0]:.2g} s"
    estimates = " and ".join(
        f"{duration:.2g} s ({model.name})" for duration, model in zip(seconds, models, strict=True)
    )
    return f"{rounds} of about {estimates}, in turn"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _in_blocks(
    models: tuple[TimedModel, TimedModel],
    workloads: Sequence[Workload],
    blocks: int,
    say: Say,
    announce: Say,
) -> None:
    """One model at a time, each block in a process of its own.

    Two blocks of one process would share what makes it lastingly faster or slower, and so
    the pairs that they belong to would not be independent.
    """
    blocks = min(blocks, *(workload.rounds for workload in workloads))
    turns = list(_turns(blocks))
    rounds = sum(workload.rounds for workload in workloads)
    announce(
        f"one model at a time: {_count(blocks, 'block')} of each in turn, {len(turns)} starts "
        f"with a warm-up each, {_count(rounds, 'round')} of each model in all"
    )
    try:
        for count, (which, block) in enumerate(turns):
            model = models[which]
            _process(model, [block], workloads, blocks, say, count == 0)
            if count == 0 and not model.can_sleep:
                announce(
                    f"{model.name} took {model.load_seconds:.2g} s to load; {len(turns) - 1} "
                    "loads to go"
                )
    finally:
        for model in models:
            model.close()


def _turns(blocks: int) -> Iterator[tuple[int, int]]:
    """Which model (0 or 1) runs which block, in order: A0 B0 B1 A1 A2 B2 ..."""
    for block in range(blocks):
        for model in (0, 1) if block % 2 == 0 else (1, 0):
            yield model, block


def _process(
    model: TimedModel,
    block_numbers: Sequence[int],
    workloads: Sequence[Workload],
    blocks: int,
    say: Say,
    first: bool,
) -> None:
    """The blocks that one process runs, after one warm-up."""
    model.enter()
    for workload in workloads:
        seconds = model.warm(workload)
        if first:
            say(_forecast([model], workload, [seconds]))
    for block in block_numbers:
        for workload in workloads:
            begin, end = (index * workload.rounds // blocks for index in (block, block + 1))
            for number in range(begin, end):
                model.play(workload, number, block)
    model.leave()
