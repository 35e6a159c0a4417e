"""Users without a home folder: a number that nobody has, an empty environment, a relative HOME."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pytest_quantreg.cli import main
from pytest_quantreg.plugin.cache_folder import cache_dir
from pytest_quantreg.report.redaction import machine_names

from ..wording import wrong_use
from .conftest import Suite

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="homes of Windows are found otherwise"
)


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No HOME and no passwd entry; the folder for temporary files."""
    import pwd

    def nobody(_uid: Any) -> NoReturn:
        raise KeyError("getpwuid(): uid not found")

    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("QUANTREG_CACHE_DIR", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return temporary


def test_no_home_and_no_passwd_entry_was_an_internal_error(suite: Suite, homeless: Path) -> None:
    """Baselines are recorded and gates judged; what is kept lies in a folder of the user's own."""
    suite.test(
        """
        @pytest.mark.min_retention(0.8)
        def test_sum(compare_accuracy):
            compare_accuracy("sum")
        """
    )
    suite.record().assert_outcomes(skipped=1)
    result = suite.gate("--quant-gate=certify", "--quant-report=report.json")
    result.assert_outcomes(passed=1)
    assert [path.name for path in homeless.iterdir()] == [f"pytest-quantreg-{os.getuid()}"]
    assert not (suite.path / "~").exists()


@pytest.mark.parametrize("home", ["relative", "."])
def test_a_relative_home_put_the_cache_into_the_project(
    homeless: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """HOME and XDG_CACHE_HOME that are relative are none."""
    monkeypatch.setenv("HOME", home)
    ours = homeless / f"pytest-quantreg-{os.getuid()}"
    assert cache_dir({"XDG_CACHE_HOME": home}) == ours
    assert ours.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_others_can_write_is_not_taken(homeless: Path) -> None:
    """Somebody else may have made the folder: what lies in it would be loaded."""
    taken = homeless / f"pytest-quantreg-{os.getuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    with wrong_use(r"somebody else\n.*QUANTREG_CACHE_DIR"):
        cache_dir({})
    taken.rmdir()
    (homeless / "elsewhere").mkdir()
    taken.symlink_to(homeless / "elsewhere")
    with wrong_use("it belongs to somebody else"):
        cache_dir({})


def test_own_names_without_a_user(homeless: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no passwd module, and reports are written all the same."""
    assert homeless

    def no_module() -> NoReturn:
        raise ModuleNotFoundError("No module named 'pwd'")

    machine_names()
    monkeypatch.setattr(getpass, "getuser", no_module)
    machine_names()


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize(
    "words", [("baselines", "--baselines", "~/b"), ("report", "~nobody-at-all/r.json")]
)
def test_a_home_that_is_none_ended_commands_with_a_traceback(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """A path that begins with ~ is then the name of a folder, and there is none."""
    assert main(list(words)) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err
