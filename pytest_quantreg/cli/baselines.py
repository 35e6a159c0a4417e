"""`quantreg baselines`: what a store holds, and what is deleted from it when asked."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.codes import CommandCode
from ..core.errors import Refusal, WrongUse
from ..core.printable import printable
from ..report.words import words_of

if TYPE_CHECKING:
    from typing import TypeAlias

    from ..baselines.listing import Entry
    from ..core.records.acceptance import Acceptance

    Histories: TypeAlias = "Sequence[tuple[str, tuple[Acceptance, ...] | Refusal]]"
    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

DAMAGED = 2


def add_baselines(commands: Commands) -> None:
    """The arguments of the command."""
    baselines = commands.add_parser(
        "baselines",
        help="list the stored baselines and the accepted runs, or delete some of them",
        description="Lists the baselines of a store with their size and date, and the history of "
        "accepted runs. Nothing is ever deleted unless it is named. Exit status 2 where one is "
        "damaged.",
    )
    baselines.set_defaults(page=baselines_page)
    baselines.add_argument(
        "--baselines", default="baselines", metavar="DIR", help="the store (default baselines)"
    )
    baselines.add_argument(
        "--delete", nargs="+", metavar="NAME", help="delete these, by the names that are listed"
    )


def baselines_page(chosen: argparse.Namespace) -> tuple[str, int]:
    """The list, or what was deleted. Raises WrongUse and Refusal."""
    from ..baselines.listing import Listing

    folder = Path(os.path.expanduser(chosen.baselines)).absolute()
    if not folder.is_dir():
        raise WrongUse(CommandCode.NO_SUCH_STORE, folder=chosen.baselines)
    listing = Listing(folder)
    if chosen.delete:
        return "\n".join(printable(f"deleted {path}") for path in listing.delete(chosen.delete)), 0
    entries = listing.entries()
    histories = list(listing.histories())
    lines = [*_entry_lines(entries), *_history_lines(histories)]
    damaged = any(entry.damage for entry in entries) or any(
        isinstance(history, Refusal) for _, history in histories
    )
    return "\n".join(lines) or f"{folder.name}/ is empty", DAMAGED if damaged else 0


def _entry_lines(entries: list[Entry]) -> Iterator[str]:
    entries = [replace(entry, name=printable(entry.name)) for entry in entries]
    width = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        if entry.damage:
            yield f"{entry.name.ljust(width)}  DAMAGED: it {words_of(entry.damage).what}"
            continue
        size = f"{-(-entry.bytes // 1024):,} KiB"
        name, date = entry.name.ljust(width), entry.recorded_at[:10]
        yield f"{name}  {date}  {_contents(entry):>13}  {size:>9}"
    if entries:
        total_bytes = sum(entry.bytes for entry in entries)
        noun = "baseline" if len(entries) == 1 else "baselines"
        yield f"{len(entries):,} {noun}, {-(-total_bytes // 1024):,} KiB"


def _contents(entry: Entry) -> str:
    if entry.of_speed:
        return f"{entry.sessions:,} {'session' if entry.sessions == 1 else 'sessions'}"
    return f"{entry.items:,} items"


def _history_lines(histories: Histories) -> Iterator[str]:
    from ..baselines.accepted import show_line

    for folder, history in histories:
        yield f"accepted runs of {printable(folder)}"
        if isinstance(history, Refusal):
            yield from (
                f"  {line}" for line in f"DAMAGED: {words_of(history.problem)}".splitlines()
            )
        else:
            yield from (f"  {show_line(acceptance)}" for acceptance in history)
