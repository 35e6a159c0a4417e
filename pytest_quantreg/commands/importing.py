"""`quantreg import`: other programs' results become runs of our own, to compare with later."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..core.errors import Refusal, WrongUse
from ..core.evaluation import Evaluation

if TYPE_CHECKING:
    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

NOTHING_KEPT = 2

UNKNOWN_SCHEME = "unknown"


def import_page(chosen: argparse.Namespace) -> tuple[str, int]:
    """What was stored and what could not be. Raises WrongUse and Refusal."""
    from ..core.schemes import resolve
    from ..imports.keeping import keep, store_at
    from ..imports.opening import open_path

    opened = open_path(Path(chosen.path))
    if not isinstance(opened, Evaluation):
        raise WrongUse(
            f"{opened.label} holds timings without their single requests, which make no run: "
            "compare them as they are with quantreg compare"
        )
    if any(one.run is not None for one in opened.results.values()):
        # Filed again it would get another name, at which no test looks for it.
        raise WrongUse(
            f"{opened.label} holds runs of quantreg already, of {opened.model} at {opened.scheme}",
            help="compare them as they are with quantreg compare, or copy the whole folder",
        )
    scheme = resolve(chosen.scheme).name if chosen.scheme else opened.scheme or UNKNOWN_SCHEME
    store = store_at(Path(chosen.out))
    kept: list[str] = []
    left: dict[str, list[str]] = {}
    names = [name for name in opened.results if not opened.results[name].parts]
    for name in names:
        try:
            where, there = keep(store, opened, opened.results[name], scheme)
        except Refusal as error:
            what = error.what.removeprefix(f"{name}: ")
            why = "\n".join([what, *(f"  {line}" for line in error.help)])
            left.setdefault(why, []).append(name)
            continue
        n = opened.results[name].aggregates[0].n
        kept.append(f"{'present' if there else 'imported'}: {name}, {n:,} items, {where}")
    head = f"{opened.model} at {scheme} on {opened.engine}"
    notes = [f"note: {note}" for note in opened.notes]
    if kept and scheme == UNKNOWN_SCHEME:
        notes.append("note: which scheme this is was not said: name it with --scheme")
    lost = [f"not imported: {', '.join(names)}: {why}" for why, names in left.items()]
    page = "\n".join([head, *kept, *lost, *notes])
    return page, 0 if kept else NOTHING_KEPT


def add_import(commands: Commands) -> None:
    """The argparse lines of the command."""
    parser = commands.add_parser(
        "import",
        help="make runs of lm-eval's output: scores and digests, no prompts, answers or names",
        description="Reads a folder or file of lm-eval's output and stores what has every item's "
        "score (samples_*.jsonl) as runs that quantreg compare reads. Exit status 2 where nothing "
        "could be stored.",
    )
    parser.set_defaults(page=import_page)
    parser.add_argument("path", metavar="PATH", help="a folder or file of lm-eval's output")
    parser.add_argument(
        "--out", default="baselines", metavar="FOLDER", help="the store (default baselines)"
    )
    parser.add_argument(
        "--scheme", metavar="NAME", help="what the model claims to be, such as w4a16-awq or bf16"
    )
