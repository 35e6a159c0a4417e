"""--quant-update: takes no value, comes from no configuration, goes with no --quant-require."""

from __future__ import annotations

import pytest

from .conftest import Suite

USES = "def test_x(compare_accuracy): compare_accuracy('sum', limit=20)"


def stored(suite: Suite) -> list[str]:
    """What the store holds."""
    return sorted(path.name for path in (suite.path / "baselines").rglob("*.json"))


def test_next_word_is_a_path(suite: Suite) -> None:
    """`--quant-update tests/` records for the tests in tests/ and for no others."""
    suite.test(USES, "tests/test_in.py")
    suite.test("def test_out(): assert 0", "test_out.py")
    result = suite.run("--quant-update", "tests/")
    assert result.ret == 0
    result.assert_outcomes(skipped=1)
    assert stored(suite) == ["sum.0shot.json"]


@pytest.mark.parametrize("place", ["before", "after"])
def test_all_records_anew(place: str, suite: Suite) -> None:
    """=all measures again what is there; without it what is there is kept."""
    suite.test(USES)
    suite.record()
    [path] = (suite.path / "baselines").rglob("*.json")
    first = path.read_text("utf-8")
    suite.record().stdout.fnmatch_lines(["*present*"])
    assert path.read_text("utf-8") == first
    suite.model(tasks={"sum": {"target": "answer", "wrong": [1, 2, 3]}})
    words = ["--quant-update=all", "test_gate.py"]
    result = suite.run(*(words if place == "before" else reversed(words)))
    assert result.ret == 0
    assert path.read_text("utf-8") != first


def test_other_values_are_refused(suite: Suite) -> None:
    """--quant-update=foo names the value and both spellings that exist."""
    suite.test(USES)
    result = suite.run("--quant-update=foo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*error: argument --quant-update/--quant-update=all: ignored explicit argument 'foo'"]
    )
    result.stderr.no_fnmatch_line("*Traceback*")
    assert stored(suite) == []


@pytest.mark.parametrize("word", ["--quant-update", "--quant-update=all"])
@pytest.mark.parametrize("place", ["toml", "ini", "environment"])
def test_refused_in_addopts(
    word: str, place: str, suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configuration cannot disarm every gate, wherever it stands."""
    suite.test(USES)
    if place == "toml":
        suite.ini(addopts=[word])
    elif place == "ini":
        (suite.path / "pytest.toml").unlink()
        (suite.path / "pytest.ini").write_text(f"[pytest]\naddopts = {word}\n", "utf-8")
    else:
        monkeypatch.setenv("PYTEST_ADDOPTS", word)
    result = suite.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --quant-update comes from addopts*disarm*", "  type it on the command line*"]
    )
    assert stored(suite) == []


def test_typed_beside_addopts(suite: Suite) -> None:
    """Typed as well, it is meant, and what was typed is what counts."""
    suite.test(USES)
    suite.ini(addopts=["--quant-update=all"])
    result = suite.run("--quant-update")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["quantreg: records absent baselines*"])


def test_no_ini_key(suite: Suite) -> None:
    """quant_update is no ini key: it warns, gates as ever and records nothing."""
    suite.test(USES)
    suite.ini(quant_update="all")
    result = suite.run("--quant-scheme=w8a8-int8", "--quant-checkpoint=int8")
    result.stdout.fnmatch_lines(["*PytestConfigWarning: Unknown config option: quant_update*"])
    result.assert_outcomes(errors=1, warnings=1)
    assert stored(suite) == []


@pytest.mark.parametrize("source", ["typed", "ini"])
def test_not_with_require(source: str, suite: Suite) -> None:
    """Together with --quant-require nothing could ever hold; the ini file's can be lifted."""
    suite.test(USES)
    if source == "ini":
        suite.ini(quant_require=True)
    result = suite.record(*(["--quant-require"] if source == "typed" else []))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --quant-update records*--quant-require can never hold"])
    if source == "ini":
        assert suite.record("-o", "quant_require=false").ret == 0


def test_needs_a_model(suite: Suite) -> None:
    """There is nothing to record without --quant-model."""
    suite.test(USES)
    suite.ini(quant_model=None)
    result = suite.record()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --quant-update needs to know*", "*--quant-model=ORG/NAME*"]
    )
