"""`quantreg power`: plan a gate before anything runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..core.settings import GateMode

if TYPE_CHECKING:
    from typing import TypeAlias

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_power(commands: Commands) -> None:
    """The argparse lines of the command."""
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
