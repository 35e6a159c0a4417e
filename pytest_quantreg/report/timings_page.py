"""What `quantreg compare` says about timings that others measured."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from ..core.records.timings import TimingRatio, Timings
from .comparison_page import WIDTH, aligned
from .markdown_text import cell, escaped, inline
from .number_format import figure, outwards

Compared: TypeAlias = Sequence[tuple[Timings, Sequence[TimingRatio]]]

HEAD = ("measured", "base", "quant", "ratio", "interval", "repeats", "")


def text_page(baseline: Timings, compared: Compared, confidence: float) -> str:
    """A table per candidate and workload: throughput first, then latencies."""
    lines: list[str] = []
    for candidate, ratios in compared:
        lines += [
            f"{candidate.label} against {baseline.label}, bounds at {confidence * 100:g} %",
            "",
        ]
        for workload in dict.fromkeys(ratio.workload for ratio in ratios):
            cells = [_cells(ratio) for ratio in ratios if ratio.workload == workload]
            table = aligned(HEAD, cells)
            lines += [workload, *(f"  {row}" for row in table), ""]
        for line in _closing(baseline, candidate, ratios):
            lines += textwrap.wrap(line, WIDTH - 1, subsequent_indent="  ", break_on_hyphens=False)
        lines.append("")
    return "\n".join(lines).rstrip()


def markdown_page(baseline: Timings, compared: Compared, confidence: float) -> str:
    """The same for a comment on a pull request."""
    lines: list[str] = []
    for candidate, ratios in compared:
        lines += [
            f"### {escaped(candidate.label)} against {inline(baseline.label)}, "
            f"bounds at {confidence * 100:g} %"
        ]
        names = ("workload", *HEAD[:-1], "verdict")
        lines += ["", f"| {' | '.join(names)} |", f"|{'|'.join(['---'] * len(names))}|"]
        lines += [
            f"| {' | '.join(map(cell, (ratio.workload, *_cells(ratio))))} |" for ratio in ratios
        ]
        lines += ["", *(f"- {escaped(line)}" for line in _closing(baseline, candidate, ratios)), ""]
    return "\n".join(lines).rstrip()


def document(baseline: Timings, compared: Compared, confidence: float) -> dict[str, Any]:
    """The same as plain JSON values; bounds are null where there are none."""
    return {
        "format": "quantreg-compare-timings",
        "version": "1.0",
        "baseline": baseline.label,
        "confidence": confidence,
        "candidates": [
            {"label": candidate.label, "ratios": [_plain(ratio) for ratio in ratios]}
            for candidate, ratios in compared
        ],
    }


def _plain(ratio: TimingRatio) -> dict[str, Any]:
    bounded = _bounded(ratio)
    return {
        "workload": ratio.workload,
        "figure": ratio.figure,
        "baseline": ratio.baseline,
        "candidate": ratio.candidate,
        "repeats": list(ratio.repeats),
        "ratio": ratio.ratio.estimate,
        "low": ratio.ratio.low if bounded else None,
        "high": ratio.ratio.high if bounded else None,
        "verdict": _word(ratio),
    }


def _cells(ratio: TimingRatio) -> tuple[str, ...]:
    interval = "-"
    if _bounded(ratio):
        low, high = outwards(ratio.ratio.low, up=False), outwards(ratio.ratio.high, up=True)
        interval = f"{low}-{high}"
    first, second = ratio.repeats
    repeats = str(first) if first == second else f"{first} and {second}"
    values = (figure(ratio.baseline), figure(ratio.candidate), f"x{figure(ratio.ratio.estimate)}")
    return (ratio.figure, *values, interval, repeats, _word(ratio))


def _word(ratio: TimingRatio) -> str:
    if not _bounded(ratio):
        return ""
    if ratio.better:
        return "better"
    return "WORSE" if ratio.worse else "same?"


def _closing(baseline: Timings, candidate: Timings, ratios: Sequence[TimingRatio]) -> Iterator[str]:
    """What stands against each other, and what is not known."""
    yield from dict.fromkeys((*baseline.notes, *candidate.notes))
    for workload in dict.fromkeys(ratio.workload for ratio in ratios):
        of_workload = [ratio for ratio in ratios if ratio.workload == workload]
        better = [ratio.figure for ratio in of_workload if ratio.better]
        worse = [ratio.figure for ratio in of_workload if ratio.worse]
        if better and worse:
            yield (
                f"{workload}: better in {', '.join(better)}, and WORSE in {', '.join(worse)}: "
                "which of them counts is for who ships it to say"
            )
    if baseline.program != candidate.program:
        yield (
            f"{baseline.label} was timed by {baseline.program} and {candidate.label} by "
            f"{candidate.program}, which need not mean the same by their figures"
        )
    if not all(map(_bounded, ratios)):
        yield (
            "no interval where either has a single repeat: nothing is known of how much another "
            "would differ; time both three times at least"
        )
    for timings, others in ((baseline, candidate), (candidate, baseline)):
        left = [name for name in timings.workloads if name not in others.workloads]
        if left:
            yield f"only {timings.label} ran {'; '.join(left)}"
    yield (
        "repeats count as sessions of their own (Welch's t on logarithms); if they ran in one "
        "server process, another start of it may differ by more than they do"
    )


def _bounded(ratio: TimingRatio) -> bool:
    return ratio.ratio.low > 0.0 and math.isfinite(ratio.ratio.high)
