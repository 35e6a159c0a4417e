"""`quantreg compare`: runs, evaluations or timings that are at hand, against the first of them."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..core.checks import check_retention
from ..core.codes import CommandCode
from ..core.errors import WrongUse
from ..core.printable import printable
from ..core.records.evaluation import Evaluation
from ..core.settings import GateMode
from ..core.strict_json import dump_readable

if TYPE_CHECKING:
    from ..core.records.timings import Timings
    from ..gating.files.policy import ComparePolicy

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

FORMATS = ("text", "md", "json")


def compare_page(chosen: argparse.Namespace) -> tuple[str, int]:
    """The page and the exit status. Raises WrongUse and Refusal, which end with 2."""
    from ..imports.open_results import open_path

    if len(chosen.paths) < 2:
        raise WrongUse(CommandCode.TOO_FEW_PATHS)
    _check_options(chosen)
    sides = _label_sides([open_path(Path(path)) for path in chosen.paths], chosen.paths)
    _refuse_twice(chosen)
    evaluations = [side for side in sides if isinstance(side, Evaluation)]
    if len(evaluations) == len(sides):
        return _scores_page(evaluations, chosen)
    timings = [side for side in sides if not isinstance(side, Evaluation)]
    if evaluations:
        raise WrongUse(
            CommandCode.SCORES_AND_TIMINGS,
            scores=evaluations[0].label,
            timings=timings[0].label,
        )
    return _timings_page(timings, chosen)


def add_compare(commands: Commands) -> None:
    """The argparse lines of the command."""
    parser = commands.add_parser(
        "compare",
        help="compare results that are at hand: lm-eval's output, stored runs, vllm bench files",
        description="The first path is the baseline. Each may be a folder or a file of lm-eval's "
        "output (results_*.json, with the items of samples_*.jsonl where those are beside it), "
        "of runs in quantreg's own format, or of timings by vllm bench or GuideLLM. Exit status: "
        "0 all gates hold (or none was asked for), 1 one fell short, 2 wrong use, unreadable or "
        "refused, 3 undecided under certify.",
    )
    parser.set_defaults(page=compare_page)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="the baseline, then candidates")
    _add_gate_options(parser)
    _add_selection_options(parser)
    _add_refusal_options(parser)
    parser.add_argument("--format", choices=FORMATS, default="text")


def _add_gate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-retention",
        type=float,
        metavar="R",
        help="what each task, and all of them together, must keep, such as .98 (default: no "
        "gate, figures alone)",
    )
    parser.add_argument(
        "--pooled", action="store_true", help="judge all tasks together and none by itself"
    )
    parser.add_argument(
        "--gate",
        choices=[mode.value for mode in GateMode],
        help="what the gate fails on (default detect)",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="C",
        help="one-sided confidence of each gate and bound (default .95)",
    )


def _add_selection_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--task", action="append", default=[], metavar="NAME", help="this task alone (repeatable)"
    )
    parser.add_argument(
        "--metric", metavar="NAME", help="this metric, such as acc_norm (default: the task's first)"
    )


def _add_refusal_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-undetected",
        type=float,
        default=0.10,
        metavar="D",
        help="a detect gate that would miss a retention of R - D more than 20 %% of the time is "
        "refused as too weak (default .10)",
    )
    parser.add_argument(
        "--allow-better", action="store_true", help="let a candidate be far above its baseline"
    )
    parser.add_argument(
        "--allow-rerun",
        action="store_true",
        help="let a candidate be the baseline's own weights: a rerun, which is told",
    )


def _check_options(chosen: argparse.Namespace) -> None:
    minimum = chosen.min_retention
    if minimum is not None:
        try:
            check_retention(minimum)
        except WrongUse as error:
            raise WrongUse(
                CommandCode.BAD_FIGURE,
                option="--min-retention",
                value=f"{minimum:g}",
                cause=error.problem,
            ) from None
    if not 0.5 <= chosen.confidence < 1.0:
        raise WrongUse(CommandCode.CONFIDENCE_OUT_OF_RANGE, confidence=chosen.confidence)
    if not 0.0 < chosen.max_undetected < 1.0:
        raise WrongUse(CommandCode.UNDETECTED_OUT_OF_RANGE, loss=chosen.max_undetected)
    if minimum is None and (chosen.pooled or chosen.gate):
        # Without it nothing would be judged, and the exit status be 0 whatever was lost.
        option = "--pooled" if chosen.pooled else f"--gate {chosen.gate}"
        raise WrongUse(CommandCode.NEEDS_MINIMUM, option=option)


def _refuse_twice(chosen: argparse.Namespace) -> None:
    first, *candidates = (Path(path) for path in chosen.paths)
    for path in candidates:
        if chosen.min_retention is not None and first.samefile(path):
            raise WrongUse(CommandCode.NAMED_TWICE, path=path.name or str(path))


def _label_sides(
    sides: Sequence[Evaluation | Timings], paths: Sequence[str]
) -> list[Evaluation | Timings]:
    """Labels that differ: those of equal name get the folder above, at last a number."""
    named = [replace(side, label=printable(side.label)) for side in sides]
    sides = tuple(named)
    twice = Counter(side.label for side in named)
    for place, (side, path) in enumerate(zip(sides, paths, strict=True)):
        if twice[side.label] > 1:
            above = printable(Path(path).absolute().parent.name)
            named[place] = replace(side, label=f"{above}/{side.label}")
    twice = Counter(side.label for side in named)
    return [
        replace(side, label=f"{side.label} ({place})") if twice[side.label] > 1 else side
        for place, side in enumerate(named, 1)
    ]


def _policy(chosen: argparse.Namespace) -> ComparePolicy:
    from ..gating.files.policy import ComparePolicy

    return ComparePolicy(
        minimum=chosen.min_retention,
        mode=GateMode(chosen.gate or GateMode.DETECT),
        confidence=chosen.confidence,
        pooled=chosen.pooled,
        tasks=tuple(chosen.task),
        metric=chosen.metric,
        max_undetected=chosen.max_undetected,
        allow_better=chosen.allow_better,
        allow_rerun=chosen.allow_rerun,
    )


def _scores_page(sides: Sequence[Evaluation], chosen: argparse.Namespace) -> tuple[str, int]:
    from ..gating.files.judge import conclude, judge_candidate
    from ..gating.files.notes import notes_on_candidates
    from ..report import comparison_page
    from ..report.messages import note_words
    from ..report.words import COMMAND_LINE

    policy = _policy(chosen)
    baseline, *candidates = sides
    judged = [judge_candidate(baseline, candidate, policy) for candidate in candidates]
    status = int(conclude(judged, policy))
    outcomes = [outcome for candidate in judged for outcome in candidate.by_task]
    outcomes += [outcome for candidate in judged for outcome in candidate.together]
    every = list(map(comparison_page.compared, outcomes))
    labels = [candidate.label for candidate in candidates]
    widths = [width for candidate in judged for width in candidate.narrower]
    notes = [
        *dict.fromkeys(note for candidate in judged for note in candidate.notes),
        *notes_on_candidates(candidates, widths, policy),
    ]
    lines = note_words(notes, COMMAND_LINE)
    if chosen.format == "json":
        plain = comparison_page.document(baseline.label, labels, every, lines, status)
        plain["gate"] = _gate_document(policy)
        return dump_readable(plain).decode().rstrip("\n"), status
    gate = None
    if policy.minimum is not None:
        confidence = "" if policy.mode is GateMode.POINT else f", {policy.confidence * 100:g} %"
        gate = f"{policy.mode.value} {policy.minimum:g}{confidence}"
    head = comparison_page.title(baseline.label, labels, gate)
    page = comparison_page.text_page if chosen.format == "text" else comparison_page.markdown_page
    return page(head, labels, every, lines), status


def _gate_document(policy: ComparePolicy) -> dict[str, object] | None:
    """The gate that was asked for, as JSON values."""
    if policy.minimum is None:
        return None
    return {
        "min_retention": policy.minimum,
        "mode": policy.mode.value,
        "confidence": None if policy.mode is GateMode.POINT else policy.confidence,
        "pooled": policy.pooled,
    }


def _timings_page(sides: Sequence[Timings], chosen: argparse.Namespace) -> tuple[str, int]:
    from ..core.records.timings import compare_timings
    from ..report import timings_page as pages

    if chosen.min_retention is not None or chosen.task or chosen.metric:
        raise WrongUse(CommandCode.NOT_FOR_TIMINGS)
    compared = [
        (candidate, compare_timings(sides[0], candidate, confidence=chosen.confidence))
        for candidate in sides[1:]
    ]
    for candidate, ratios in compared:
        if not ratios:
            raise WrongUse(
                CommandCode.NO_COMMON_WORKLOAD,
                baseline=sides[0].label,
                candidate=candidate.label,
            )
    if chosen.format == "json":
        plain = pages.document(sides[0], compared, chosen.confidence)
        return dump_readable(plain).decode().rstrip("\n"), 0
    if chosen.format == "md":
        return pages.markdown_page(sides[0], compared, chosen.confidence), 0
    return pages.text_page(sides[0], compared, chosen.confidence), 0
