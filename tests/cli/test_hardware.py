"""`quantreg hardware` as a person types it, on whatever machine runs this."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from pytest_quantreg.cli import main


def test_hardware_says_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    """The command names the processor and the installed engine with its version."""
    assert main(["hardware"]) == 0
    page = capsys.readouterr().out
    assert "(processor)" in page
    assert "What has a kernel on" in page
    assert importlib.metadata.version("transformers").partition("+")[0] in page


def test_hardware_of_another_accelerator(capsys: pytest.CaptureFixture[str]) -> None:
    """--gpu answers for a card that is not here, without asking any driver or torch."""
    assert main(["hardware", "--gpu", "L40S"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("L40S (NVIDIA GPU)\n  capability    8.9\n")


def test_an_unknown_accelerator_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name is one line on standard error with the nearest names, and exit status 2."""
    assert main(["hardware", "--gpu", "H1000"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("quantreg hardware: --gpu=H1000: no known accelerator")
    assert "nearest: H100" in printed.err


def test_another_accelerator_needs_no_torch() -> None:
    """Answering for a named card imports no engine."""
    code = (
        "import sys; from pytest_quantreg.cli import main; main(['hardware', '--gpu', 'T4']); "
        "print(sorted({'torch', 'pynvml', 'transformers', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
