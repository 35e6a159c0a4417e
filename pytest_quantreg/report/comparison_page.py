"""What `quantreg compare` says about scores: as text, as Markdown, as JSON."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..core.gates.outcome import JudgedAccuracy, LostUnjudged, Outcome, RefusedAccuracy
from ..core.records.outcome_row import KEPT, LOST, MEASURED, REFUSED, UNDECIDED, OutcomeRow
from .markdown_text import cell, escaped
from .messages import bare, open_lines
from .number_format import floor_3
from .rows import row_of
from .summary_table import word_of
from .unjudged_messages import loss_lines
from .words import COMMAND_LINE

WIDTH = 80

_DUST = 1e-9
_ORDER = (KEPT, LOST, UNDECIDED, REFUSED)


@dataclass(frozen=True)
class Compared:
    """What came of one comparison, and its row in the words of the command line."""

    outcome: Outcome
    row: OutcomeRow


def compared(outcome: Outcome) -> Compared:
    """An outcome in the words of the command line."""
    return Compared(outcome, row_of(outcome, COMMAND_LINE))


def title(baseline: str, labels: Sequence[str], gate: str | None) -> str:
    """``fp8, nvfp4 against bf16, detect 0.98, 95 %``."""
    who = f"{', '.join(labels)} against {baseline}"
    return f"{who}, {gate}" if gate else who


def text_page(
    head: str, labels: Sequence[str], every: Sequence[Compared], notes: Sequence[str]
) -> str:
    """The whole page at 80 columns where names allow: verdicts, table, what there is to say."""
    whole = textwrap.wrap(head, WIDTH - 1, subsequent_indent="  ", break_on_hyphens=False)
    lines = [*whole, "", *aligned(*rows(labels, [one.row for one in every])), ""]
    for line in closing(labels, every, notes):
        lines += textwrap.wrap(
            line, WIDTH - 1, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
        )
    return "\n".join(lines).rstrip()


def markdown_page(
    head: str, labels: Sequence[str], every: Sequence[Compared], notes: Sequence[str]
) -> str:
    """The same for a comment on a pull request."""
    names, cells = rows(labels, [one.row for one in every])
    lines = [f"### {escaped(head)}", ""]
    lines.append(f"| {' | '.join(name or 'verdict' for name in names)} |")
    sides = ["---" if name in ("task", "metric", "model", "") else "--:" for name in names]
    lines.append(f"|{'|'.join(sides)}|")
    lines += [f"| {' | '.join(map(cell, row))} |" for row in cells]
    lines += ["", *map(_bullet, closing(labels, every, notes))]
    return "\n".join(lines)


def _bullet(line: str) -> str:
    """A line of a list; what explains the line above stands below it."""
    within = "  " if line.startswith("  ") else ""
    return f"{within}- {escaped(line.strip())}"


def document(
    baseline: str,
    labels: Sequence[str],
    every: Sequence[Compared],
    notes: Sequence[str],
    status: int,
) -> dict[str, Any]:
    """The same as plain JSON values."""
    return {
        "format": "quantreg-compare",
        "version": "1.2",
        "status": status,
        "baseline": baseline,
        "candidates": list(labels),
        "outcomes": [one.row.to_plain() for one in every],
        "notes": list(notes),
    }


def rows(
    labels: Sequence[str], outcomes: Sequence[OutcomeRow]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The head and the cells: by task, and where there are several candidates by model."""
    several = len(labels) > 1
    judged = any(
        outcome.result != MEASURED or outcome.gate or outcome.category for outcome in outcomes
    )
    paired = any(outcome.lost is not None for outcome in outcomes)
    head = ["task", "metric", *(["model"] if several else []), "base", "quant", "keeps"]
    head += ["interval", "n", *(["lost", "won"] if paired else []), *([""] if judged else [])]
    cells = []
    last = ""
    for task in dict.fromkeys(outcome.task or "" for outcome in outcomes):
        for label in labels:
            for outcome in outcomes:
                if outcome.task != task or outcome.scheme != label:
                    continue
                cells.append(_cells(outcome, several, paired, judged, again=task == last))
                last = task if several else ""
    return tuple(head), cells


def _cells(
    outcome: OutcomeRow, several: bool, paired: bool, judged: bool, *, again: bool
) -> tuple[str, ...]:
    metric = bare(outcome.metric) if outcome.metric else "-"
    cells = [outcome.task or "", metric]
    if again:
        # Of a metric that no gate judges the row is not the one above for another model.
        cells = ["", metric if outcome.unjudged else ""]
    cells += [outcome.scheme] if several else []
    cells += [_figure(outcome.baseline), _figure(outcome.quantized), _share(outcome.retention)]
    cells += [_interval(outcome), f"{outcome.n:,}" if outcome.n else "?"]
    cells += [_count(outcome.lost), _count(outcome.won)] if paired else []
    return (*cells, *([_verdict_word(outcome)] if judged else []))


def aligned(head: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width each, names to the left and, where they are too long, cut inside."""
    texts = sum(name in ("task", "metric", "model", "measured") for name in head)
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) >= WIDTH and max(widths[:2]) > 8:
        widest = 0 if widths[0] > widths[1] else 1
        widths[widest] -= 1
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) < WIDTH else " "
    lines = []
    for row in (head, *cells):
        words = []
        for at, (word, width) in enumerate(zip(row, widths, strict=True)):
            short = _shortened(word, width)
            left = at < texts or (at == len(head) - 1 and not head[at])
            words.append(short.ljust(width) if left else short.rjust(width))
        lines.append(gap.join(words).rstrip())
    return lines


def closing(
    labels: Sequence[str], every: Sequence[Compared], notes: Sequence[str]
) -> Iterator[str]:
    """Counts, what failed and why, what would decide the rest, and what else is to be known."""
    outcomes = [one.row for one in every]
    counts = Counter(outcome.result for outcome in outcomes)
    counted = [f"{counts[word]} {word}" for word in _ORDER if counts[word]]
    if left := sum(map(_is_left_unjudged, outcomes)):
        counted.append(f"{left} not judged")
    if counted:
        yield ", ".join(counted) + "."
    yield from _detectable(labels, outcomes)
    yield from _reasons(every)
    all_notes = [*(note for outcome in outcomes for note in outcome.notes), *notes]
    yield from dict.fromkeys(f"note: {note}" for note in all_notes)


def _reasons(every: Sequence[Compared]) -> Iterator[str]:
    """Yield the reasons for what is not kept, once for all candidates that share them."""
    groups: dict[tuple[str, ...], list[Compared]] = {}
    for one in every:
        if one.row.result in (LOST, REFUSED, UNDECIDED):
            groups.setdefault((_headline(one.outcome, ""), *_lines(one)), []).append(one)
    for (_, *why), alike in groups.items():
        yield _headline(alike[0].outcome, ", ".join(one.row.scheme for one in alike))
        yield from (f"  {line}" for line in why)


def _lines(one: Compared) -> tuple[str, ...]:
    """The lines below a headline, without what stands in the table, is said above or noted."""
    lines, outcome = one.row.details, one.outcome
    if isinstance(outcome, JudgedAccuracy) and one.row.result == UNDECIDED:
        beside = loss_lines(outcome.beside, COMMAND_LINE) if outcome.beside is not None else []
        lines = (*open_lines(outcome.verdict, COMMAND_LINE), *beside)
    return tuple(line for line in lines if line not in one.row.notes)


def _headline(outcome: Outcome, scheme: str) -> str:
    """The headline of an outcome under the name of one scheme, of several or of none."""
    if isinstance(outcome, RefusedAccuracy):
        outcome = replace(outcome, scheme=scheme)
    elif isinstance(outcome, JudgedAccuracy):
        comparison = replace(outcome.verdict.comparison, scheme=scheme)
        outcome = replace(outcome, verdict=replace(outcome.verdict, comparison=comparison))
    elif isinstance(outcome, LostUnjudged):
        outcome = replace(outcome, comparison=replace(outcome.comparison, scheme=scheme))
    return row_of(outcome, COMMAND_LINE).headline


def _detectable(labels: Sequence[str], outcomes: Sequence[OutcomeRow]) -> Iterator[str]:
    """The smallest regressions that the green gates would have caught."""
    detectable = []
    for outcome in outcomes:
        if outcome.detectable is not None and not outcome.fails and outcome.mode == "detect":
            name = f"{outcome.task} {outcome.scheme}" if len(labels) > 1 else str(outcome.task)
            detectable.append(f"{name} {floor_3(outcome.detectable)}")
    if detectable:
        yield f"would have turned red 4 times in 5 at a true retention of: {', '.join(detectable)}"


def _is_left_unjudged(outcome: OutcomeRow) -> bool:
    """Return whether a gate was requested that does not judge the outcome."""
    return outcome.result == MEASURED and outcome.gate is not None


def _verdict_word(outcome: OutcomeRow) -> str:
    if _is_left_unjudged(outcome):
        return "not judged"
    if outcome.result == MEASURED:
        return "suspect" if outcome.category else "-"
    return word_of(outcome)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "-" if value is None else floor_3(value)


def _interval(outcome: OutcomeRow) -> str:
    """Rounded outwards, so that what is printed is still true."""
    if outcome.low is None:
        return "-"
    high = (
        f"{math.ceil(outcome.high * 1000 - _DUST) / 1000:.3f}" if outcome.high is not None else ""
    )
    return f"{floor_3(outcome.low)}-{high}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _shortened(cell: str, width: int) -> str:
    if len(cell) <= width:
        return cell
    front = width // 2
    return f"{cell[:front]}~{cell[len(cell) - (width - front - 1) :]}"
