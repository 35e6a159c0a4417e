"""The gate of a release: what a quantized tiny-llama must keep of the full-precision one."""

import pytest


@pytest.mark.min_retention(0.98)
@pytest.mark.parametrize("task", ["recall", "pattern", "sum"])
def test_keeps_accuracy(task, compare_accuracy):
    """At least 98 % of the baseline's right answers, on every task."""
    compare_accuracy(task)


def test_perplexity(compare_accuracy):
    """Perplexity is measured and listed beside the gates."""
    compare_accuracy("stories")
