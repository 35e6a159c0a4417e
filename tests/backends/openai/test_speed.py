"""compare_speed against two servers through the whole plugin: pairs, floors, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .site import Site

TESTS = """
import pytest

WORKLOAD = dict(batch_size=2, prompt_tokens=8, output_tokens=8, rounds=5, warmup=1)

@pytest.mark.min_speedup(1.2)
def test_is_faster(compare_speed):
    compare_speed(**WORKLOAD)

@pytest.mark.max_load_time(60)
@pytest.mark.max_memory(10)
def test_cannot_be_told(compare_speed):
    compare_speed(**WORKLOAD)
"""


@pytest.fixture
def site(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two servers, the quantized one several times as fast."""
    made = Site(tmp_path_factory.mktemp("site"), tokenizer)
    made.base.pause, made.int8.pause = 0.03, 0.003
    (made.folder / "test_gate.py").write_text(TESTS, "utf-8")
    yield made
    made.close()


@pytest.mark.slow
def test_a_pair(site: Site) -> None:
    """Both are timed in turn and the faster one passes; what no server tells is refused."""
    run = site.gate()
    assert run.returncode == 1
    assert "1 passed, 1 error" in run.stdout
    assert "this engine cannot tell how long a model takes to load" in run.stdout
    assert "this engine cannot tell weight memory" in run.stdout
    assert "engine argument base_url" not in run.stdout


@pytest.mark.slow
def test_what_is_kept(site: Site) -> None:
    """A stored session of a server names no host, and no load time."""
    run = site.record("-k", "test_is_faster")
    assert run.returncode == 0, run.stdout
    written = [text for path, text in site.written().items() if "baselines" in path.parts]
    assert any('"load_seconds": []' in text for text in written)
    assert not any("127.0.0.1" in text for text in written)
