"""A model that nobody could look into and whose log-likelihoods are the baseline's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantreg.core.comparison.suspicion import refuse_same_answers
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import Accuracy, EffectiveScheme, Metric

from ...wording import refused, says
from .comparisons import accuracy

SERVED = EffectiveScheme(
    scheme="w8a8-int8",
    weights="int8 per channel",
    activations="int8 per token, dynamic",
    kv_cache="not told by the server",
    kernel="not told by the server",
    mode="unverified",
    quantized_layers=21,
    linear_layers=21,
)

BASELINE = tuple(-100.0 - item / 7 for item in range(100))


def measured(scores: tuple[float, ...], kind: str = "perplexity") -> Accuracy:
    """One metric with these scores."""
    return accuracy(scores, Metric("word_perplexity,none", False, kind), task="stories")


def moved(documents: int) -> tuple[float, ...]:
    """The baseline's log-likelihoods, so many of them moved by a little."""
    return tuple(
        score + 1e-4 if place < documents else score for place, score in enumerate(BASELINE)
    )


@pytest.mark.parametrize("documents", [0, 49])
def test_the_same_likelihoods(documents: int) -> None:
    """More than half of the documents equal to the last bit: the same weights were served."""
    with refused() as caught:
        refuse_same_answers(measured(BASELINE), measured(moved(documents)), SERVED)
    assert caught.value.category is Category.SUSPICIOUS
    assert says(caught.value).startswith(f"{100 - documents} of 100 items of stories have")


def test_the_same_choices() -> None:
    """Questions are compared by the sum of their choices' log-likelihoods, where it was kept."""
    right = (1.0,) * 100
    base, copy = measured(right, "binary"), measured(right, "binary")
    refuse_same_answers(base, copy, SERVED)
    noted = [
        replace(model, items=replace(model.items, facts={"likelihood": column}))
        for model, column in ((base, BASELINE), (copy, moved(10)), (copy, moved(90)))
    ]
    with refused("90 of 100 items of stories"):
        refuse_same_answers(noted[0], noted[1], SERVED)
    refuse_same_answers(noted[0], noted[2], SERVED)


@pytest.mark.parametrize("documents", [50, 100])
def test_others(documents: int) -> None:
    """A copy whose likelihoods moved, be it by little, is judged."""
    refuse_same_answers(measured(BASELINE), measured(moved(documents)), SERVED)


@pytest.mark.parametrize(
    "effective",
    [
        replace(SERVED, mode="native"),
        replace(SERVED, mode="emulated"),
        replace(SERVED, scheme="bf16"),
    ],
)
def test_what_is_known_is_not_suspected(effective: EffectiveScheme) -> None:
    """Where weights were read that decides, and a full-precision model may equal itself."""
    refuse_same_answers(measured(BASELINE), measured(BASELINE), effective)


def test_scores_of_0_and_1_say_nothing() -> None:
    """A good copy may well flip none of hundreds of answers."""
    right = measured((1.0, 0.0) * 50, kind="binary")
    refuse_same_answers(right, right, SERVED)
