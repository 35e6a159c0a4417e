"""`quantreg report`: a stored JSON report, shown again in the form that is asked for."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

FORMS = ("text", "md", "json")


def add_report(commands: Commands) -> None:
    """The arguments of the command."""
    report = commands.add_parser(
        "report",
        help="show a report that pytest --quant-report=PATH.json wrote, again or in another form",
        description="Reads a report that pytest --quant-report=PATH.json wrote, checks it and "
        "shows it. Exit status 2 where it cannot be read, is cut off or contradicts itself.",
    )
    report.add_argument("file", metavar="FILE", help="the JSON report")
    report.add_argument(
        "--format",
        choices=FORMS,
        default=FORMS[0],
        help="text: as at the end of the session (default); md: for a comment on a pull request; "
        "json: as it is, checked",
    )
    report.set_defaults(page=lambda chosen: report_page(chosen.file, chosen.format))


def report_page(named: str, form: str) -> str:
    """The report in the file ``named``, as one of `FORMS`.

    As JSON it is the document itself, with all that a newer minor version wrote into it.
    Raises WrongUse for a file that is no report or cannot be trusted.
    """
    # The command line is read before numpy and jsonschema are paid for.
    from ..core.strict_json import dump_readable
    from ..report.json_document import read, to_report
    from ..report.markdown import markdown
    from ..report.plain_text import plain

    document = read(Path(os.path.expanduser(named)), named)
    if form == "json":
        return dump_readable(document).decode().rstrip("\n")
    report = to_report(document)
    return (markdown if form == "md" else plain)(report).rstrip("\n")
