"""--quant-accept: what a green session makes the reference, and what never becomes one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_quantreg.cli import main

from .accept_suite import TESTS, accepted_suite, history, loses, recorded_suite
from .conftest import SCHEME, Suite

ACCEPT = "--quant-accept"


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """Two tasks with both gates, and their baselines."""
    return recorded_suite(suite)


@pytest.fixture
def accepted(recorded: Suite) -> Suite:
    """The same with a first accepted run, which loses 1 % of the answers."""
    return accepted_suite(recorded)


def kept(suite: Suite) -> list[Path]:
    """What is left of runs that were kept until the session's end."""
    return [*(suite.path / "cache" / "runs").glob("*")]


def test_the_first(recorded: Suite) -> None:
    """A green session passes over the gate, says so, and writes one line with when and why."""
    result = recorded.gate(ACCEPT, "--quant-why=first release")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "2 kept, 2 not applicable",
            "sum*no_regression(0.97): nothing was*",
            "quantreg: accepted w8a8-int8 of model as number 1: sum, pick",
        ]
    )
    [line] = history(recorded)
    assert (line["number"], line["why"], line["undecided"]) == (1, "first release", [])
    assert {task["task"]: task["minimum"] for task in line["tasks"]} == {"sum": 0.93, "pick": 0.93}
    assert kept(recorded) == []


def test_the_next_says_what_is_left_of_the_first(accepted: Suite) -> None:
    """Accepting again names what it replaces, and adds up what was lost since the first."""
    accepted.test(TESTS.replace("0.93", "0.85").replace("0.97", "0.9"))
    accepted.checkpoint("next", also_wrong=loses(0.03))
    result = accepted.gate(ACCEPT, checkpoint="next")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "quantreg: accepted w8a8-int8 of model as number 2: sum, pick; in place of number 1; "
            "sum: 0.9?? of the first accepted run (20??-??-??); pick: 0.9?? of the first accepted "
            "run (20??-??-??); sum: min_retention was 0.93 at number 1 and is 0.85 now; pick: *"
        ]
    )
    assert [line["number"] for line in history(accepted)] == [1, 2]


def test_small_steps_end_at_the_baseline(recorded: Suite) -> None:
    """Each step keeps enough of the one before; their sum is told, and the baseline stops it."""
    recorded.test(TESTS.replace("0.93", "0.95").replace("0.97", "0.96"))
    codes, sums = [], []
    for share in (0.0, 0.02, 0.04, 0.06, 0.08, 0.10):
        recorded.checkpoint("step", also_wrong=loses(share))
        result = recorded.gate(ACCEPT, checkpoint="step")
        codes.append((int(result.ret), len(history(recorded))))
        text = " ".join(result.outlines)
        sums.append("of the first accepted run" in text)
        if "LOST" in text:
            # The step itself would have been let through.
            assert re.search("LOST w8a8-int8 sum: keeps 9[^ ]* % of the baseline's exact", text)
            break
    assert codes[0] == (0, 1)
    assert all(sums[1:])
    assert codes[-1][0] == 1
    assert len(history(recorded)) < 6


def test_undecided_needs_force(recorded: Suite, capsys: pytest.CaptureFixture[str]) -> None:
    """Green but undecided is not accepted; the command that does it is told, works and marks."""
    recorded.checkpoint("half", also_wrong=loses(0.06))
    result = recorded.gate(ACCEPT, checkpoint="half")
    assert result.ret == 1
    result.assert_outcomes(passed=2)
    last = result.outlines[-1]
    assert last.startswith(
        "quantreg: not accepted: undecided: min_retention(0.93) on sum, min_retention(0.93) on "
        "pick; accept it all the same with: quantreg accept cache/runs/"
    )
    assert history(recorded) == []
    words = last.partition("with: quantreg ")[2].split()
    assert words[-1] == "--force"
    capsys.readouterr()
    assert main(words[:-1]) == 2
    assert "not accepted: undecided: min_retention(0.93) on sum" in capsys.readouterr().err
    assert main([*words, "--why", "looked at by hand"]) == 0
    assert "; marked as forced (2 undecided)" in capsys.readouterr().out
    [line] = history(recorded)
    assert line["undecided"] == ["min_retention(0.93) on sum", "min_retention(0.93) on pick"]
    assert line["why"] == "looked at by hand"


@pytest.mark.parametrize(
    ("tests", "share", "why"),
    [
        (TESTS, 0.2, "the session is red"),
        (TESTS + "\n    def test_other(): assert 0\n", 0.0, "the session is red"),
        (
            TESTS.replace("@pytest.mark.param", "@pytest.mark.xfail\n    @pytest.mark.param"),
            0.2,
            "sum is lost; pick is lost",
        ),
        (
            "def test_x(compare_accuracy): compare_accuracy('sum')",
            0.0,
            "no gate was judged",
        ),
        (
            """
            @pytest.mark.quant_gate(mode="point")
            @pytest.mark.min_retention(0.9)
            def test_x(compare_accuracy): compare_accuracy("sum")
            """,
            0.0,
            "no task of w8a8-int8 was judged against its baseline by a min_retention that *",
        ),
        (
            """
            @pytest.mark.min_retention(0.9)
            def test_x(compare_accuracy):
                compare_accuracy("sum")
                pytest.exit("enough", returncode=0)
            """,
            0.0,
            "*",
        ),
    ],
)
def test_never_accepted(tests: str, share: float, why: str, recorded: Suite) -> None:
    """What is not green, judged by nothing, excused or cut short becomes no reference."""
    recorded.test(tests.replace(", pytest.mark.no_regression(0.97)", ""))
    recorded.checkpoint("one", also_wrong=loses(share))
    result = recorded.gate(ACCEPT, checkpoint="one")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"quantreg: not accepted: {why}"])
    assert history(recorded) == []
    assert kept(recorded) == []


def test_only_what_was_judged(recorded: Suite) -> None:
    """A task that was measured without a gate is left out, and that is said."""
    recorded.test(
        """
        @pytest.mark.min_retention(0.93, task="sum")
        def test_x(compare_accuracy):
            compare_accuracy("sum")
            compare_accuracy("pick")
        """
    )
    result = recorded.gate(ACCEPT)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "quantreg: accepted w8a8-int8 of model as number 1: sum; not accepted, for no "
            "min_retention judged it: pick"
        ]
    )


def test_a_part_of_the_suite(accepted: Suite) -> None:
    """With -k the rest keeps its reference; what the line says is what was accepted."""
    accepted.checkpoint("other", also_wrong={"seed": 6, "share": 0.01})
    result = accepted.gate(ACCEPT, "-k", "sum", checkpoint="other")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["quantreg: accepted * as number 2: sum; in place of number 1; sum: *"]
    )
    folder = accepted.path / "baselines" / "model" / SCHEME / "scripted" / "accepted"
    assert sorted(path.name for path in folder.iterdir()) == ["0001", "0002", "history.jsonl"]
    both = accepted.gate(checkpoint="other")
    both.stdout.fnmatch_lines(["task * accepted *", "sum * 1.000 * kept"])


def test_never_with_fewer_items(accepted: Suite) -> None:
    """A reference of fewer items would be a weaker one."""
    result = accepted.gate(ACCEPT, "--quant-limit=300")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["quantreg: not accepted: sum: number 1 holds 400 items, and this run 300: *"]
    )
    assert len(history(accepted)) == 1


def test_an_edited_history_stops_everything(accepted: Suite) -> None:
    """A line that was changed is refused by the gate and by accepting."""
    accepted.checkpoint("int8", also_wrong={"seed": 6, "share": 0.01})
    assert accepted.gate(ACCEPT).ret == 0
    path = next((accepted.path / "baselines").rglob("history.jsonl"))
    path.write_text(path.read_text("utf-8").replace("first release", "never mind"), "utf-8")
    for words in ((), (ACCEPT,)):
        result = accepted.gate(*words)
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*REFUSED (baseline unreadable)*damaged in line 1*"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((ACCEPT, "--quant-update"), "--quant-accept accepts what gates have judged"),
        ((ACCEPT, "--quant-gate=point"), "--quant-gate=point promises nothing"),
        (("--quant-why=x",), "use it together with --quant-accept"),
        ((ACCEPT, f"--quant-why={'x' * 1001}"), "1,000 characters are the most"),
    ],
)
def test_wrong_use(words: tuple[str, ...], said: str, suite: Suite) -> None:
    """What cannot be accepted is told before anything runs."""
    suite.test(TESTS)
    result = suite.gate(*words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str()


def test_wrong_use_without_a_scheme(suite: Suite) -> None:
    """There is nothing to accept then."""
    suite.test(TESTS)
    result = suite.run(ACCEPT)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*no --quant-scheme is given*"])


def test_refused_in_addopts(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configuration cannot move the reference of every green run."""
    suite.test(TESTS)
    monkeypatch.setenv("PYTEST_ADDOPTS", ACCEPT)
    result = suite.gate()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --quant-accept comes from addopts or PYTEST_ADDOPTS*"])


def test_with_xdist(recorded: Suite) -> None:
    """Two schemes on two workers: one line each, by the controller, and nothing left over."""
    recorded.checkpoint("fp8", "w8a8-fp8", also_wrong=())
    words = (
        f"--quant-scheme={SCHEME},w8a8-fp8",
        f"--quant-checkpoint={SCHEME}=int8",
        "--quant-checkpoint=w8a8-fp8=fp8",
    )
    result = recorded.run_on_workers(*words, ACCEPT)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "quantreg: accepted w8a8-int8 of model as number 1: *",
            "quantreg: accepted w8a8-fp8 of model as number 1: *",
        ],
        consecutive=False,
    )
    assert len(history(recorded)) == len(history(recorded, "w8a8-fp8")) == 1
    assert kept(recorded) == []
    again = recorded.run(*words)
    assert again.ret == 0
    again.stdout.fnmatch_lines(["task * accepted *", "sum * 1.000 * kept"])


def test_a_report_holds_the_runs(accepted: Suite) -> None:
    """The JSON report of any session holds what was measured: scores and digests, no texts."""
    assert accepted.gate("--quant-report=run.json").ret == 0
    document = json.loads((accepted.path / "run.json").read_text("utf-8"))
    assert [run["kept"]["task"] for run in document["runs"]] == ["sum", "pick"]
    assert [run["kept"]["against"] for run in document["runs"]] == [1, 1]
    assert "What is" not in json.dumps(document["runs"])
    assert str(accepted.path) not in json.dumps(document)
    assert kept(accepted) == []


def test_a_cache_that_is_gone(recorded: Suite) -> None:
    """Who deletes the cache while a session runs gets a report, and nothing is accepted."""
    recorded.test(
        """
        import shutil

        @pytest.mark.min_retention(0.93)
        def test_x(compare_accuracy):
            compare_accuracy("sum")
            shutil.rmtree("cache/runs")
        """
    )
    result = recorded.gate(ACCEPT, "--quant-report=run.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "quantreg: report in run.json",
            "quantreg: not accepted: the run of sum is gone from the cache folder",
        ]
    )
    assert json.loads((recorded.path / "run.json").read_text("utf-8"))["runs"] == []
    assert history(recorded) == []
