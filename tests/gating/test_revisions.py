"""The revision that --quant-model names now, against that of the stored baseline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.core.comparison.comparability import Level, compare_runs
from pytest_quantreg.core.engine import Capabilities
from pytest_quantreg.core.records.run import ModelIdentity, ModelSpec
from pytest_quantreg.core.settings import ModelRef
from pytest_quantreg.gating.preconditions import Preconditions

from ..core.comparison.test_comparability import BASELINE, CANDIDATE, MODEL
from ..wording import shown

OLD, NEW = "a" * 40, "b" * 40
SPEC = ModelSpec("/int8", "org/x", "w8a8-int8", "scripted")
HERE = replace(MODEL, revision=NEW)


def grounds(model: ModelRef | None, snapshot: str | None) -> Preconditions:
    """The grounds of a session whose hub cache holds the model in ``snapshot``, or does not."""

    def at_hand(spec: ModelSpec) -> ModelSpec | None:
        return None if snapshot is None else replace(spec, ref=snapshot, revision=None)

    settings: Any = SimpleNamespace(
        model=model,
        baselines=Path("/nowhere/baselines"),
        cache_dir=Path("/nowhere"),
        backend="transformers",
        baseline_args={},
    )
    bench: Any = SimpleNamespace(
        capabilities=Capabilities(at_hand=at_hand),
        identify=lambda spec: replace(MODEL, revision=spec.revision),
    )
    return Preconditions(settings, bench, "session")


@pytest.mark.parametrize(
    ("base", "field", "level"),
    [
        (HERE, "base.revision", Level.TELL),
        (replace(HERE, weights_digest="1" * 64), "base.weights_digest", Level.REFUSE),
        (replace(HERE, tokenizer_digest="2" * 64), "base.tokenizer_digest", Level.REFUSE),
    ],
)
def test_another_revision_was_compared_by_its_name_alone(
    base: ModelIdentity, field: str, level: Level
) -> None:
    """Equal weights and tokenizer are reported, others refused; a revision refuses nothing."""
    provenance = replace(BASELINE.provenance, model=replace(MODEL, revision=OLD))
    baseline = replace(BASELINE, provenance=provenance)
    (difference,) = compare_runs(baseline, replace(CANDIDATE, base=base))
    assert (shown(difference.field), difference.level) == (field, level)


def test_a_revision_in_the_hub_cache_was_not_looked_at() -> None:
    """The snapshot's weights are those that are compared, its commit is the revision."""
    model = ModelRef("org/x", "org/x", "org/x@v2", "v2")
    preconditions = grounds(model, f"/hub/models--org--x/snapshots/{NEW}")
    assert preconditions.base_at_hand("org/x") == HERE
    assert preconditions.not_compared(SPEC, replace(MODEL, revision=OLD)) == ()


@pytest.mark.parametrize(
    ("revision", "recorded", "told"),
    [
        ("v2", OLD, "recorded from revision aaaaaaa"),
        (None, OLD, "recorded from revision aaaaaaa"),
        ("v2", None, "recorded from no revision"),
        (OLD, OLD, None),
    ],
)
def test_a_revision_that_is_not_here_was_passed_over_in_silence(
    revision: str | None, recorded: str | None, told: str | None
) -> None:
    """The summary says that it was not compared, unless it is the very commit."""
    given = f"org/x@{revision}" if revision else "org/x"
    preconditions = grounds(ModelRef("org/x", "org/x", given, revision), None)
    notes = preconditions.not_compared(SPEC, replace(MODEL, revision=recorded))
    assert preconditions.base_at_hand("org/x") is None
    if told is None:
        assert notes == ()
    else:
        (note,) = notes
        assert note.startswith(f"{given} is not in the local hub cache")
        assert told in note
    assert (
        preconditions.not_compared(replace(SPEC, quantize=True), replace(MODEL, revision=recorded))
        == ()
    )


def test_a_gate_without_a_model_says_nothing() -> None:
    """The stored baseline is all that there is to compare with."""
    assert grounds(None, None).not_compared(SPEC, MODEL) == ()
