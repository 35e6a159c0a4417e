"""Words of what is said in every room."""

from __future__ import annotations

from ...core.codes import SharedCode
from .template import Table

WORDS: Table = {
    SharedCode.STATED: ("{text}", "{help:each}"),
    SharedCode.MISSING_EXTRA: (
        "{needed_by} needs the package {package!r}, which is not installed",
        "install it with: {install}",
    ),
}
