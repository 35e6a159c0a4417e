"""`quantreg accept`: runs out of a JSON report become the reference, or one line says why not."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from pytest_quantreg.baselines import AcceptedRuns, BaselineKey, Store
from pytest_quantreg.baselines.run_codec import digest, pack, unpack
from pytest_quantreg.cli import main
from pytest_quantreg.core.comparison.alignment import value_of
from pytest_quantreg.core.records.acceptance import CandidateRun
from pytest_quantreg.core.records.outcome_row import KEPT, UNDECIDED, Context, OutcomeRow
from pytest_quantreg.core.records.run import Run
from pytest_quantreg.core.strict_json import digest_of
from pytest_quantreg.report.json_document import encode
from pytest_quantreg.report.session_report import GATES, Report, Session

from ..baselines.store_samples import KEY, make_items, make_run
from ..wording import corrupt

INT8 = replace(KEY, scheme="w8a8-int8")
Quantreg: TypeAlias = "Callable[..., tuple[int, str, str]]"

BASELINE = make_run().accuracy
SCORES = {metric.name: value_of(BASELINE, metric) for metric in BASELINE.protocol.metrics}
CONTEXT = Context("org/tiny", None, "bf16", INT8.scheme, INT8.engine, "cpu")


def run_of(key: BaselineKey, *, salt: str = "", weights: str | None = None) -> Run:
    """A run at the scheme and of the task of ``key``."""
    run = make_run(make_items(salt=salt))
    model = run.provenance.model
    protocol = replace(run.accuracy.protocol, task=key.task)
    return replace(
        run,
        provenance=replace(
            run.provenance,
            claimed=key.scheme,
            model=replace(model, weights_digest=weights or model.weights_digest),
        ),
        accuracy=replace(run.accuracy, protocol=protocol),
    )


def packed(key: BaselineKey, run: Run, **changes: Any) -> dict[str, Any]:
    """A run as a report holds it."""
    accuracy = run.accuracy
    kept = {
        "session": "",
        "model": key.model,
        "scheme": key.scheme,
        "engine": key.engine,
        "stem": key.stem,
        "task": key.task,
        "items": len(accuracy.items),
        "baseline": SCORES,
        "minimum": 0.98,
        "against": None,
    }
    return {"kept": {**kept, **changes}, **pack(key, run)}


def report_of(
    *runs: dict[str, Any], result: str = KEPT, fails: bool = False, status: int = 0
) -> Report:
    """The report of a session that gated one scheme."""
    session = Session(
        purpose=GATES,
        started_at="2026-01-02T03:04:05Z",
        ended_at="2026-01-02T03:05:05Z",
        exit_status=status,
        incomplete=(),
        model="org/tiny",
        schemes=(INT8.scheme,),
        backend=INT8.engine,
        gate="detect",
        confidence=0.95,
        limit=None,
        require=False,
        git_commit=None,
        versions={},
    )
    outcome = OutcomeRow(
        result,
        fails,
        INT8.scheme,
        "the headline",
        context=CONTEXT,
        task=INT8.task,
        gate="min_retention(0.98)",
        mode="detect",
    )
    return Report(session, (outcome,), (), runs)


@pytest.fixture
def quantreg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Quantreg:
    """Runs the command in an empty folder with a store: its status, output and errors."""
    monkeypatch.chdir(tmp_path)
    Store(tmp_path / "baselines").save(KEY, make_run())

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(words)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def write(report: Report, path: str = "run.json") -> None:
    """The report as a file."""
    Path(path).write_bytes(encode(report))


def test_a_green_report_is_accepted(quantreg: Quantreg) -> None:
    """The run comes back whole from the store, with why it was accepted."""
    run = run_of(INT8)
    write(report_of(packed(INT8, run)))
    status, said, _ = quantreg("accept", "run.json", "--why", "release 1.4")
    assert status == 0
    assert said == f"accepted w8a8-int8 of {INT8.model} as number 1: {INT8.task}\n"
    accepted = AcceptedRuns(Path("baselines")).load(INT8)
    assert accepted is not None
    assert accepted[0] == run
    assert (accepted[1].number, accepted[1].why, accepted[1].tasks[0].minimum) == (
        1,
        "release 1.4",
        0.98,
    )


def test_undecided_needs_force(quantreg: Quantreg) -> None:
    """Without --force nothing is written; with it the line names the gate."""
    write(report_of(packed(INT8, run_of(INT8)), result=UNDECIDED))
    status, _, error = quantreg("accept", "run.json")
    assert status == 2
    assert "not accepted: undecided: min_retention(0.98) on" in error
    assert AcceptedRuns(Path("baselines")).history(INT8) == ()
    assert quantreg("accept", "run.json", "--force")[0] == 0
    [line] = AcceptedRuns(Path("baselines")).history(INT8)
    assert line.undecided == (f"min_retention(0.98) on {INT8.task}",)


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize(
    ("report", "why"),
    [
        (report_of(packed(INT8, run_of(INT8)), result="lost", fails=True, status=1), "is red"),
        (report_of(packed(INT8, run_of(INT8)), status=1), "is red"),
        (report_of(packed(INT8, run_of(INT8)), status=2), "is incomplete"),
        (report_of(), "no task of w8a8-int8 was judged against its baseline"),
        (report_of(packed(INT8, run_of(INT8), minimum=None)), "no task of w8a8-int8 was judged"),
        (report_of(packed(INT8, run_of(INT8), items=7)), "is not the one that was judged"),
        (report_of(packed(INT8, run_of(INT8), scheme="w8a8-fp8")), "not the one that was judged"),
        (
            report_of(
                packed(INT8, run_of(INT8)),
                packed(
                    replace(INT8, task="other"),
                    run_of(replace(INT8, task="other"), weights="2" * 64),
                ),
            ),
            "are of 2 checkpoints",
        ),
    ],
)
def test_never_accepted(
    report: Report, why: str, force: tuple[str, ...], quantreg: Quantreg
) -> None:
    """What is not green or not what was judged is one clear line, whatever is forced."""
    write(report)
    status, said, error = quantreg("accept", "run.json", *force)
    assert (status, said) == (2, "")
    assert why in error
    assert not [*Path("baselines").rglob("history.jsonl")]


def test_what_was_edited_is_refused(quantreg: Quantreg) -> None:
    """Scores that were changed in the report do not fit the digests, not even resealed ones."""
    write(report_of(packed(INT8, run_of(INT8))))
    document = json.loads(Path("run.json").read_text("utf-8"))
    document["runs"][0]["items"] = document["runs"][0]["items"].replace(",0", ",1")
    Path("run.json").write_text(json.dumps(document), "utf-8")
    assert "was changed after it was written" in quantreg("accept", "run.json")[2]
    document["digest"] = digest_of({key: document[key] for key in document if key != "digest"})
    Path("run.json").write_text(json.dumps(document), "utf-8")
    status, _, error = quantreg("accept", "run.json")
    assert status == 2
    assert "does not hold the 40 items that were measured" in error


def test_another_baseline_is_not_this_one(quantreg: Quantreg) -> None:
    """What was judged against a baseline of another store may have been judged by anything."""
    weaker = {name: value * 0.9 for name, value in SCORES.items()}
    write(report_of(packed(INT8, run_of(INT8), baseline=weaker)))
    for words in ((), ("--force",)):
        status, _, error = quantreg("accept", "run.json", *words)
        assert status == 2
        assert "was judged against another baseline than baselines/ holds" in error
    Path("empty").mkdir()
    write(report_of(packed(INT8, run_of(INT8))))
    assert "than empty/ holds" in quantreg("accept", "run.json", "--baselines", "empty")[2]
    assert AcceptedRuns(Path("baselines")).history(INT8) == ()


def test_number_two_of_another_store(quantreg: Quantreg) -> None:
    """Numbers are counted by each store: what was judged against another number 1 is refused."""
    first = run_of(INT8)
    write(report_of(packed(INT8, first)))
    assert quantreg("accept", "run.json")[0] == 0
    later = run_of(INT8, salt="b")
    other = digest(INT8, run_of(INT8, salt="elsewhere"))
    write(report_of(packed(INT8, later, against=1, against_run=other)), "other.json")
    status, _, error = quantreg("accept", "other.json")
    assert status == 2
    assert "judged against another number 1, of another store or history" in error
    write(report_of(packed(INT8, later, against=1, against_run=digest(INT8, first))), "own.json")
    assert quantreg("accept", "own.json")[0] == 0


def test_the_same_twice(quantreg: Quantreg) -> None:
    """A run that was compared with number 1 is not accepted when number 2 has come since."""
    write(report_of(packed(INT8, run_of(INT8))))
    write(report_of(packed(INT8, run_of(INT8, salt="b"), against=1)), "next.json")
    assert quantreg("accept", "run.json")[0] == 0
    assert "already accepted as number 1" in quantreg("accept", "run.json")[2]
    assert quantreg("accept", "next.json")[0] == 0
    write(report_of(packed(INT8, run_of(INT8, salt="c"), against=1)), "late.json")
    status, _, error = quantreg("accept", "late.json")
    assert status == 2
    assert "was judged against number 1, and number 2 was accepted since" in error


@pytest.mark.parametrize(
    ("against", "why"),
    [(0, "was judged when nothing was accepted"), (None, "was measured at 2026-")],
)
def test_judged_before_anything_was_accepted(
    against: int | None, why: str, quantreg: Quantreg
) -> None:
    """A run from before number 1 was never compared with it, whether or not a gate asked."""
    write(report_of(packed(INT8, run_of(INT8, salt="b"), against=against)), "old.json")
    write(report_of(packed(INT8, run_of(INT8))))
    assert quantreg("accept", "run.json")[0] == 0
    status, _, error = quantreg("accept", "old.json", "--force")
    assert status == 2
    assert why in error
    assert "and number 1 was accepted since" in error


def test_two_at_once(quantreg: Quantreg) -> None:
    """Of two that were judged against the same run, one becomes the reference."""
    write(report_of(packed(INT8, run_of(INT8))))
    assert quantreg("accept", "run.json")[0] == 0
    for name in ("b", "c"):
        write(report_of(packed(INT8, run_of(INT8, salt=name), against=1)), f"{name}.json")
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(pool.map(main, (["accept", "b.json"], ["accept", "c.json"])))
    assert codes == [0, 2]
    assert [acceptance.number for acceptance in AcceptedRuns(Path("baselines")).history(INT8)] == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("none.json",), "no such file"),
        (("run.json", "--baselines", "elsewhere"), "elsewhere: no such folder"),
        (("run.json", "--why", "x" * 1001), "1,000 characters are the most"),
        (("baselines",), "baselines"),
    ],
)
def test_wrong_use(words: tuple[str, ...], why: str, quantreg: Quantreg) -> None:
    """One clear line and exit status 2."""
    write(report_of(packed(INT8, run_of(INT8))))
    status, said, error = quantreg("accept", *words)
    assert (status, said) == (2, "")
    assert why in error
    assert "Traceback" not in error


def test_packed_and_unpacked() -> None:
    """A run survives inside a report, and nothing else passes for one."""
    run = run_of(INT8)
    whole = pack(INT8, run)
    assert unpack(json.loads(json.dumps(whole))) == (INT8, run)
    with corrupt("items that were measured"):
        unpack({**whole, "items": ""})
    newer = {**whole["meta"], "schema_version": "1.9", "later": 1}  # type: ignore[dict-item]
    newer["digest"] = digest_of(newer)
    with corrupt(r"has schema 1\.9, and this pytest-quantreg writes"):
        unpack({**whole, "meta": newer})
    assert CandidateRun(**packed(INT8, run)["kept"]).owner == (INT8.model, INT8.scheme, INT8.engine)


def test_a_run_that_no_gate_of_the_session_judged(quantreg: Quantreg) -> None:
    """A run at another scheme than the session's own is not taken along."""
    other = replace(INT8, scheme="w4a16-int4")
    write(report_of(packed(INT8, run_of(INT8)), packed(other, run_of(other))))
    status, _, error = quantreg("accept", "run.json")
    assert status == 2
    assert "no gate was judged for w4a16-int4" in error
    assert AcceptedRuns(Path("baselines")).load(INT8) is None


def test_a_reason_stays_on_its_line(quantreg: Quantreg) -> None:
    """Line ends, as of a commit message, are shown as spaces, and terminal codes by name."""
    write(report_of(packed(INT8, run_of(INT8))))
    assert quantreg("accept", "run.json", "--why", "a\x1b[31m\n9  2026-01-01  all: fine")[0] == 0
    status, page, _ = quantreg("baselines")
    assert status == 0
    assert page.splitlines()[-1].endswith(f"{INT8.task}: a\\x1b[31m 9 2026-01-01 all: fine")
