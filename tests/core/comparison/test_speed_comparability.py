"""Which differences refuse a comparison with stored speeds, and which are told."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from pytest_quantreg.core.comparison.comparability import RULES, Candidate, Level, refusal
from pytest_quantreg.core.comparison.speed_comparability import (
    SPEED_RULES,
    comparable_sessions,
    comparable_speed,
)
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import EffectiveScheme, Machine, ModelIdentity, Software
from pytest_quantreg.core.records.speed import DeviceState, Request, Round, Workload
from pytest_quantreg.core.records.speed_run import SpeedRun, SpeedSession
from pytest_quantreg.report.words import words_of
from pytest_quantreg.report.words.comparability import REASONS

from ...wording import shown

MODEL = ModelIdentity(
    "org/m", "abc", "LlamaForCausalLM", 1024, {"hidden_size": 64}, "bfloat16", "t", None, "w"
)
SOFTWARE = Software(
    "transformers", {"transformers": "5.17.0", "torch": "2.13.0+cu126", "lm_eval": "0.4.13"}
)
MACHINE = Machine("cuda", "NVIDIA H100 80GB HBM3", 1, "570.86")
STORED = SpeedRun(
    model=MODEL,
    scheme="bf16",
    workload=Workload(),
    machine=MACHINE,
    software=SOFTWARE,
    effective=EffectiveScheme("bf16", "bf16", "bf16", "bf16", "torch", "full precision", 0, 28),
    sessions=(
        SpeedSession("2026-01-02T03:04:05Z", (Round((Request(0.0, 0.1, 1.0, 64),)),), "0123abc"),
    ),
)
QUANTIZED = replace(MODEL, name="org/m-int8", revision="def", weights_digest="q")
CANDIDATE = Candidate(QUANTIZED, SOFTWARE, MACHINE, base=MODEL)


def _with_versions(**versions: str) -> Candidate:
    merged = {**SOFTWARE.versions, **versions}
    return replace(CANDIDATE, software=replace(SOFTWARE, versions=merged))


def test_a_quantized_copy_on_the_same_device_compares() -> None:
    """Another name, history and weights are what a quantized checkpoint has; nothing is said."""
    assert comparable_speed(STORED, CANDIDATE) == []
    assert comparable_sessions(STORED, STORED) == []


def test_every_field_of_a_speed_run_has_its_rule() -> None:
    """Nothing that is recorded is forgotten: each field is refused, told or ignored by a rule."""
    known = {rule.field for rule in SPEED_RULES}
    assert len(known) == len(SPEED_RULES)
    expected = {
        *(f"model.{item.name}" for item in fields(ModelIdentity)),
        *(f"machine.{item.name}" for item in fields(Machine)),
        *(item.name for item in fields(SpeedRun)),
        *(item.name for item in fields(SpeedSession)),
    } - {"model", "software", "machine", "sessions"}
    assert expected <= known
    assert all(words_of(rule.why).what for rule in SPEED_RULES)
    assert all(rule.way_out for rule in SPEED_RULES if rule.level is Level.REFUSE)
    # Of the device's state what changes speed lastingly has a rule of its own.
    levels = {rule.field: rule.level for rule in SPEED_RULES}
    assert {"threads", "power_limit_w"} <= {item.name for item in fields(DeviceState)}
    assert levels["threads"] is levels["power_limit_w"] is levels["warmup"] is Level.REFUSE
    assert levels["args"] is Level.TELL


@pytest.mark.parametrize(
    ("candidate", "field", "level"),
    [
        (
            replace(CANDIDATE, machine=replace(MACHINE, accelerator="NVIDIA H200")),
            "machine.accelerator",
            Level.REFUSE,
        ),
        (replace(CANDIDATE, machine=replace(MACHINE, count=2)), "machine.count", Level.REFUSE),
        (replace(CANDIDATE, machine=Machine("cpu", "EPYC")), "machine.kind", Level.REFUSE),
        (replace(CANDIDATE, machine=replace(MACHINE, driver="580")), "machine.driver", Level.TELL),
        (
            replace(CANDIDATE, software=replace(SOFTWARE, backend="vllm")),
            "software.backend",
            Level.REFUSE,
        ),
        (_with_versions(transformers="5.18.0"), "transformers version", Level.REFUSE),
        (_with_versions(transformers="5.17.4"), "transformers version", Level.TELL),
        (_with_versions(torch="2.14.0+cu126"), "torch version", Level.REFUSE),
        (_with_versions(torch="2.13.1+cu126"), "torch version", Level.TELL),
        (_with_versions(torch="2.13.0+cpu"), "torch version", Level.TELL),
        (_with_versions(torchao="0.18"), "torchao version", Level.TELL),
        (
            replace(CANDIDATE, model=replace(QUANTIZED, dtype="float16")),
            "model.dtype",
            Level.REFUSE,
        ),
        (
            replace(CANDIDATE, model=replace(QUANTIZED, shapes={"hidden_size": 128})),
            "model.hidden_size",
            Level.REFUSE,
        ),
        (
            replace(CANDIDATE, base=replace(MODEL, weights_digest="x")),
            "base.weights_digest",
            Level.REFUSE,
        ),
    ],
)
def test_a_difference_is_refused_or_told(candidate: Candidate, field: str, level: Level) -> None:
    """One difference gives one line, with its own field and level."""
    (difference,) = comparable_speed(STORED, candidate)
    assert (shown(difference.field), difference.level) == (field, level)


def test_the_version_of_the_harness_is_of_no_interest() -> None:
    """lm-eval takes no part in timing, so neither its minor nor its patch version is told."""
    for version in ("0.4.14", "0.5.0"):
        assert comparable_speed(STORED, _with_versions(lm_eval=version)) == []


def test_drift_relaxes_versions_and_nothing_else() -> None:
    """With quant_baseline_drift = "warn" versions are told; another device stays refused."""
    moved = replace(
        _with_versions(torch="2.14", transformers="5.18"),
        machine=replace(MACHINE, accelerator="NVIDIA A40"),
    )
    levels = {
        shown(difference.field): difference.level
        for difference in comparable_speed(STORED, moved, drift="warn")
    }
    assert levels == {
        "machine.accelerator": Level.REFUSE,
        "torch version": Level.TELL,
        "transformers version": Level.TELL,
    }
    with pytest.raises(ValueError, match="drift is 'refuse' or 'warn'"):
        comparable_speed(STORED, CANDIDATE, drift="no")


def test_another_accelerator_is_refused_by_name() -> None:
    """The one error names both devices and the way out."""
    moved = replace(CANDIDATE, machine=replace(MACHINE, accelerator="NVIDIA A40"))
    error = refusal(comparable_speed(STORED, moved), "w8a8-int8 batch 1")
    assert error is not None
    assert error.category is Category.NOT_COMPARABLE
    words = words_of(error.problem)
    assert "baseline NVIDIA H100 80GB HBM3, now NVIDIA A40" in words.what
    assert words.help == ("record a baseline on this accelerator: pytest --quant-update",)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"effective": replace(STORED.effective, kernel="marlin")}, "effective.kernel"),
        ({"model": replace(MODEL, weights_digest="x")}, "base.weights_digest"),
        ({"software": replace(SOFTWARE, versions={})}, "torch version"),
        ({"machine": replace(MACHINE, count=4)}, "machine.count"),
    ],
)
def test_sessions_of_another_baseline_do_not_mix(change: dict[str, Any], field: str) -> None:
    """Refused whatever the drift, and the way out is to record the baseline again."""
    refused = [
        difference
        for difference in comparable_sessions(STORED, replace(STORED, **change))
        if difference.level is Level.REFUSE
    ]
    assert shown(refused[0].field) == field
    assert {shown(difference.way_out) for difference in refused} == {
        "record the baseline again: pytest --quant-update=all"
    }


def test_reasons_are_those_of_rules() -> None:
    """Each rule has the words of its reason, and no words are left over."""
    rules = {rule.why.facts["reason"] for rule in (*RULES, *SPEED_RULES)}
    assert {*REASONS} == rules | {"speed.model.dtype"}
