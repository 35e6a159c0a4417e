"""Words of what is said in every room."""

from __future__ import annotations

from ...core.codes import SharedCode
from .template import Table

WORDS: Table = {
    SharedCode.NOTED: "{task}: {cause}",
    SharedCode.STATED: ("{text}", "{help:each}"),
    SharedCode.MISSING_EXTRA: (
        "{needed_by} needs the package {package!r}, which is not installed",
        "install it with: {install}",
    ),
    SharedCode.COMPARE_MORE_ITEMS: "raise --quant-limit or limit=",
    SharedCode.GATE_THE_METRIC: (
        "gate it with its own minimum: min_retention(R, metric={metric!r})"
    ),
}
