"""The gate of a release: what a quantized tiny-llama must keep of the full-precision one."""

import pytest

TASKS = ["recall", "pattern", "sum"]


@pytest.mark.min_retention(0.96)
@pytest.mark.parametrize("task", TASKS)
def test_no_task_breaks(task, compare_accuracy):
    """A floor for every task by itself: red when a loss below it is proven."""
    compare_accuracy(task)


@pytest.mark.quant_gate("certify")
@pytest.mark.min_retention(0.98, task="*")
def test_keeps_accuracy(compare_accuracy):
    """Over all tasks together 98 % is kept: red unless that is proven."""
    for task in TASKS:
        compare_accuracy(task)


@pytest.mark.max_perplexity_ratio(1.02)
def test_keeps_perplexity(compare_accuracy):
    """Perplexity per token rises by 2 % at most."""
    compare_accuracy("stories")
