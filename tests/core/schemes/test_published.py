"""Published retentions: each with its source, as its source has it, and what they suggest."""

from __future__ import annotations

import math

import pytest

from pytest_quantreg.core.schemes.names import SCHEMES
from pytest_quantreg.core.schemes.published import MOST, PUBLISHED, Published, lowest, suggested

EVERY = [figure for listed in PUBLISHED.values() for figure in listed]

# gsm8k (strict match), humaneval, mbpp, mmlu_pro: right answers of so many items, as the
# result files of sch0tten/nvfp4-benchmark have them for Qwen3.6-27B.
ITEMS = (600, 164, 500, 700)
BASELINE = (583, 158, 417, 591)
ARMS = {
    "w8a8-fp8-block": (589, 160, 419, 588),
    "w4a16-int4": (589, 158, 410, 580),
    "w4a4-nvfp4": (580, 157, 419, 574),
}


def test_only_schemes_that_there_are() -> None:
    """A figure stands under a built-in name that quantizes something."""
    assert PUBLISHED.keys() <= {scheme.name for scheme in SCHEMES if scheme.is_quantized}


@pytest.mark.parametrize("figure", EVERY, ids=lambda figure: f"{figure.source} {figure.benchmark}")
def test_each_names_its_source(figure: Published) -> None:
    """A source, and a figure with its benchmark and model, or what was said without one."""
    assert figure.source.startswith(("model card ", "arXiv ", "GitHub "))
    assert figure.says if figure.retention is None else (figure.benchmark and figure.model)
    assert figure.retention is None or 0.5 < figure.retention < 1.1


def down(ratio: float) -> float:
    """To three places, never up."""
    return math.floor(ratio * 1000) / 1000


@pytest.mark.parametrize("scheme", ARMS)
def test_the_benchmark_is_reckoned_right(scheme: str) -> None:
    """The five figures of one arm follow from the counts of its result files."""
    before = [right / n for right, n in zip(BASELINE, ITEMS, strict=True)]
    after = [right / n for right, n in zip(ARMS[scheme], ITEMS, strict=True)]
    wanted = [sum(after) / sum(before), *(b / a for a, b in zip(before, after, strict=True))]
    listed = [figure for figure in PUBLISHED[scheme] if figure.source.startswith("GitHub")]
    assert [figure.retention for figure in listed] == [down(ratio) for ratio in wanted]
    assert [figure.average for figure in listed] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("scheme", "scores"),
    [("w4a4-nvfp4", (74.0, 78.9)), ("w4a4-nvfp4", (76.1, 78.9)), ("w8a16-int8", (68.54, 68.69))],
)
def test_cards_that_give_scores(scheme: str, scores: tuple[float, float]) -> None:
    """Where a card gives two scores and no share, the share is theirs, rounded down."""
    assert down(scores[0] / scores[1]) in [figure.retention for figure in PUBLISHED[scheme]]


def test_the_lowest_is_that_of_whole_benchmarks() -> None:
    """Single tasks of a few hundred items are left out; what has no figure has none."""
    assert lowest("w4a16-int4") == 0.961
    assert lowest("w8a8-fp8-block") == 1.006
    assert lowest("w8a8-fp8") is None
    assert lowest("gguf-q8_0") is None


@pytest.mark.parametrize(
    ("retention", "threshold"),
    [(0.961, 0.96), (0.937, 0.93), (0.97, 0.97), (0.989, 0.98), (1.015, MOST), (None, None)],
)
def test_suggestions_are_rounded_down(retention: float | None, threshold: float | None) -> None:
    """Two places, never up, never above 0.99."""
    assert suggested(retention) == threshold
