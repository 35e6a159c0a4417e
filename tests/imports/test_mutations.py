"""Two thousand damaged copies of real files: each is read or refused, and none breaks anything."""

from __future__ import annotations

import copy
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.errors import QuantregError
from pytest_quantreg.core.records.evaluation import Evaluation
from pytest_quantreg.core.records.timings import Timings, compare_timings
from pytest_quantreg.imports.open_results import open_path
from pytest_quantreg.report.rows import row_of
from pytest_quantreg.report.words import COMMAND_LINE, words_of
from tests.cli.lm_eval_folders import BASE, evaluated, flipped, rows

ROUNDS = pytest.mark.parametrize("rounds", [25, pytest.param(250, marks=pytest.mark.slow)])
"""How often each change is tried on each file: 200 times in all, or 2,000."""
"""Mutations per file and kind."""

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, -0.5, 2**70, "", "NaN", "x" * 300, [], {}, [[]], {"a": {}}),
    *([None], ["a", 1], {"name": 3}, "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
)


def bytes_changed(data: bytes, rng: random.Random) -> bytes:
    """A few bytes replaced, removed, doubled, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed))
        kind = rng.randrange(4)
        if kind == 0:
            changed[at] = rng.randrange(256)
        elif kind == 1:
            del changed[at : at + rng.randint(1, 50)]
        elif kind == 2:
            changed[at:at] = changed[at : at + rng.randint(1, 50)]
        else:
            del changed[max(at, 1) :]
        if not changed:
            break
    return bytes(changed)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a JSON value with one of its keys."""
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def shape_changed(data: bytes, rng: random.Random) -> bytes:
    """One value or more replaced by something odd, removed or renamed: still valid JSON."""
    lines = data.decode().splitlines() if data.count(b"\n{") else [data.decode()]
    which = rng.randrange(len(lines))
    document = json.loads(lines[which])
    for _ in range(rng.randint(1, 3)):
        candidates = list(places(document))
        if not candidates:
            break
        holder, key = rng.choice(candidates)
        kind = rng.randrange(3)
        if kind == 0 or isinstance(holder, list):
            holder[key] = copy.deepcopy(rng.choice(ODD))
        elif kind == 1:
            del holder[key]
        else:
            holder[rng.choice(["", "n-samples", "acc,none", "filter", "x"])] = holder.pop(key)
    lines[which] = json.dumps(document)
    return ("\n".join(lines) + "\n").encode()


def use(path: Path) -> None:
    """Reads, and compares with itself what could be read."""
    from pytest_quantreg.gating.files.judge import conclude, judge_candidate
    from pytest_quantreg.gating.files.policy import ComparePolicy

    imported = open_path(path)
    if isinstance(imported, Timings):
        compare_timings(imported, imported, confidence=0.95)
        return
    assert isinstance(imported, Evaluation)
    wish = ComparePolicy(minimum=0.5)
    judged = judge_candidate(imported, imported, wish)
    assert conclude([judged], wish) in range(4)
    for outcome in judged.outcomes:
        json.dumps(row_of(outcome, COMMAND_LINE).to_plain(), allow_nan=False)


def refusal_of(path: Path) -> str | None:
    """What the refusal says; None where the file was read and compared."""
    try:
        use(path)
    except QuantregError as error:
        return words_of(error.problem).what
    return None


FILES = {
    "results": "lm-eval/qwen3.6-27b/bf16/ifeval",
    "log": "lm-eval/same-model-twice",
    "filters": "lm-eval/protocol-mismatch/nothink",
    "timing": "vllm-bench/bf16",
}


@ROUNDS
@pytest.mark.parametrize("change", [bytes_changed, shape_changed])
@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_are_read_or_refused(
    tmp_path: Path,
    data: Path,
    kind: str,
    change: Callable[[bytes, random.Random], bytes],
    rounds: int,
) -> None:
    """No mutation ends in anything but values or one refusal that some reader foresaw."""
    folder = Path(shutil.copytree(data / FILES[kind], tmp_path / kind))
    ending = "*.json" if kind in ("results", "timing") else "*.jsonl"
    target = min(folder.rglob(ending))
    for other in folder.rglob("*.json*"):
        stamp = target.name.rpartition("_")[2].removesuffix("l")
        if other != target and stamp not in other.name:
            other.unlink()
    whole = target.read_bytes()
    use(folder)
    rng = random.Random(f"{kind} {change.__name__}")
    refused = 0
    for _ in range(rounds):
        target.write_bytes(change(whole, rng))
        told = refusal_of(folder)
        refused += told is not None
        assert told is None or "does not look like" not in told
    assert 0 < refused < rounds


@ROUNDS
@pytest.mark.parametrize("change", [bytes_changed, shape_changed])
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_no_mutation_lets_a_lost_candidate_pass(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ending: str,
    change: Callable[[bytes, random.Random], bytes],
    rounds: int,
) -> None:
    """A candidate that lost a fifth of the answers is lost or refused, whatever befalls a file."""
    monkeypatch.chdir(tmp_path)
    few = BASE[:200]
    evaluated("base", {"t": list(rows("base", few))})
    folder = evaluated("lost", {"t": list(rows("lost", flipped(few, 32, 0)))})
    baseline = open_path(Path("base"))
    assert isinstance(baseline, Evaluation)
    target = next(folder.glob(f"*.{ending}"))
    whole = target.read_bytes()
    rng = random.Random(f"{ending} {change.__name__}")
    assert status_against(baseline, folder) == 1
    for _ in range(rounds // 2):
        target.write_bytes(change(whole, rng))
        assert status_against(baseline, folder) in (1, 2)


def status_against(baseline: Evaluation, path: Path) -> int:
    """The exit status of a certified .95 on what lies at ``path``."""
    from pytest_quantreg.core.settings import GateMode
    from pytest_quantreg.gating.files.judge import conclude, judge_candidate
    from pytest_quantreg.gating.files.policy import ComparePolicy

    wish = ComparePolicy(minimum=0.95, mode=GateMode.CERTIFY)
    try:
        imported = open_path(path)
        assert isinstance(imported, Evaluation)
        return conclude([judge_candidate(baseline, imported, wish)], wish)
    except QuantregError:
        return 2
