"""`quantreg schemes`: the schemes that --quant-scheme takes, or one of them in full."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_schemes(commands: Commands) -> None:
    """The argparse lines of the command."""
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


def _schemes(chosen: argparse.Namespace) -> str:
    from ..config.schemes import nearest_catalogue
    from ..report.schemes_page import backend_page, scheme_page, schemes_page

    catalogue = nearest_catalogue()
    if chosen.name is not None:
        return scheme_page(chosen.name, catalogue)
    if chosen.backend is not None:
        return backend_page(chosen.backend, catalogue)
    return schemes_page(catalogue, aliases=chosen.aliases)
