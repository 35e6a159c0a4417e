"""What a gate could see and what it would let through, planned before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core import stats
from ..core.gates.power import TRUTH_STEP, about
from ..core.settings import GateMode
from .number_format import floor_3
from .power_question import Question

COLUMN = 13
"""Characters of a column; the widest table then stays below 80."""

NOT_SEEN = 0.10
"""The largest loss below the minimum that a gate may miss, unless quant_max_undetected says."""


WEAK = (
    f"* too weak: it may well miss a loss of {NOT_SEEN:g} below the minimum, so it is refused",
    "  where it is undecided (quant_max_undetected)",
)


@dataclass(frozen=True)
class Group:
    """Columns of a table that share a title of two lines."""

    title: tuple[str, str]
    names: Sequence[str]
    cells: Sequence[Sequence[str]]

    def lines(self) -> list[str]:
        """Title, names and cells, all equally wide."""
        width = max(COLUMN * len(self.names), *map(len, self.title))
        columns = [self.names, *self.cells]
        rows = ["".join(f"{cell:>{COLUMN}}" for cell in row) for row in columns]
        return [f"{text:>{width}}" for text in (*self.title, *rows)]


def power_page(question: Question) -> str:
    """Everything `quantreg power` prints, below 80 columns."""
    blocks = [_head(question)]
    if question.gate is not GateMode.CERTIFY:
        blocks.append(_detect(question))
    if question.gate is not GateMode.DETECT:
        blocks.append(_certify(question))
    blocks += [_decisive(question), _legend(question)]
    return "\n\n".join("\n".join(block) for block in blocks)


def _head(question: Question) -> list[str]:
    tasks = "1 task" if question.tasks == 1 else f"{question.tasks:,} tasks alike"
    return [
        f"min_retention({question.retention:g}) at {100 * question.confidence:g} % one-sided "
        f"confidence, {tasks}",
        f"baseline accuracy {question.baseline_accuracy:g}, flips {100 * question.flips:g} %",
        "(flips: answers that a lossless model changes, half of them lost and half won)",
    ]


def _detect(question: Question) -> list[str]:
    sizes = question.sizes()
    detectable = [question.detectable(n) for n in sizes]
    weak = any(_is_weak(retention, question) for row in detectable for retention in row)
    red = Group(
        ("red 4 times in 5 when", "it truly keeps at most"),
        question.gates(each=False),
        [
            [
                _retention(retention) + ("*" if _is_weak(retention, question) else " ")
                for retention in row
            ]
            for row in detectable
        ],
    )
    chances = [question.chances(stats.IntervalVerdict.LOST, n) for n in sizes]
    green = [
        [1 - single, (1 - single) ** question.tasks, *(1 - p for p in rest)]
        for single, *rest in chances
    ]
    title = "detect: red only when a loss is proven"
    return [title, *_table(sizes, [red, _green(question, green)]), *(WEAK if weak else ())]


def _certify(question: Question) -> list[str]:
    sizes = question.sizes()
    chances = [question.chances(stats.IntervalVerdict.KEPT, n) for n in sizes]
    green = [[single, single**question.tasks, *rest] for single, *rest in chances]
    title = "certify: green only when the minimum is proven kept"
    return [title, *_table(sizes, [_green(question, green)])]


def _green(question: Question, shares: Sequence[Sequence[float]]) -> Group:
    names = question.gates(each=True)
    # One task alone is the whole suite.
    cells = [[_percent(share) for share in row][: len(names)] for row in shares]
    return Group(("a lossless model is green", ""), names, cells)


def _decisive(question: Question) -> list[str]:
    truth = max(question.retention - TRUTH_STEP, 0.0)
    rows = {
        "lossless: shown to have kept it (kept)": question.needed(1.0),
        f"truly keeps {truth:g}: shown to be below (lost)": question.needed(truth),
    }
    names = question.gates(each=False)
    lines = [f"{'items per task that decide 4 times in 5':44}" + "".join(f"{n:>14}" for n in names)]
    lines += [
        f"{label:44}" + "".join(f"{_items(n, question):>14}" for n in needed)
        for label, needed in rows.items()
    ]
    if question.available is not None:
        lines.append(f"(+: more than the {question.available:,} items that a task has)")
    return lines


def _legend(question: Question) -> list[str]:
    rate = f"in about {100 * (1 - question.confidence):.3g} of 100 runs at most"
    lines = []
    if question.gate is not GateMode.CERTIFY:
        lines += [
            f"A model that truly keeps {question.retention:g} turns a detect gate red",
            f"  {rate}, on any number of items.",
        ]
    if question.gate is not GateMode.DETECT:
        lines += [
            f"A model that truly keeps less than {question.retention:g} turns a certify gate green",
            f"  {rate}, on any number of items.",
        ]
    if question.pools:
        many = f"{question.tasks:,}"
        lines += [
            f"all {many}: each task has its own gate and all are green; tasks independent.",
            f'{many} pooled: one gate over all their items, min_retention(..., task="*").',
        ]
    return lines


def _table(sizes: Sequence[int], groups: Sequence[Group]) -> list[str]:
    lines = ["items per".rjust(10), "task".rjust(10), " " * 10, *(f"{n:>10,}" for n in sizes)]
    for group in groups:
        for at, text in enumerate(group.lines()):
            lines[at] += "  " + text
    return [line.rstrip() for line in lines if line.strip()]


def _items(needed: int | None, question: Question) -> str:
    if needed is None:
        return "never"
    return f"{about(needed):,}" + ("+" if needed > (question.available or needed) else "")


def _is_weak(retention: float | None, question: Question) -> bool:
    return retention is None or retention < question.retention - NOT_SEEN


def _retention(retention: float | None) -> str:
    return "none" if retention is None else floor_3(retention)


def _percent(share: float) -> str:
    """One digit, and never a round 0 or 100 that is none."""
    if share >= 0.9995:
        return ">99.9 %"
    return "<0.1 %" if share < 0.0005 else f"{100 * share:.1f} %"
