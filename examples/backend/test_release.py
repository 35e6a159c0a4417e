"""The gates of a word-pair model: pytest --quant-scheme=w8a16-int8."""

import pytest


@pytest.mark.min_retention(0.95)
def test_still_knows_people(compare_accuracy):
    """Questions on facts are answered as well as before."""
    compare_accuracy("recall")


@pytest.mark.max_perplexity_ratio(1.02)
def test_still_reads_stories(compare_accuracy):
    """Stories surprise it no more than before."""
    compare_accuracy("stories")
