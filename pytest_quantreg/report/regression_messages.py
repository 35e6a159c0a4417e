"""The words of a gate on accepted runs that has none to compare with."""

from __future__ import annotations

from ..core.errors import Category
from ..core.gates.outcome import NOT_APPLICABLE, Context, Outcome


def of_nothing_accepted(
    gate: str,
    why: str,
    *,
    scheme: str,
    context: Context,
    task: str,
    metric: str | None,
    incomparable: bool,
) -> Outcome:
    """A gate on accepted runs in a session that accepts, where there is none to compare with."""
    return Outcome(
        NOT_APPLICABLE,
        False,
        scheme,
        f"not applicable {scheme} {task}: {gate}: {why}",
        context=context,
        task=task,
        metric=metric,
        gate=gate,
        category=Category.NOT_COMPARABLE.value if incomparable else None,
        advice=f"{gate}: {why}",
    )
