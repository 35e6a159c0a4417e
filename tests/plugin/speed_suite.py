"""A suite whose models are timed, how its store is read, and whose processes are still there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_quantreg.measure.accelerator import detect

from .conftest import SCHEME, Suite

SHAPE = "prompt_tokens=4, output_tokens=4"
BATCH_1 = "batch-1.4+4"

SPEED = f"""
@pytest.mark.min_speedup(1.5)
def test_speed(compare_speed):
    compare_speed(batch_size=1, {SHAPE})
"""
VARIED = {"sessions": [1.0, 1.0001, 1.0002, 1.0003, 1.0004, 1.0005]}
"""No two sessions last equally long: a file with the same rounds twice is a damaged one."""
FASTER = {"seconds_per_token": 0.004, "seconds_to_first": 0.008}
"""Seconds of a model that is 2.5 times as fast as the script's defaults."""


class TimedSuite:
    """``model/`` and ``int8/`` of a `Suite`, the latter 2.5 times as fast; both keep a log."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.path = suite.path
        self.machine = here()
        self.test, self.ini = suite.test, suite.ini
        self.run, self.gate = suite.run, suite.gate
        self.record, self.record_anew = suite.record, suite.record_anew
        self.model()
        self.checkpoint()
        self.test(SPEED)

    def model(self, *, folder: str = "model", **script: Any) -> Path:
        """Writes the baseline, which runs on what is found here to be the device."""
        return self.suite.model(folder, **{"log": "events.log", "machine": self.machine, **script})

    def checkpoint(
        self, folder: str = "int8", scheme: str = SCHEME, *, speed: Any = None, **script: Any
    ) -> Path:
        """Writes a quantized model; ``speed`` is laid over that of one 2.5 times as fast."""
        script = {"log": "events.log", "machine": self.machine, **script}
        return self.suite.checkpoint(folder, scheme, speed={**FASTER, **(speed or {})}, **script)

    def without_model(self) -> None:
        """From here on nothing names the full-precision model."""
        self.suite.ini(quant_model=None)

    def stored_path(self, stem: str = BATCH_1) -> Path:
        """The file of the one speed baseline with that name."""
        (path,) = (self.path / "baselines").glob(f"model/bf16/*/speed/*/{stem}.json")
        return path

    def document(self, stem: str = BATCH_1) -> dict[str, Any]:
        """What that file holds."""
        document: dict[str, Any] = json.loads(self.stored_path(stem).read_text("utf-8"))
        return document


def here() -> dict[str, str]:
    """The device of this machine, as a script names it."""
    device = detect()
    return {"kind": device.kind, "accelerator": device.name}


def timed_suite(suite: Suite) -> Iterator[TimedSuite]:
    """For a fixture: a suite, after whose test no process of its own may be left."""
    yield TimedSuite(suite)
    assert left_over(suite) == []


def left_over(suite: Suite) -> list[str]:
    """The processes that still live with this suite's cache folder in their environment."""
    mark = f"QUANTREG_CACHE_DIR={suite.path / 'cache'}".encode()
    return [
        f"{folder.name}: {_words(folder / 'cmdline')!r}"
        for folder in Path("/proc").glob("[0-9]*")
        if mark in _words(folder / "environ")
    ]


def _words(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\0")
    except OSError:  # the process has just ended, or is somebody else's
        return []
