"""Which declared minimum judges which measured metric: keys, selectors and distance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..records.run import Metric

MIN_RETENTION = "min_retention"
MAX_PERPLEXITY_RATIO = "max_perplexity_ratio"
NO_REGRESSION = "no_regression"

POOLED = "*"
"""The task selector that pools all tasks which one test measured."""

OWN_LEVELS = (0, 1)
"""Where a marker stands on the test itself, not on its class or module."""


@dataclass(frozen=True)
class Gate:
    """One marker as declared.

    ``bound`` is the number in it: the least retention (of the baseline, or of what was
    accepted last), or the largest perplexity ratio.
    ``level`` counts outwards from the test: 0 a ``pytest.param`` mark, 1 the test
    itself, then its class (and base classes), module and packages.
    """

    marker: str
    bound: float
    task: str | None
    metric: str | None
    level: int

    @property
    def is_on_test(self) -> bool:
        """Whether the test carries the marker itself, not its class or module."""
        return self.level in OWN_LEVELS

    @property
    def of_perplexity(self) -> bool:
        """Whether it bounds a perplexity ratio, which reads 1 = same and more = worse."""
        return self.marker == MAX_PERPLEXITY_RATIO

    @property
    def of_accepted(self) -> bool:
        """Whether it is judged against the run that was accepted last, not the baseline."""
        return self.marker == NO_REGRESSION

    @property
    def minimum(self) -> float:
        """The least retention it allows; perplexity may rise by what retention falls."""
        return 1.0 / self.bound if self.of_perplexity else self.bound

    @property
    def pools(self) -> bool:
        """Whether it judges all tasks of its test together."""
        return self.task == POOLED

    @property
    def selectors(self) -> int:
        """How many selectors it names; more win over fewer."""
        return (self.task is not None) + (self.metric is not None)

    @property
    def bare(self) -> str:
        """The marker and its number, without selectors."""
        return f"{self.marker}({self.bound:.10g})"

    def __str__(self) -> str:
        named = {"task": self.task, "metric": self.metric}
        rest = "".join(f", {name}={value!r}" for name, value in named.items() if value)
        return f"{self.marker}({self.bound:.10g}{rest})"


def judges_retention(metric: Metric, *, named: bool) -> bool:
    """Whether a gate on retention judges a metric: a perplexity only if the gate names it."""
    return named or metric.kind != "perplexity"


def matching(gates: Sequence[Gate], task: str) -> list[Gate]:
    """The gates whose task selector admits ``task``."""
    return [gate for gate in gates if gate.task in (None, task)]


def has_same_target(baseline: Gate, accepted: Gate) -> bool:
    """Whether a gate on the baseline may judge what one on accepted runs judges, as far as
    their selectors tell."""
    tasks = {accepted.task} if accepted.task not in (None, POOLED) else None
    if accepted.task is None:
        admits = baseline.task != POOLED
    else:
        admits = tasks is None or baseline.task in (None, accepted.task)
    return admits and (baseline.metric is None or accepted.metric in (None, baseline.metric))


def choose(gates: Sequence[tuple[Gate, str]]) -> list[tuple[Gate, str]]:
    """Of gates with the metric that each would judge, the one that does, per marker and metric.

    More selectors win over fewer; among equals the marker nearest the test wins, and of
    two at one place (a test may add a marker while it runs) the stricter one.
    """
    chosen: dict[tuple[str, str], Gate] = {}
    for gate, metric in gates:
        rival = chosen.get((gate.marker, metric))
        if rival is None or _rank(gate) < _rank(rival):
            chosen[gate.marker, metric] = gate
    return [(gate, metric) for (_, metric), gate in chosen.items()]


def _rank(gate: Gate) -> tuple[int, int, float]:
    return (-gate.selectors, gate.level, -gate.minimum)


def gates_without_metrics(
    gates: Sequence[Gate], fed: Callable[[Gate], bool], *, measured: bool
) -> list[Gate]:
    """The gates that nothing fed and that therefore must be refused.

    One on the test itself must be fed. One inherited from class or module that names a
    task is meant for some of the tests below it; one that names none must be fed unless
    the test ``measured`` what other gates judge, as perplexity beside accuracy.
    """
    return [
        gate
        for gate in gates
        if not fed(gate) and (gate.is_on_test or (gate.task in (None, POOLED) and not measured))
    ]


def unused_gates(
    gates: Sequence[Gate], fed: Callable[[Gate], bool], *, measured: bool
) -> list[Gate]:
    """The gates that nothing fed and that are no fault of their test.

    One that is idle in every test of a session guards nothing, as a misspelt task does;
    the summary says so.
    """
    refused = gates_without_metrics(gates, fed, measured=measured)
    return [gate for gate in gates if not fed(gate) and gate not in refused]
