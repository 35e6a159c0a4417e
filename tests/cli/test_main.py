"""The command `quantreg` as a person types it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from pytest_quantreg.cli import main
from pytest_quantreg.core.schemes.names import SCHEMES, resolve


def test_schemes_lists_every_quantized_scheme(capsys: pytest.CaptureFixture[str]) -> None:
    """The table has one line per quantized scheme, under the name that --quant-scheme takes."""
    assert main(["schemes"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:] if line]
    expected = [scheme.name for scheme in SCHEMES if scheme.is_quantized]
    assert listed[: len(expected)] == expected


def test_every_alias_listed_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    """Each name under `also` resolves to the scheme above it."""
    assert main(["schemes", "--aliases"]) == 0
    scheme = ""
    seen = 0
    for line in capsys.readouterr().out.splitlines()[1:]:
        if line.startswith("    also "):
            for alias in line.removeprefix("    also ").split(", "):
                assert resolve(alias).scheme.name == scheme
                seen += 1
        elif line and not line.startswith(" "):
            scheme = line.split()[0]
    assert seen > 20


@pytest.mark.parametrize("arguments", [["what"], ["schemes", "--wrong"]])
def test_wrong_use_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command or option is one line on standard error and exit status 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`quantreg` alone says what it can do and exits 2."""
    assert main([]) == 2
    assert "schemes" in capsys.readouterr().err


def test_the_command_starts_without_an_engine() -> None:
    """The console script needs neither torch nor numpy nor pytest."""
    code = (
        "import sys; from pytest_quantreg.cli import main; main(['schemes']); "
        "print(sorted({'torch', 'numpy', 'scipy', 'pytest', 'lm_eval'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_power_prints_its_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """The command of the documentation prints both gates, pooling and the items needed."""
    words = "power --baseline-accuracy .78 --flips .05 --retention .98 --tasks 4"
    assert main(words.split()) == 0
    page = capsys.readouterr().out
    for part in ("detect:", "certify:", "4 pooled", "1,319", "items per task that decide"):
        assert part in page
    assert "flips 5 %" in page


@pytest.mark.parametrize("more", ["--retention 98", "--tasks 0", "--flips .5"])
def test_wrong_power_figures_exit_2(more: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An impossible figure is one line on standard error and exit status 2."""
    assert main(["power", "--baseline-accuracy", ".78", "--flips", ".05", *more.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith(f"quantreg power: {more.split()[0]}")


def test_power_help_says_what_flips_are(capsys: pytest.CaptureFixture[str]) -> None:
    """--flips is about a lossless model, and the help says so."""
    with pytest.raises(SystemExit) as ended:
        main(["power", "--help"])
    assert ended.value.code == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "share of the answers that a LOSSLESS quantized model changes" in words


def typed(arguments: list[str], stdout: IO[bytes] | int, **variables: str) -> tuple[int, str]:
    """Exit status and standard error of the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_quantreg.cli", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **variables},
        check=False,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
def test_a_page_that_cannot_be_printed() -> None:
    """A full disk behind standard output is exit status 2 and one line: 1 is a gate's verdict."""
    with Path("/dev/full").open("wb") as full:
        status, said = typed(["schemes"], full)
    assert (status, said) == (2, "quantreg schemes: cannot print: No space left on device\n")


def test_a_reader_that_has_read_enough() -> None:
    """`quantreg schemes | head` is no error."""
    readable, writable = os.pipe()
    os.close(readable)
    try:
        assert typed(["schemes"], writable) == (0, "")
    finally:
        os.close(writable)


def test_signs_that_the_terminal_lacks(tmp_path: Path) -> None:
    """Windows pipes in cp1252: what cannot be written is spelt out, and nothing breaks."""
    page = tmp_path / "page"
    table = '[tool.quantreg.schemes.ours]\nlike = "w8a8-int8"\ntitle = "☃"\n'
    (tmp_path / "pyproject.toml").write_text(table, "utf-8")
    with page.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "pytest_quantreg.cli", "schemes", "ours"],
            stdout=file,
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "cp1252"},
            check=False,
        )
    assert done.returncode == 0
    assert b"\\u2603" in page.read_bytes()


def test_an_error_of_the_system_that_nobody_foresaw(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is one line and exit status 2, whichever file it came from."""

    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path / "pyproject.toml"))

    monkeypatch.setattr("pytest_quantreg.config.schemes.nearest_file", closed)
    assert main(["schemes"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("quantreg schemes: ")
    assert said.endswith("pyproject.toml: Permission denied\n")
