"""The question that `quantreg power` answers, and the figures of its answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..core import stats
from ..core.checks import check_retention
from ..core.codes import CommandCode
from ..core.errors import WrongUse
from ..core.facts import Problem
from ..core.gates.power import POWER
from ..core.settings import GateMode

ITEMS = (250, 500, 1_000, 1_319, 2_500, 5_000, 10_000)
"""The numbers of items shown; 1,319 are those of the GSM8K test set."""

MOST_TASKS = 1_000
MOST_ITEMS = 10**8


@dataclass(frozen=True)
class Question:
    """What is asked: every task has these figures.

    ``flips`` is the share of answers that a lossless quantized model changes (see
    `stats.paired_truth`), ``items`` those run per task (None: several examples),
    ``available`` those a task has (None: no limit), ``gate`` the only one shown.

    Raises WrongUse, in one line, for figures that cannot be.
    """

    baseline_accuracy: float
    flips: float
    retention: float
    tasks: int = 1
    items: int | None = None
    confidence: float = 0.95
    gate: GateMode | None = None
    available: int | None = None

    def __post_init__(self) -> None:
        accuracy = self.baseline_accuracy
        rule = Problem(CommandCode.ABOVE_0_BELOW_1, {})
        _share("--baseline-accuracy", accuracy, 0 < accuracy < 1, rule)
        try:
            check_retention(self.retention)
        except WrongUse as error:
            raise _bad("--retention", self.retention, error.problem) from None
        rule = Problem(CommandCode.ABOVE_HALF_BELOW_1, {})
        _share("--confidence", self.confidence, 0.5 < self.confidence < 1, rule)
        rule = Problem(CommandCode.FROM_0_BELOW_1, {})
        _share("--flips", self.flips, 0 <= self.flips < 1, rule)
        most = 2 * min(accuracy, 1 - accuracy)
        if self.flips > most + 1e-12:
            raise WrongUse(
                CommandCode.MORE_FLIPS_THAN_POSSIBLE,
                flips=self.flips,
                accuracy=accuracy,
                most=most,
            )
        _count("--tasks", self.tasks, MOST_TASKS)
        _count("--items", self.items, MOST_ITEMS)
        _count("--available", self.available, MOST_ITEMS)
        if self.items and self.available and self.items > self.available:
            raise WrongUse(
                CommandCode.MORE_ITEMS_THAN_AVAILABLE,
                items=self.items,
                available=self.available,
            )

    def sizes(self) -> tuple[int, ...]:
        """The numbers of items per task that the tables show."""
        if self.items is not None:
            return (self.items,)
        within = [n for n in ITEMS if n <= (self.available or n)]
        if self.available is not None and self.available not in within:
            within.append(self.available)
        return tuple(within)

    @property
    def pools(self) -> bool:
        """Whether there are several tasks, so that they may be gated as one."""
        return self.tasks > 1

    def gates(self, *, each: bool) -> list[str]:
        """What gates are compared: one task's, ``each`` task's at once, all in one."""
        if not self.pools:
            return ["one task"]
        every = [f"all {self.tasks:,}"] if each else []
        return ["one task", *every, f"{self.tasks:,} pooled"]

    def layers(self, items: int) -> list[stats.Layer]:
        """The tasks as strata of one pooled gate."""
        layer = stats.Layer(
            n=items,
            baseline_accuracy=self.baseline_accuracy,
            discordance=self.flips,
            available=self.available,
        )
        return [layer] * self.tasks

    def detectable(self, n: int) -> list[float | None]:
        """The highest retention that turns red: one task's gate, and the pooled one."""
        single = stats.detectable_retention(
            n=n,
            baseline_accuracy=self.baseline_accuracy,
            discordance=self.flips,
            minimum=self.retention,
            confidence=self.confidence,
            power=POWER,
        )
        if not self.pools:
            return [single]
        pooled = stats.pooled_detectable_retention(
            self.layers(n), minimum=self.retention, confidence=self.confidence, power=POWER
        )
        return [single, pooled]

    def chances(self, verdict: stats.IntervalVerdict, n: int) -> list[float]:
        """Of this verdict on a lossless model: one task's gate, and the pooled one."""
        single = stats.verdict_chance(
            verdict,
            1.0,
            n=n,
            baseline_accuracy=self.baseline_accuracy,
            discordance=self.flips,
            minimum=self.retention,
            confidence=self.confidence,
        )
        if not self.pools:
            return [single]
        pooled = stats.pooled_verdict_chance(
            verdict,
            1.0,
            self.layers(n),
            minimum=self.retention,
            confidence=self.confidence,
        )
        return [single, pooled]

    def needed(self, truth: float) -> list[int | None]:
        """Items per task that decide, alone and pooled."""
        single = stats.items_needed(
            truth=truth,
            baseline_accuracy=self.baseline_accuracy,
            discordance=self.flips,
            minimum=self.retention,
            confidence=self.confidence,
            power=POWER,
        )
        items = [single.needed]
        if self.pools:
            pooled = stats.pooled_items_needed(
                truth,
                self.layers(ITEMS[0]),
                minimum=self.retention,
                confidence=self.confidence,
                power=POWER,
            ).needed
            items.append(pooled and math.ceil(pooled / self.tasks))
        return items


def _bad(option: str, value: float, cause: Problem) -> WrongUse:
    return WrongUse(CommandCode.BAD_FIGURE, option=option, value=f"{value:g}", cause=cause)


def _share(option: str, value: float, sound: bool, rule: Problem) -> None:
    if sound:
        return
    if not 2 <= value <= 100:
        raise _bad(option, value, rule)
    raise WrongUse(
        CommandCode.OTHER_FIGURE_MEANT,
        option=option,
        value=f"{value:g}",
        cause=rule,
        meant=value / 100,
    )


def _count(option: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        rule = Problem(CommandCode.WHOLE_UP_TO, {"most": most})
        raise WrongUse(CommandCode.BAD_FIGURE, option=option, value=value, cause=rule)
