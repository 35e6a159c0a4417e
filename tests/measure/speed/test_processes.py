"""Two models that take turns in real processes, alive together or one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.process.remote import RemoteEngine
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.measure.speed.measure import measure_pair

from .speed_world import BATCH, SHORT


def scripted(folder: Path, **speed: Any) -> Callable[[], RemoteEngine]:
    """Starts a scripted model in a real process."""
    folder.mkdir()
    (folder / "scripted.json").write_text(json.dumps({"speed": speed}), encoding="utf-8")
    spec = ModelSpec(str(folder), folder.name, "native", "scripted")
    return lambda: RemoteEngine.start(spec, cache_dir=folder, timeout=20)


@pytest.mark.parametrize("exclusive", [False, True])
def test_through_real_processes(tmp_path: Path, exclusive: bool) -> None:
    """The double, in processes of its own, gives the times of its script in either order."""
    baseline, quantized = measure_pair(
        scripted(tmp_path / "slow", seconds_to_first=0.1, seconds_per_token=0.1),
        scripted(tmp_path / "fast", seconds_to_first=0.1, seconds_per_token={"1": 0.05, "3": 0.2}),
        [SHORT, BATCH],
        exclusive=exclusive,
        seed=1,
        vocab_size=100,
        say=lambda line: None,
    )
    assert baseline.series[0].throughputs() == pytest.approx([8 / 0.8] * 4)
    assert quantized.series[0].throughputs() == pytest.approx([8 / 0.45] * 4)
    assert quantized.series[1].throughputs() == pytest.approx([27 / 1.7] * 4)
    assert quantized.load_seconds[0] == 1.0
    assert quantized.footprint.weights == 1000


def test_two_real_processes_that_do_not_fit_together(tmp_path: Path) -> None:
    """Out of memory in one process while the other lives: both are ended and take turns."""
    marker = tmp_path / "alive"
    opener = scripted(tmp_path / "m")

    def second() -> RemoteEngine:
        if marker.exists():
            return scripted(
                tmp_path / f"full{len(list(tmp_path.iterdir()))}", out_of_memory="load"
            )()
        return opener()

    def first() -> RemoteEngine:
        engine = opener()
        marker.touch()
        close = engine.close

        def closing() -> None:
            close()
            marker.unlink(missing_ok=True)

        engine.close = closing  # type: ignore[method-assign]
        return engine

    said: list[str] = []
    # The quantized one starts first, so the baseline is the second that does not fit.
    baseline, quantized = measure_pair(
        second, first, [SHORT], exclusive=False, seed=1, vocab_size=9, say=said.append, blocks=2
    )
    assert "baseline and quantized do not fit into memory together" in said
    assert [round_.block for round_ in baseline.series[0].rounds] == [0, 0, 1, 1]
    assert [round_.block for round_ in quantized.series[0].rounds] == [0, 0, 1, 1]
