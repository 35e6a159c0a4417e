"""The command `quantreg`: what is useful without running a test."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from . import __version__
from .core.schemes import AMBIGUOUS, SCHEMES, Scheme, describe

WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 0, or 2 for wrong use."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help(sys.stderr)
        return WRONG_USE
    try:
        print(scheme_table(SCHEMES, aliases=chosen.aliases), flush=True)
    except BrokenPipeError:
        # `quantreg schemes | head` has read enough; Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quantreg", description="Release gates for quantized language models."
    )
    parser.add_argument("--version", action="version", version=f"pytest-quantreg {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    schemes = commands.add_parser("schemes", help="list the schemes that --quant-scheme takes")
    schemes.add_argument("--aliases", action="store_true", help="with the other names of each")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
