"""The rules of what must be equal to compare, as the page of the documentation shows them."""

from __future__ import annotations

from pytest_quantreg.core.comparison.comparability import RULES, Level, Rule
from pytest_quantreg.report.words import words_of

HEADS = (
    (
        Level.REFUSE,
        "Refused",
        "A difference here is shown with both values, and nothing is judged.",
    ),
    (Level.TELL, "Told", "A difference here stands beside the verdict."),
    (Level.IGNORE, "Ignored", "A difference here is what is compared, or says nothing."),
)


def rules_page() -> str:
    """The whole page as Markdown; `docs/comparable.md` holds it."""
    lines = [
        "# What must be equal to compare",
        "",
        "One table in the code (`pytest_quantreg/core/comparison/comparability.py`) decides "
        "whether two runs may be compared. `python tools/comparable_page.py` makes this page, "
        "and a test holds the two equal.",
        "",
        "Runs of `pytest` and stored baselines are compared by every field. Imported files, such "
        "as those of lm-eval, say only a part of it: what both sides say must be equal, and what "
        "only one side says is told. The fields `imported.*` are arguments of lm-eval.",
        "",
    ]
    for level, head, about in HEADS:
        rules = [rule for rule in RULES if rule.level is level]
        lines += [f"## {head}", "", about, "", *_table(rules, with_way_out=level is Level.REFUSE)]
    return "\n".join(lines)


def _table(rules: list[Rule], *, with_way_out: bool) -> list[str]:
    names = ["field", "why", *(["way out"] if with_way_out else [])]
    lines = [f"| {' | '.join(names)} |", f"|{'|'.join(['---'] * len(names))}|"]
    for rule in rules:
        drift = " (`quant_baseline_drift` relaxes it)" if rule.drift else ""
        cells = [f"`{rule.field}`", words_of(rule.why).what + drift]
        if with_way_out and rule.way_out is not None:
            cells.append(words_of(rule.way_out).what)
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


if __name__ == "__main__":
    print(rules_page(), end="")
