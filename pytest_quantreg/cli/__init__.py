"""The command `quantreg`: what is useful without running a test."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import __version__
from ..core.errors import Refusal, WrongUse
from ..core.printable import printable, printable_lines
from ..core.schemes.catalogue import Catalogue
from ..core.secret_values import without_shapes
from ..core.settings import GateMode
from .accept import accept_page, add_accept
from .baselines import add_baselines
from .compare import add_compare
from .import_results import add_import, import_page
from .report import add_report

if TYPE_CHECKING:
    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

CONTRADICTED = 1
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
        return _refused(chosen.command, str(error))
    except OSError as error:
        # What no reader foresaw: a traceback's status would be that of a lost gate.
        where = f"{error.filename}: " if error.filename else ""
        return _refused(chosen.command, printable(f"{where}{error.strerror or error}"))
    text, status = page if isinstance(page, tuple) else (page, 0)
    return _printed(chosen.command, text, status)


def _safe(text: str) -> str:
    """Return a page without secrets of others' files and with nothing that a CI acts on."""
    return printable_lines(without_shapes(text))


def _refused(command: str, why: str) -> int:
    print(_safe(f"quantreg {command}: {why}"), file=sys.stderr)
    return WRONG_USE


def _printed(command: str, text: str, status: int) -> int:
    """Prints the page of a command and gives its status, or 2 where nobody can read it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Terminals of other encodings, and pipes on Windows, have no sign for each character.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(_safe(text), flush=True)
    except OSError as error:
        # Python would complain at its exit about what it could not print.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # `quantreg schemes | head` has read enough
            return _refused(command, f"cannot print: {error.strerror}")
    return status


def _catalogue() -> Catalogue:
    """The schemes of the project that the command is typed in."""
    from ..config.schemes import nearest_file, read_file

    path = nearest_file(Path.cwd())
    return read_file(path).catalogue if path is not None else Catalogue()


def _schemes(chosen: argparse.Namespace) -> str:
    from ..report.schemes_page import backend_page, scheme_page, schemes_page

    catalogue = _catalogue()
    if chosen.name is not None:
        return scheme_page(chosen.name, catalogue)
    if chosen.backend is not None:
        return backend_page(chosen.backend, catalogue)
    return schemes_page(catalogue, aliases=chosen.aliases)


def _power(chosen: argparse.Namespace) -> str:
    # Planning needs scipy, which the other commands start without.
    from ..report.power_page import power_page
    from ..report.power_question import Question

    return power_page(
        Question(
            baseline_accuracy=chosen.baseline_accuracy,
            flips=chosen.flips,
            retention=chosen.retention,
            tasks=chosen.tasks,
            items=chosen.items,
            confidence=chosen.confidence,
            gate=GateMode(chosen.gate) if chosen.gate else None,
            available=chosen.available,
        )
    )


def _hardware(chosen: argparse.Namespace) -> str:
    # Reading what is installed is slow enough to leave it to the command that needs it.
    from ..measure.accelerator import all_devices, installed_engines, is_installed
    from ..report.hardware_page import hardware_page, named_page

    if chosen.gpu is not None:
        return named_page(chosen.gpu, installed_engines(), is_installed)
    return hardware_page(all_devices(), installed_engines(), is_installed)


def _inspect(chosen: argparse.Namespace) -> tuple[str, int]:
    # Scales are read with numpy, which the other commands start without.
    from ..backends.checkpoint import headers
    from ..backends.gguf import inspect as gguf
    from ..core.schemes.contradictions import contradictions
    from ..measure.accelerator import all_devices, imported, installed_engines
    from ..report.hardware_page import accelerator_of, the_one
    from ..report.inspection_page import inspection_page

    if chosen.gpu is not None:
        device = accelerator_of(the_one(chosen.gpu))
    else:
        # Asking torch for the device would take longer than all the rest.
        device = all_devices(lambda name: None if name == "torch" else imported(name))[0]
    reader = gguf if gguf.is_gguf(chosen.checkpoint) else headers
    checkpoint = reader.inspect(chosen.checkpoint)
    page = inspection_page(checkpoint, device, installed_engines())
    return page, CONTRADICTED if contradictions(checkpoint) else 0


def _import(chosen: argparse.Namespace) -> tuple[str, int]:
    return import_page(chosen, lambda name: _catalogue().choose(name).name)


def _accept(chosen: argparse.Namespace) -> str:
    # Only here does a command need the clock and git.
    from ..gating.provenance import git_commit, now

    return accept_page(chosen, now(), git_commit)


class _Parser(argparse.ArgumentParser):
    """Prints what was typed so that nothing acts on it: CI passes on names of others."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(_safe(message), file)


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="quantreg", description="Release gates for quantized language models."
    )
    parser.add_argument("--version", action="version", version=f"pytest-quantreg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_schemes(commands)
    _add_power(commands)
    _add_hardware(commands)
    _add_inspect(commands)
    add_compare(commands)
    add_import(commands, _import)
    add_report(commands)
    add_accept(commands, _accept)
    add_baselines(commands)
    return parser


def _add_schemes(commands: Commands) -> None:
    schemes = commands.add_parser(
        "schemes",
        help="list the schemes that --quant-scheme takes",
        description="Lists the built-in schemes and those that the nearest pyproject.toml defines "
        'in [tool.quantreg.schemes.NAME]: like = "w4a16-int4", or weights and activations, with '
        "a title, aliases, a checkpoint, and a retention with its source.",
    )
    schemes.set_defaults(page=_schemes)
    schemes.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="one scheme in full: what it quantizes, how it is made, what was published of it",
    )
    schemes.add_argument("--aliases", action="store_true", help="with the other names of each")
    schemes.add_argument(
        "--backend", metavar="NAME", help="how this backend makes or loads each of them"
    )


def _add_inspect(commands: Commands) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="what a checkpoint holds, without loading it, and whether its files agree",
        description="Reads config.json, the headers of the safetensors files and the scales, or "
        "those of a GGUF file. "
        "Exit status 1 where they contradict each other, 2 where they cannot be read.",
    )
    inspect.set_defaults(page=_inspect)
    inspect.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="a folder, a GGUF file, or a hub id (ORG/NAME, @revision allowed) whose weights are "
        "in the local hub cache",
    )
    inspect.add_argument(
        "--gpu",
        metavar="NAME",
        help="say what it runs as on this accelerator, which need not be here",
    )


def _add_hardware(commands: Commands) -> None:
    hardware = commands.add_parser(
        "hardware",
        help="this machine's accelerators: what they compute, what engines have kernels for",
        description="Prints the accelerators of this machine, what their silicon computes "
        "natively, and which schemes the installed engines have kernels for on the first of "
        "them.",
    )
    hardware.set_defaults(page=_hardware)
    hardware.add_argument(
        "--gpu",
        metavar="NAME",
        help="answer for this accelerator instead, which need not be here, such as H100 or "
        "MI300X; with all engines, installed or not",
    )


def _add_power(commands: Commands) -> None:
    power = commands.add_parser(
        "power",
        help="plan a gate: what it would catch, what a lossless model risks, items needed",
        description="What min_retention gates would catch with so many items, how often a "
        "lossless model would be green, and how many items decide. Shares are written 0.98, "
        "not 98.",
    )
    power.set_defaults(page=_power)
    power.add_argument(
        "--baseline-accuracy",
        type=float,
        required=True,
        metavar="P",
        help="share of the items that the baseline has right, such as .78",
    )
    power.add_argument(
        "--flips",
        type=float,
        required=True,
        metavar="D",
        help="share of the answers that a LOSSLESS quantized model changes, half of them from "
        "right to wrong and half back; what a lossy model loses comes on top. Usual are .02 to "
        ".05 at 8 bits and .05 to .10 at 4",
    )
    power.add_argument(
        "--retention",
        type=float,
        default=0.98,
        metavar="R",
        help="what min_retention requires (default .98)",
    )
    power.add_argument(
        "--tasks", type=int, default=1, metavar="N", help="tasks like this one in the suite"
    )
    power.add_argument("--items", type=int, metavar="N", help="items per task (default: examples)")
    power.add_argument("--available", type=int, metavar="N", help="items that each task has")
    power.add_argument(
        "--confidence",
        type=float,
        default=0.95,
        metavar="C",
        help="one-sided confidence of each gate (default .95)",
    )
    power.add_argument("--gate", choices=("detect", "certify"), help="show this gate alone")


if __name__ == "__main__":
    raise SystemExit(main())
