"""Gates against two servers through the whole plugin: verdicts, deaths, and where keys go."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from .site import KEY, SCHEME, Site

Run = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def site(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A folder with recorded baselines, and two living servers that want a key."""
    made = Site(tmp_path_factory.mktemp("site"), tokenizer)
    recorded = made.record()
    assert recorded.returncode == 0, recorded.stdout
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _alive(site: Site) -> None:
    """Whatever a test did to the servers is undone."""
    for server in (site.base, site.int8):
        server.lives, server.logprobs = None, "yes"
        server.wrong = lambda number: number % 10 == 0
        server.start()
    site.int8.shift = 0.001


def no_secrets(site: Site, run: Run) -> None:
    """The key is nowhere, and the hosts are in no file that was written."""
    assert KEY not in run.stdout + run.stderr
    for path, text in site.written().items():
        assert KEY not in text, path
        assert "127.0.0.1" not in text, path


def test_green(site: Site) -> None:
    """A server as good as the baseline's passes; it is said that nobody read its weights."""
    run = site.gate()
    assert run.returncode == 0, run.stdout
    assert "2 passed" in run.stdout
    assert f"runs as {SCHEME} (unverified)" in run.stdout
    assert "vllm server" in run.stdout
    assert site.int8.keys == {f"Bearer {KEY}"}
    no_secrets(site, run)


@pytest.mark.slow
def test_the_baseline_in_its_place(site: Site) -> None:
    """A server that answers choices with the baseline's own log-likelihoods is suspicious."""
    site.int8.shift = 0.0
    run = site.gate("--quant-limit=200")
    assert run.returncode == 1
    assert "1 passed, 1 error" in run.stdout
    refused = f"REFUSED (suspicious) {SCHEME} pick: 200 of 200 items of pick have the baseline's"
    assert refused in run.stdout


@pytest.mark.slow
def test_red(site: Site) -> None:
    """Wrong answers lose; a task scored by log-probabilities that are not there is refused."""
    site.int8.wrong = lambda number: number % 10 == 0 or number % 3 == 0
    site.int8.logprobs = "none"
    run = site.gate("--quant-limit=200")
    assert run.returncode == 1
    assert "1 failed, 1 error" in run.stdout
    assert f"LOST {SCHEME} sum: " in run.stdout
    refused = f"REFUSED (engine failed) {SCHEME} pick: the server returns no log-probabilities"
    assert refused in run.stdout
    no_secrets(site, run)


@pytest.mark.slow
def test_a_server_that_dies_midway(site: Site) -> None:
    """The test under way is refused with what happened, the next at once; none is judged."""
    before = site.written()
    site.int8.lives = len(site.int8.seen) + 5
    run = site.gate("--quant-limit=200", "--quant-backend-arg=max_retries=1")
    assert run.returncode == 1
    first, second = (f"(engine failed) {SCHEME} {task}: " for task in ("sum", "pick"))
    assert "asked 2 times, while answering " in run.stdout.partition(first)[2][:300]
    assert "was lost before, and cannot be reached" in run.stdout.partition(second)[2][:300]
    assert "2 refused" in run.stdout
    no_secrets(site, run)
    stored = {path for path in before if "baselines" in path.parts}
    assert {path: text for path, text in site.written().items() if path in stored} == {
        path: before[path] for path in stored
    }


@pytest.mark.slow
def test_nothing_half_recorded(site: Site) -> None:
    """A server that dies while a baseline is recorded leaves no baseline behind."""
    site.base.lives = len(site.base.seen) + 8
    run = site.record("--quant-baselines=other", "--quant-backend-arg=max_retries=0")
    assert run.returncode == 1
    assert not list((site.folder / "other").rglob("*.json"))
    no_secrets(site, run)
