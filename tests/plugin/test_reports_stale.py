"""Reports of an earlier session: overwritten before anything of the next one can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantreg.cli import main
from pytest_quantreg.report.json_document import FORM, encode
from pytest_quantreg.report.markdown import markdown
from pytest_quantreg.report.session_report import GREEN, INCOMPLETE

from ..report.report_samples import KEEPS, report
from .conftest import SCHEME, Suite

OLDER = report(KEEPS)
JSON, PAGE = encode(OLDER), markdown(OLDER).encode()
TYPED = (f"--quant-scheme={SCHEME}", "--quant-report=run.md", "--quant-report=run.json")
FAILING = {
    "a conftest": "raise ValueError('broken')",
    "usage": "def pytest_addoption(parser): raise __import__('pytest').UsageError('wrong')",
    "internal": "def pytest_configure(): raise ValueError('broken')",
}


@pytest.fixture
def older(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite with the reports of an earlier, green session."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    assert OLDER.conclusion == GREEN
    (suite.path / "run.json").write_bytes(JSON)
    (suite.path / "run.md").write_bytes(PAGE)
    suite.test("def test_x(quant_scheme): pass")
    return suite


def contents(folder: Path) -> tuple[bytes, bytes]:
    """Both reports as they lie there."""
    return (folder / "run.json").read_bytes(), (folder / "run.md").read_bytes()


@pytest.mark.parametrize("conftest", FAILING.values(), ids=FAILING)
def test_a_session_that_failed_early_left_a_green_report(
    older: Suite, conftest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says that its session did not end, in both forms, and is not accepted."""
    older.pytester.makeconftest(conftest)
    assert older.run(*TYPED).ret not in (0, 1, 5)
    assert b"did not end" in contents(older.path)[1].splitlines()[2]
    capsys.readouterr()
    assert main(["report", "run.json"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{INCOMPLETE.upper()}; the session did not end: it failed before ")
    (older.path / "baselines").mkdir()
    assert main(["accept", "run.json"]) == 2
    assert "did not end" in capsys.readouterr().err


def test_wrong_options_left_a_green_report(older: Suite) -> None:
    """An option that does not exist, and a value that cannot be."""
    for wrong in ("--quant-schem=x", "--quant-confidence=2"):
        (older.path / "run.json").write_bytes(JSON)
        assert older.run(*TYPED, wrong).ret == 4
        assert contents(older.path)[0] != JSON


def test_paths_of_the_ini_file_and_of_the_command_line(
    older: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the ini file are looked for beside it, those typed where pytest was started."""
    below = older.path / "below"
    below.mkdir()
    (below / "run.json").write_bytes(JSON)
    older.ini(quant_report=["run.json"])
    older.pytester.makeconftest(FAILING["a conftest"])
    monkeypatch.chdir(below)
    assert older.run().ret == 4
    assert contents(older.path)[0] == JSON, "a session that neither gates nor records"
    assert older.run(f"--quant-scheme={SCHEME}").ret == 4
    assert contents(older.path)[0] != JSON
    assert (below / "run.json").read_bytes() == JSON
    assert older.run(*TYPED).ret == 4
    assert (below / "run.json").read_bytes() != JSON


@pytest.mark.parametrize("option", ["--collect-only", "--help", "--markers"])
def test_without_tests_reports_stay(older: Suite, option: str) -> None:
    """Where no test is meant to run, no report is touched."""
    assert older.run(*TYPED, option).ret == 0
    assert contents(older.path) == (JSON, PAGE)


def test_workers_leave_reports_alone(older: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of xdist start while the controller's session is under way, or even later."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    older.pytester.makeconftest(FAILING["a conftest"])
    older.run(*TYPED)
    assert contents(older.path) == (JSON, PAGE)


def test_other_files_stay(older: Suite) -> None:
    """What is no report of ours, such as a README named by mistake, is not touched."""
    others = {
        "README.md": b"# Mine\n\n<details><summary>Software and hardware</summary>\n",
        "mine.json": b'{"session": 1, "outcomes": []}',
        "cut.json": JSON[: len(JSON) // 2],
        "list.json": b"[]",
        "run.txt": PAGE,
    }
    for name, data in others.items():
        (older.path / name).write_bytes(data)
    older.pytester.makeconftest(FAILING["a conftest"])
    older.run(f"--quant-scheme={SCHEME}", *(f"--quant-report={name}" for name in others))
    assert {name: (older.path / name).read_bytes() for name in others} == others


def test_reports_of_other_versions_are_known(older: Suite) -> None:
    """By their fields, whatever their schema and however their JSON is laid out."""
    version = f'"{FORM.current[0]}.{FORM.current[1]}"'.encode()
    (older.path / "run.json").write_bytes(JSON.replace(version, b'"9.3"').replace(b"\n", b""))
    older.pytester.makeconftest(FAILING["a conftest"])
    older.run(*TYPED)
    assert b"did not end" in contents(older.path)[0]
