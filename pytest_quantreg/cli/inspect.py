"""`quantreg inspect`: what a checkpoint holds, and whether its files agree."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import TypeAlias

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

CONTRADICTED = 1
"""The exit status where files contradict each other."""


def add_inspect(commands: Commands) -> None:
    """The argparse lines of the command."""
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


def _inspect(chosen: argparse.Namespace) -> tuple[str, int]:
    # Scales are read with numpy, which the other commands start without.
    from ..backends.checkpoint import headers
    from ..backends.gguf import inspect as gguf
    from ..core.schemes.contradictions import contradictions
    from ..measure.accelerator import all_devices, installed_engines
    from ..report.hardware_page import accelerator_of, known_accelerator
    from ..report.inspection_page import inspection_page

    if chosen.gpu is not None:
        device = accelerator_of(known_accelerator(chosen.gpu))
    else:
        device = all_devices(_imported_without_torch)[0]
    reader = gguf if gguf.is_gguf(chosen.checkpoint) else headers
    checkpoint = reader.inspect(chosen.checkpoint)
    page = inspection_page(checkpoint, device, installed_engines())
    return page, CONTRADICTED if contradictions(checkpoint) else 0


def _imported_without_torch(name: str) -> Any:
    # Asking torch for the device would take longer than all the rest.
    from ..measure.accelerator import imported

    return None if name == "torch" else imported(name)
