"""What `pytest_quantreg.testing` offers to the suites of others."""

from __future__ import annotations

import subprocess
import sys

from pytest_quantreg import testing


def test_every_public_name_is_there() -> None:
    """Names are imported on first use, from where the module finds them."""
    assert all(getattr(testing, name).__name__ == name for name in testing.__all__)


def test_the_scripted_engine_needs_no_pytest() -> None:
    """An engine in a process of its own does not wait for a test runner to be imported."""
    code = "import sys, pytest_quantreg.testing.scripted; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
