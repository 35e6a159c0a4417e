"""Reports of a session: what they hold, however it ends, and when they are not written."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.cli import main
from pytest_quantreg.report.json_document import decode, to_report
from pytest_quantreg.report.session_report import Report

from .conftest import SCHEME, Suite

LOSES = {"seed": 5, "share": 0.3}
HALF = {"seed": 5, "share": 0.05}
TESTS = """
    pytestmark = pytest.mark.min_retention(0.93)

    @pytest.mark.parametrize("task", ["sum", "pick"])
    def test_task(task, compare_accuracy):
        compare_accuracy(task)
"""
BOTH = ("--quant-report=out/run.md", "--quant-report=out/run.json")


@pytest.fixture
def recorded(suite: Suite) -> Suite:
    """Two gated tasks with their baselines."""
    suite.test(TESTS)
    assert suite.record().ret == 0
    return suite


def report_of(suite: Suite, name: str = "out/run.json") -> Report:
    """The report that a session wrote; refused where it is not sound."""
    return to_report(decode((suite.path / name).read_bytes()))


def page_of(suite: Suite, name: str = "out/run.md") -> str:
    """The Markdown that it wrote."""
    return (suite.path / name).read_text("utf-8")


def test_a_green_session(recorded: Suite) -> None:
    """Both forms are written into a new folder, told of, and say what the summary says."""
    result = recorded.gate(*BOTH)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["quantreg: report in out/run.md", "quantreg: report in out/run.j*"]
    )
    made = report_of(recorded)
    assert made.conclusion == "green"
    assert [(outcome.task, outcome.result) for outcome in made.outcomes] == [
        ("sum", "kept"),
        ("pick", "kept"),
    ]
    assert made.session.schemes == (SCHEME,)
    assert made.session.tests == {"passed": 2}
    assert {"pytest", "pytest-quantreg", "lm_eval"} <= made.session.versions.keys()
    assert made.session.ended_at is not None
    assert page_of(recorded).startswith("## \N{WHITE HEAVY CHECK MARK} GREEN: 2 kept\n")


def test_shown_again(recorded: Suite, capsys: pytest.CaptureFixture[str]) -> None:
    """`quantreg report` gives the same Markdown, the summary of the terminal, and the JSON."""
    recorded.checkpoint("bad", also_wrong=LOSES)
    result = recorded.gate(*BOTH, checkpoint="bad")
    assert result.ret == 1
    capsys.readouterr()
    assert main(["report", "out/run.json", "--format", "md"]) == 0
    assert capsys.readouterr().out == page_of(recorded)
    assert main(["report", "out/run.json", "--format", "json"]) == 0
    assert capsys.readouterr().out == page_of(recorded, "out/run.json")
    assert main(["report", "out/run.json"]) == 0
    text = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(result.outlines) if "= quantreg:" in line)
    assert text[:-1] == result.outlines[start : start + len(text) - 1]
    assert text[-2].startswith("loaded: ")
    assert text[-1].startswith("RED; failed, 20")


def test_damaged_files_exit_2(recorded: Suite, capsys: pytest.CaptureFixture[str]) -> None:
    """What was cut off or edited is one line on standard error and exit status 2."""
    recorded.checkpoint("bad", also_wrong=LOSES)
    recorded.gate(*BOTH, checkpoint="bad")
    path = recorded.path / "out/run.json"
    whole = path.read_bytes()
    for data, why in (
        (whole[: len(whole) // 2], "is not valid JSON"),
        (whole.replace(b'"fails": true', b'"fails": false'), "was changed after it was"),
    ):
        path.write_bytes(data)
        capsys.readouterr()
        assert main(["report", "out/run.json"]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert re.match(rf"quantreg report: out/run\.json {why}", printed.err)
        assert printed.err.count("\n") == 1


def test_red_undecided_and_refused(recorded: Suite) -> None:
    """Lost gates and refusals with their messages, undecided ones with what would decide them."""
    recorded.test(
        """
        @pytest.mark.min_retention(0.93)
        def test_half(compare_accuracy):
            compare_accuracy("sum")

        @pytest.mark.min_retention(0.99)
        def test_lost(compare_accuracy):
            compare_accuracy("pick")

        @pytest.mark.min_retention(0.9)
        def test_absent(compare_accuracy):
            compare_accuracy("sum", num_fewshot=2)
        """,
        "test_more.py",
    )
    recorded.checkpoint("half", also_wrong=HALF)
    result = recorded.gate(*BOTH, "test_more.py", checkpoint="half")
    assert result.ret == 1
    page = page_of(recorded)
    assert page.startswith("## \N{CROSS MARK} RED: 1 lost, 1 undecided (no loss is shown")
    lost = page.index(f"### Lost\n\n- LOST {SCHEME} pick: keeps ")
    refused = page.index("### Refused: nothing may be concluded\n\n- REFUSED (baseline absent)")
    undecided = page.index(
        f"### Undecided, and what would decide it\n\n- undecided {SCHEME} sum: keeps "
    )
    assert lost < refused < undecided < page.index("<details>")
    assert "items decide 0.93 if the model is lossless" in page
    assert "record it: pytest test\\_more.py::test\\_absent --quant-update" in page
    assert report_of(recorded).session.tests == {"passed": 1, "failed": 1, "refused": 1}


def test_recording(suite: Suite) -> None:
    """A session that records says so, and calls nothing kept."""
    suite.test(TESTS)
    assert suite.record(*BOTH).ret == 0
    assert report_of(suite).conclusion == "recorded"
    assert page_of(suite).startswith("## \N{MEMO} RECORDED: 2 recorded\n")
    assert "| sum | exact\\_match | " in page_of(suite)


def test_other_failures_are_not_green(recorded: Suite) -> None:
    """A failing test of other kinds makes the report red, and it says that no gate failed."""
    recorded.test("def test_other(): assert False", "test_other.py")
    assert recorded.gate(*BOTH).ret == 1
    assert report_of(recorded).conclusion == "red"
    assert "No gate failed, but this is not green: failed (1 failed)." in page_of(recorded)


def test_each_test_is_counted_once(recorded: Suite) -> None:
    """By how it ended: subtests belong to their test, and errors around it are told apart."""
    recorded.test(
        """
        def test_subtests(subtests):
            for i in range(3):
                with subtests.test(i=i):
                    pass

        @pytest.mark.xfail
        def test_expected():
            assert False

        @pytest.mark.skip
        def test_skipped():
            pass

        @pytest.fixture
        def breaks():
            yield
            assert False

        def test_teardown(breaks):
            pass
        """,
        "test_other.py",
    )
    recorded.gate(*BOTH)
    counts = report_of(recorded).session.tests
    assert counts == {"passed": 4, "error": 1, "skipped": 1, "xfailed": 1}


def test_an_unmet_requirement_is_the_reason(recorded: Suite) -> None:
    """Under --quant-require a session that judged nothing is red, and the report says why."""
    assert recorded.gate(*BOTH, "--quant-require", "-k", "nothing").ret == 1
    assert report_of(recorded).conclusion == "red"
    why = f"--quant-require: no gate was judged for {SCHEME} (none of its tests compared anything)"
    assert f"No gate failed, but this is not green: {why}." in page_of(recorded)


@pytest.mark.parametrize(
    ("source", "words", "incomplete", "conclusion"),
    [
        ("def test_z(): raise KeyboardInterrupt", (), "interrupted", "incomplete"),
        ("def test_z(): pytest.exit('enough', 0)", (), "interrupted: enough", "incomplete"),
        ("def test_z(): assert False\ndef test_zz(): pass", ("-x",), "stopped early: *1 f*", None),
        ("import nowhere_to_be_found", (), "1 file or class could not be collected", "incomplete"),
    ],
)
def test_sessions_that_do_not_end_well(
    recorded: Suite, source: str, words: tuple[str, ...], incomplete: str, conclusion: str | None
) -> None:
    """What was measured until then is there, and why the rest is not."""
    recorded.test(source, "test_z.py")
    gated = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8")
    recorded.run_interrupted(*gated, *BOTH, *words)
    made = report_of(recorded)
    [why] = made.session.incomplete
    assert Path(why).match(incomplete) or why == incomplete
    assert made.conclusion == (conclusion or "red")
    measured = 0 if "collected" in incomplete else 2
    assert len(made.outcomes) == measured
    assert ("nothing was measured" in page_of(recorded)) is (measured == 0)
    assert why in page_of(recorded)


def test_a_killed_session_leaves_no_older_report(recorded: Suite) -> None:
    """Where a report of an earlier, green session lay, one says that this one did not end."""
    assert recorded.gate(*BOTH).ret == 0
    recorded.test("import os\ndef test_z(quant_scheme): os._exit(9)", "test_z.py")
    # The tests before it would import an engine into the process of its own.
    words = (f"--quant-scheme={SCHEME}", "--quant-checkpoint=int8", "-k", "test_z")
    assert recorded.run_apart(*words, *BOTH).ret == 9
    made = report_of(recorded)
    assert (made.conclusion, made.session.exit_status, made.outcomes) == ("incomplete", None, ())
    assert "INCOMPLETE: nothing was measured" in page_of(recorded)
    assert sorted(path.name for path in (recorded.path / "out").iterdir()) == [
        *("run.json", "run.md")
    ]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a.html", "reports in HTML are not built yet"),
        ("a.txt", "the ending says in which form; allowed are .md and .json"),
        ("folder.md", "a folder"),
        ("file/a.md", "cannot be written: there is a file where a folder should be"),
        ("''", "the ending says*"),
    ],
)
def test_what_cannot_be_written_is_told_at_the_start(suite: Suite, path: str, why: str) -> None:
    """A wrong ending, a folder, a folder that cannot be made: no test runs."""
    (suite.path / "folder.md").mkdir()
    (suite.path / "file").write_text("")
    suite.test(TESTS)
    result = suite.gate(f"--quant-report={path}")
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: --quant-report={path}: {why}*"])


def test_a_report_that_fails_at_the_end_is_a_failure(recorded: Suite) -> None:
    """A green session whose report could not be written ends with 1 and says why."""
    recorded.test(
        """
        import os

        def test_z(quant_scheme):
            os.unlink("run.md")
            os.mkdir("run.md")
        """,
        "test_z.py",
    )
    result = recorded.gate("--quant-report=run.md", "--quant-report=run.json")
    assert result.ret == 1
    assert "quantreg: no report in run.md: it is a folder" in result.outlines
    assert report_of(recorded, "run.json").session.exit_status == 0


def test_idle_sessions_leave_configured_reports_alone(recorded: Suite) -> None:
    """A run without gates overwrites no report of the ini file, but writes what was typed."""
    recorded.ini(quant_report=["run.json"])
    assert recorded.gate().ret == 0
    before = page_of(recorded, "run.json")
    assert recorded.run().ret == 0
    recorded.gate("--collect-only")
    assert page_of(recorded, "run.json") == before
    assert recorded.run("--quant-report=typed.json").ret == 0
    assert report_of(recorded, "typed.json").conclusion == "nothing judged"
    assert page_of(recorded, "run.json") == before


def test_the_summary_of_a_job(recorded: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where GitHub names a file, the page is added to it by each session that gates or records."""
    summary = recorded.path / "step.md"
    summary.write_text("what another step wrote\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert recorded.run().ret == 0
    assert summary.read_text() == "what another step wrote\n"
    assert recorded.gate().ret == 0
    assert recorded.record("--quant-update=all").ret == 0
    text = summary.read_text("utf-8")
    assert text.startswith("what another step wrote\n\n## ")
    assert re.findall(r"^## .*", text, re.M) == [
        "## \N{WHITE HEAVY CHECK MARK} GREEN: 2 kept",
        "## \N{MEMO} RECORDED: 2 recorded",
    ]


@pytest.mark.parametrize("full", [True, False])
def test_a_summary_that_cannot_be_written_fails_nothing(
    recorded: Suite, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """A line tells why; the verdict stays."""
    summary = recorded.path / "step.md"
    if full:
        summary.write_bytes(bytes(1024 * 1024))
    else:
        summary.mkdir()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = recorded.gate()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["quantreg: no page in the summary of this job: *"])


def test_no_places_and_no_names(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absolute paths that were typed, and met in messages, are not in the reports."""
    away = suite.path.parent / f"{suite.path.name}-mountedsecret"
    suite.test(TESTS)
    suite.checkpoint(f"../{away.name}/int8")
    monkeypatch.setenv("SECRET_OF_MINE", "xyzzy-value")
    words: list[Any] = [f"--quant-scheme={SCHEME}", f"--quant-checkpoint={away / 'int8'}"]
    suite.run(*words, f"--quant-baselines={away / 'store'}", *BOTH)
    (away / "int8" / "scripted.json").write_text("{")
    assert suite.run(*words, "--quant-report=broken.json", "--quant-report=broken.md").ret == 1
    for name in ("out/run.json", "out/run.md", "broken.json", "broken.md"):
        text = page_of(suite, name)
        assert "REFUSED" in text
        assert "mountedsecret" not in text, name
        assert str(suite.path) not in text
        assert str(Path.home()) not in text or str(Path.home()) == "/"
        assert "xyzzy" not in text
        assert socket.gethostname() not in re.sub(r"[\w-]{12,}", "", text) or name.endswith("md")
    assert ".../store" in json.dumps(json.loads(page_of(suite, "out/run.json")))


def test_a_report_replaces_no_baseline(recorded: Suite) -> None:
    """Named by its path or through a link, a baseline stays as it was recorded."""
    stored = sorted((recorded.path / "baselines").rglob("*.json"))[0]
    before = stored.read_bytes()
    (recorded.path / "link.json").symlink_to(stored)
    for name in (str(stored.relative_to(recorded.path)), "link.json"):
        result = recorded.gate(f"--quant-report={name}")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*: cannot be written: it is where the store keeps baselines"])
        assert stored.read_bytes() == before
    assert recorded.gate("--quant-report=baselines/run.json").ret == 0
