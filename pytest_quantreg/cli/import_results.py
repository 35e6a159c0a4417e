"""`quantreg import`: other programs' results become runs of our own, to compare with later."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..core.codes import CommandCode, ImportCode
from ..core.errors import QuantregError, Refusal, WrongUse
from ..core.facts import Problem
from ..core.printable import printable
from ..core.records.evaluation import Evaluation, Result
from ..report.words import COMMAND_LINE, words_of

if TYPE_CHECKING:
    from ..core.records.timings import Timings

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

    Summary: TypeAlias = tuple[str, list[str], list[str], list[str]]
    """The first line, what was stored, what was not, and notes."""

NOT_ALL = 2

WIDTH = 80
"""Columns of a note; names of files are not broken."""


def import_page(chosen: argparse.Namespace) -> tuple[str, int]:
    """Return what was stored and what could not be, and the exit status.

    Raises WrongUse and Refusal.
    """
    from ..config.schemes import nearest_catalogue
    from ..core.comparison.partial_comparability import UNKNOWN
    from ..imports.open_results import open_path

    opened = open_path(Path(chosen.path))
    claimed = nearest_catalogue().choose(chosen.scheme).name if chosen.scheme else None
    scheme = claimed or opened.scheme or UNKNOWN
    if isinstance(opened, Evaluation):
        head, kept, lost, notes = _import_scores(opened, scheme, Path(chosen.out))
    else:
        head, kept, lost, notes = _import_timings(opened, scheme, Path(chosen.out))
    if kept and scheme == UNKNOWN:
        notes.append("which scheme this is was not said: name it with --scheme")
    note_lines = [
        line
        for note in notes
        for line in textwrap.wrap(f"note: {note}", WIDTH, subsequent_indent="  ")
    ]
    page = "\n".join([printable(head), *map(printable, kept), *lost, *note_lines])
    return page, NOT_ALL if lost or not kept else 0


def _import_scores(opened: Evaluation, scheme: str, out: Path) -> Summary:
    """Runs of what has items, and totals of what has none."""
    from ..imports.figures_document import unmeasured_document
    from ..imports.figures_store import FiguresStore
    from ..imports.to_runs import store_result

    if any(result.run is not None for result in opened.results.values()):
        # Filed again it would get another name, at which no test looks for it.
        raise WrongUse(
            CommandCode.ALREADY_RUNS, label=opened.label, model=opened.model, scheme=opened.scheme
        )
    kept: list[str] = []
    names_by_reason: dict[str, list[str]] = {}
    for name, result in opened.results.items():
        try:
            where, present = store_result(out, opened, result, scheme, _suspicion_words(result))
        except (Refusal, WrongUse) as error:
            names_by_reason.setdefault(_reason(error), []).append(name)
            continue
        if name in opened.tasks:
            kept.append(f"{_verb(present)}: {_describe_result(result)}, {where}")
            kept += _suspicion_lines(result)
    for name in opened.unmeasured:
        where, present = FiguresStore(out).keep(unmeasured_document(opened, name, scheme))
        kept.append(
            f"{_verb(present)}: {name}, not measured: its file has no figure of it, {where}"
        )
    lost = [
        f"not imported: {printable(', '.join(names))}: {why}"
        for why, names in names_by_reason.items()
    ]
    notes = list(opened.notes)
    if any(opened.results[name].accuracy is None for name in opened.tasks):
        notes.append(
            "totals are compared as if each model had answered other questions; with every "
            "item's score (lm-eval's --log_samples) a smaller loss would show"
        )
    return f"{opened.model} at {scheme} on {opened.engine}", kept, lost, notes


def _reason(error: QuantregError) -> str:
    """Why a task was not imported, without its name: what is true of several is told once."""
    cause = error.problem.facts.get("cause") if error.problem.code is ImportCode.NO_RUN else None
    return str(words_of(cause if isinstance(cause, Problem) else error.problem, COMMAND_LINE))


def _suspicion_words(result: Result) -> dict[str, str]:
    return {metric: words_of(why).what for metric, why in result.suspicions.items()}


def _import_timings(opened: Timings, scheme: str, out: Path) -> Summary:
    from ..imports.figures_document import timings_document
    from ..imports.figures_store import FiguresStore

    where, present = FiguresStore(out).keep(timings_document(opened, scheme))
    count = len(opened.repeats)
    kept = [
        f"{_verb(present)}: {count} {'repeats' if count > 1 else 'repeat'} of "
        f"{'; '.join(opened.workloads)}, {where}"
    ]
    return f"{opened.model} at {scheme}, timed by {opened.program}", kept, [], list(opened.notes)


def _describe_result(result: Result) -> str:
    """The task with what is kept of it; the tasks of a group lie beside it."""
    parts = f" with its {len(result.parts)} tasks" if result.parts else ""
    n = result.aggregates[0].n
    count = "an unknown number of items" if n is None else f"{n:,} items"
    totals = "totals of " if result.accuracy is None else ""
    return f"{result.task}{parts}, {totals}{count}"


def _suspicion_lines(result: Result) -> list[str]:
    """Which of its metrics no gate will judge, and why, each reason once."""
    reasons: dict[str, list[str]] = {}
    for metric, why in _suspicion_words(result).items():
        reasons.setdefault(why, []).append(metric)
    return [
        line
        for why, metrics in reasons.items()
        for line in _wrap(f"  no gate will judge {', '.join(filter(None, metrics)) or 'it'}: {why}")
    ]


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def _verb(present: bool) -> str:
    return "present" if present else "imported"


def add_import(commands: Commands) -> None:
    """The argparse lines of the command."""
    parser = commands.add_parser(
        "import",
        help="make runs of others' results: scores and digests, no prompts, answers or names",
        description="Reads a folder or file of lm-eval's output, or of timings by vllm bench or "
        "GuideLLM, and stores runs that quantreg compare reads: item by item where every item's "
        "score is there (samples_*.jsonl), as totals where it is not. Exit status 2 where not "
        "everything could be stored.",
    )
    parser.set_defaults(page=import_page)
    parser.add_argument("path", metavar="PATH", help="a folder or a file of results")
    parser.add_argument(
        "--out", default="baselines", metavar="FOLDER", help="the store (default baselines)"
    )
    parser.add_argument(
        "--scheme", metavar="NAME", help="what the model claims to be, such as w4a16-awq or bf16"
    )
