"""The command `quantreg`: what is useful without running a test."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from . import __version__
from .core.errors import Refusal, WrongUse
from .core.schemes import AMBIGUOUS, SCHEMES, Scheme, describe
from .core.settings import GateMode

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
    status = 0
    try:
        page = chosen.page(chosen)
        text, status = page if isinstance(page, tuple) else (page, 0)
        print(text, flush=True)
    except WrongUse as error:
        print(f"quantreg {chosen.command}: {error.what}", file=sys.stderr)
        return WRONG_USE
    except Refusal as error:
        print(f"quantreg {chosen.command}: {error}", file=sys.stderr)
        return WRONG_USE
    except BrokenPipeError:
        # `quantreg schemes | head` has read enough; Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status


def scheme_table(schemes: Sequence[Scheme], *, aliases: bool = False) -> str:
    """Every scheme with what it quantizes, aligned; the names `--quant-scheme` takes."""
    rows = [("scheme", "weights", "activations")]
    rows += [
        (one.name, describe(one.weights), describe(one.activations))
        for one in schemes
        if one.is_quantized
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    lines = []
    for row in rows:
        lines.append(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")
        known = next((one.aliases for one in schemes if one.name == row[0]), ())
        if aliases and known:
            lines.append(f"    also {', '.join(known)}")
    lines += [
        "",
        "Suffixes: -rtn, -gptq, -awq, -smoothquant (how it was made), +kv-fp8 (fp8 KV cache).",
        "Case, order and separators are free: FP8-W8A8 and int8_w8a16_rtn are understood.",
    ]
    if aliases:
        lines += ["", *AMBIGUOUS.values()]
    return "\n".join(lines)


def _schemes(chosen: argparse.Namespace) -> str:
    return scheme_table(SCHEMES, aliases=chosen.aliases)


def _power(chosen: argparse.Namespace) -> str:
    # Planning needs scipy, which the other commands start without.
    from .report.power import power_page
    from .report.power_question import Question

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
    from .measure.accelerator import all_devices, installed_engines, is_installed
    from .report.hardware import hardware_page, named_page

    if chosen.gpu is not None:
        return named_page(chosen.gpu, installed_engines(), is_installed)
    return hardware_page(all_devices(), installed_engines(), is_installed)


def _inspect(chosen: argparse.Namespace) -> tuple[str, int]:
    # Scales are read with numpy, which the other commands start without.
    from .backends.checkpoint.headers import inspect
    from .core.contradictions import contradictions
    from .measure.accelerator import all_devices, imported, installed_engines
    from .report.hardware import accelerator_of, the_one
    from .report.inspection import inspection_page

    if chosen.gpu is not None:
        device = accelerator_of(the_one(chosen.gpu))
    else:
        # Asking torch for the device would take longer than all the rest.
        device = all_devices(lambda name: None if name == "torch" else imported(name))[0]
    checkpoint = inspect(chosen.checkpoint)
    page = inspection_page(checkpoint, device, installed_engines())
    return page, CONTRADICTED if contradictions(checkpoint) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quantreg", description="Release gates for quantized language models."
    )
    parser.add_argument("--version", action="version", version=f"pytest-quantreg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    schemes = commands.add_parser("schemes", help="list the schemes that --quant-scheme takes")
    schemes.add_argument("--aliases", action="store_true", help="with the other names of each")
    schemes.set_defaults(page=_schemes)
    _add_power(commands)
    _add_hardware(commands)
    _add_inspect(commands)
    return parser


def _add_inspect(commands: Commands) -> None:
    inspect = commands.add_parser(
        "inspect",
        help="what a checkpoint holds, without loading it, and whether its files agree",
        description="Reads config.json, the headers of the safetensors files and the scales. "
        "Exit status 1 where they contradict each other, 2 where they cannot be read.",
    )
    inspect.set_defaults(page=_inspect)
    inspect.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="a folder, or a hub id (ORG/NAME, @revision allowed) whose weights are in the "
        "local hub cache",
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
