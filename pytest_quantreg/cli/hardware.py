"""`quantreg hardware`: what this machine's accelerators, or a named one, compute and run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_hardware(commands: Commands) -> None:
    """The argparse lines of the command."""
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


def _hardware(chosen: argparse.Namespace) -> str:
    # Reading what is installed is slow enough to leave it to the command that needs it.
    from ..measure.accelerator import all_devices, installed_engines, is_installed
    from ..report.hardware_page import hardware_page, named_page

    if chosen.gpu is not None:
        return named_page(chosen.gpu, installed_engines(), is_installed)
    return hardware_page(all_devices(), installed_engines(), is_installed)
