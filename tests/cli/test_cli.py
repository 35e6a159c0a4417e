"""The command `quantreg` as a person types it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_quantreg.cli import main
from pytest_quantreg.core.schemes import SCHEMES, resolve


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
