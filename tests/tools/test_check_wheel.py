"""The check of the wheel reports what is missing, and what does not belong there."""

from __future__ import annotations

import zipfile
from pathlib import Path

from pytest_quantreg.core.schemes.names import SCHEMES
from pytest_quantreg.plugin.option_table import OUR_MARKERS
from tools.check_wheel import DATA, PACKAGE, ROOT, content_problems, markers, schemes


def _wheel(folder: Path, *more: str, without: str = "") -> Path:
    """An archive with the package's files, ``more`` of them or one fewer."""
    names = {
        path.relative_to(ROOT).as_posix()
        for pattern in DATA
        for path in (ROOT / PACKAGE).rglob(pattern)
    }
    wheel = folder / "x.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in {*names, "pytest_quantreg-1.dist-info/METADATA", *more} - {without}:
            archive.writestr(name, "")
    return wheel


def test_a_whole_wheel_has_no_problems(tmp_path: Path) -> None:
    """Every file of the package and its metadata is all that a wheel needs."""
    assert list(content_problems(_wheel(tmp_path))) == []


def test_a_missing_schema_is_reported(tmp_path: Path) -> None:
    """A schema that the build left out is named."""
    schema = "pytest_quantreg/baselines/schema/run-1.json"
    found = list(content_problems(_wheel(tmp_path, without=schema)))
    assert found == [f"{schema} is not in the wheel"]


def test_a_test_in_the_wheel_is_reported(tmp_path: Path) -> None:
    """Tests, examples and tools are for the repository alone."""
    found = list(content_problems(_wheel(tmp_path, "tests/test_x.py")))
    assert found == ["tests/test_x.py does not belong in the wheel"]


def test_what_must_be_printed_is_read_from_the_sources() -> None:
    """The names that the check looks for are those of the package."""
    assert set(markers()) == OUR_MARKERS
    assert schemes() == [scheme.name for scheme in SCHEMES if scheme.weights is not None]
