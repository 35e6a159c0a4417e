"""The command `quantreg`: what is useful without running a test."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from .. import __version__
from ..core.errors import Refusal, WrongUse
from ..core.printable import printable, printable_lines
from ..core.secret_values import without_shapes
from ..report.words import COMMAND_LINE, words_of
from .accept import add_accept
from .baselines import add_baselines
from .compare import add_compare
from .hardware import add_hardware
from .import_results import add_import
from .inspect import add_inspect
from .power import add_power
from .report import add_report
from .schemes import add_schemes

WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 0, 2 for wrong use or unreadable input.

    A page that comes with a status of its own decides that instead: `inspect` ends with
    1 where a checkpoint contradicts itself.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help(sys.stderr)
        return WRONG_USE
    try:
        page = chosen.page(chosen)
    except (WrongUse, Refusal) as error:
        return _print_refusal(chosen.command, str(words_of(error.problem, COMMAND_LINE)))
    except OSError as error:
        # What no reader foresaw: a traceback's status would be that of a lost gate.
        where = f"{error.filename}: " if error.filename else ""
        return _print_refusal(chosen.command, printable(f"{where}{error.strerror or error}"))
    text, status = page if isinstance(page, tuple) else (page, 0)
    return _print_page(chosen.command, text, status)


def _sanitize(text: str) -> str:
    """Return a page without secrets of others' files and with nothing that a CI acts on."""
    return printable_lines(without_shapes(text))


def _print_refusal(command: str, why: str) -> int:
    print(_sanitize(f"quantreg {command}: {why}"), file=sys.stderr)
    return WRONG_USE


def _print_page(command: str, text: str, status: int) -> int:
    """Prints the page of a command and gives its status, or 2 where nobody can read it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Terminals of other encodings, and pipes on Windows, have no sign for each character.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(_sanitize(text), flush=True)
    except OSError as error:
        # Python would complain at its exit about what it could not print.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # `quantreg schemes | head` has read enough
            return _print_refusal(command, f"cannot print: {error.strerror}")
    return status


class _Parser(argparse.ArgumentParser):
    """Prints what was typed so that nothing acts on it: CI passes on names of others."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(_sanitize(message), file)


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="quantreg", description="Release gates for quantized language models."
    )
    parser.add_argument("--version", action="version", version=f"pytest-quantreg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    add_schemes(commands)
    add_power(commands)
    add_hardware(commands)
    add_inspect(commands)
    add_compare(commands)
    add_import(commands)
    add_report(commands)
    add_accept(commands)
    add_baselines(commands)
    return parser
