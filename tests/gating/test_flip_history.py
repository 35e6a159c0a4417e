"""How much earlier checkpoints flipped: what planning takes from it, and what it never does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantreg.core.errors import Refusal
from pytest_quantreg.core.gates.plan import Plan
from pytest_quantreg.core.gates.selection import MIN_RETENTION, Gate
from pytest_quantreg.core.gates.verdict import judge
from pytest_quantreg.core.settings import GateMode
from pytest_quantreg.gating.history import FlipCount, FlipHistory, Origin, planned_flip_share

from ..core.comparison.comparisons import paired
from ..plugin.conftest import ANSWERS, Suite

INT4 = Origin("model", "w4a16-int4", "transformers", "first")
NOISY, QUIET = (162, 31, 31, 176), (300, 4, 4, 92)


def flips(path: Path, session: str) -> FlipHistory:
    """The file as one session sees it."""
    return FlipHistory(path / "flips.jsonl", session)


def test_small_models_were_planned_with_the_flips_of_large_ones(tmp_path: Path) -> None:
    """15 % at int4 are remembered by model, scheme and engine, and of each task the latest."""
    flips(tmp_path, "one").note(INT4, paired(*QUIET), "then")
    flips(tmp_path, "two").note(INT4, paired(*NOISY), "now")
    again = flips(tmp_path, "three")
    assert again.of(INT4, "sum") == again.of(INT4) == (FlipCount(400, 62.0),)
    share = planned_flip_share(again.of(INT4), 0.95)
    assert share is not None
    assert 0.155 < share < 0.19
    for other in ({"model": "x"}, {"scheme": "w8a8-int8"}, {"engine": "vllm"}):
        assert again.of(replace(INT4, **other)) == ()
    assert again.of(INT4, "other task") == ()
    assert planned_flip_share((), 0.95) is planned_flip_share((FlipCount(400, 0.0),), 0.95) is None


def test_a_session_does_not_learn_from_itself(tmp_path: Path) -> None:
    """A test gives the same verdict alone and after others."""
    own = flips(tmp_path, "one")
    own.note(INT4, paired(*NOISY), "now")
    assert own.of(INT4) == ()


def test_a_broken_checkpoint_is_forgotten(tmp_path: Path) -> None:
    """What it flips on the tasks that it did not lose says nothing about a sound one."""
    first = flips(tmp_path, "one")
    first.note(INT4, paired(*NOISY), "now")
    first.note(replace(INT4, checkpoint="second"), paired(*QUIET), "now")
    first.note_loss(replace(INT4, checkpoint="second"), "now")
    assert flips(tmp_path, "two").of(INT4) == (FlipCount(400, 62.0),)
    first.note_loss(INT4, "now")
    assert flips(tmp_path, "two").of(INT4) == ()


def test_what_was_trained_further_is_not_kept(tmp_path: Path) -> None:
    """A surely better candidate flips for another reason."""
    flips(tmp_path, "one").note(INT4, paired(200, 80, 2, 118), "now")
    assert flips(tmp_path, "two").of(INT4) == ()


def test_the_file_stays_small_and_may_hold_anything(tmp_path: Path) -> None:
    """Equal measurements are one line; broken lines and impossible figures are passed over."""
    for session in "abc":
        flips(tmp_path, session).note(INT4, paired(*NOISY), session)
    path = tmp_path / "flips.jsonl"
    (line,) = path.read_text("utf-8").splitlines()
    changes: tuple[dict[str, object], ...] = (
        {"items": "x"},
        {"changed": -1},
        {"changed": 1e9},
        {"items": 10**400},
        {"metric": {}},
        {"items": 10**400, "changed": 10**400},
        {"checkpoint": [], "lost": True},
    )
    wrong = [{**json.loads(line), "task": str(at), **change} for at, change in enumerate(changes)]
    path.write_text("\n".join(["{", "[]", "\0", *map(json.dumps, wrong), line, ""]), "utf-8")
    assert flips(tmp_path, "d").of(INT4) == (FlipCount(400, 62.0),)
    path.unlink()
    path.mkdir()
    flips(tmp_path, "e").note(INT4, paired(*NOISY), "now")
    assert flips(tmp_path, "f").of(INT4) == ()


@pytest.mark.parametrize(("expected", "n"), [(0.17, 150), (0.002, 60)])
def test_the_flips_of_other_checkpoints_decided_about_one_that_flipped_nothing(
    expected: float, n: int
) -> None:
    """They made a sound build too weak, and a gate with too few items strong enough."""

    def told(seen: float | None) -> str:
        made = replace(paired(n * 4 // 5, 0, 0, n // 5), expected=seen)
        gate = Gate(MIN_RETENTION, 0.98, None, None, 1)
        plan = Plan((gate,), GateMode.DETECT, 0.95)
        try:
            return judge(gate, made, plan, max_undetected=0.1).evidence.value
        except Refusal as error:
            return error.category.value

    assert told(expected) == told(None)


GATE = """
@pytest.mark.min_retention(0.9)
def test_task(compare_accuracy):
    compare_accuracy("sum")
"""


def asked_for(suite: Suite) -> int:
    """The items that a gate on too few asks for."""
    result = suite.gate("--quant-limit=30")
    line = next(line for line in result.outlines if "about " in line and "items would show" in line)
    return int(line.split("about ")[1].split(" ")[0].replace(",", ""))


@pytest.mark.parametrize("emptied", [False, True])
def test_advice_followed_was_too_weak_again_for_a_small_model(suite: Suite, emptied: bool) -> None:
    """What the model flipped before, by the cache or by an accepted run, plans the items."""
    suite.test(GATE)
    suite.record()
    planned = asked_for(suite)
    noisy = {"also_wrong": {"seed": 5, "share": 0.1}, "fixed": {"seed": 6, "share": 0.4}}
    suite.checkpoint("int8", tasks={"sum": {**ANSWERS["sum"], **noisy}})
    words = ["--quant-accept"] if emptied else []
    assert suite.gate(*words).ret == 0
    if emptied:
        (suite.path / "cache" / "flips.jsonl").unlink()
    assert asked_for(suite) > 1.5 * planned


def test_a_lost_candidate_does_not_plan_the_next(suite: Suite) -> None:
    """Its flips are forgotten, and the scheme's default counts again."""
    suite.test(GATE)
    suite.record()
    planned = asked_for(suite)
    suite.checkpoint("bad", also_wrong={"seed": 5, "share": 0.4})
    assert suite.gate(checkpoint="bad").ret == 1
    assert asked_for(suite) == planned
    assert '"lost": true' in (suite.path / "cache" / "flips.jsonl").read_text("utf-8")
