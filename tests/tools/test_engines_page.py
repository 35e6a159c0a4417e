"""The documentation's table of engines, schemes and devices is that of the code."""

from __future__ import annotations

from pathlib import Path

from pytest_quantreg.core.schemes.names import SCHEMES
from tools.engines_page import engines_table

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"


def test_the_page_holds_the_table() -> None:
    """docs/engines.md shows the kernel tables; `python tools/engines_page.py` prints them."""
    assert engines_table() in PAGE.read_text(encoding="utf-8")


def test_every_scheme_has_a_row_and_something_was_run() -> None:
    """No scheme is left out, and what was run on a CPU is marked as such."""
    rows = engines_table().splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [
        f"`{one.name}`" for one in SCHEMES if one.is_quantized
    ]
    marked = [row.split("|")[1].strip() for row in rows if "**native**" in row]
    assert marked == [
        f"`{name}`"
        for name in (
            *("w8a8-int8", "w4a16-int4", "w8a8-fp8", "bnb-int8", "bnb-nf4"),
            *("gguf-q8_0", "gguf-q4_k_m"),
        )
    ]
