"""The client of a worker: values through, failures named, nothing left behind."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.process.remote import RemoteEngine
from pytest_quantreg.core.engine import TimedEngine
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.records.speed import Load
from pytest_quantreg.report.words import words_of

from ...wording import refused, wrong_use

LOAD = Load(((1, 2), (3, 4)), 5, 1)

Start = Callable[..., RemoteEngine]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts scripted models in real processes; those still alive at the end are a failure."""
    pids: list[int] = []

    def make(timeout: float = 20.0, backend: str = "scripted", **entries: Any) -> RemoteEngine:
        folder = tmp_path / "m"
        folder.mkdir(exist_ok=True)
        (folder / "scripted.json").write_text(json.dumps(entries), encoding="utf-8")
        spec = ModelSpec(str(folder), "m", entries.get("scheme", "native"), backend)
        engine = RemoteEngine.start(spec, cache_dir=tmp_path / "cache", timeout=timeout)
        assert engine.pid is not None
        pids.append(engine.pid)
        return engine

    yield make
    assert [pid for pid in pids if is_alive(pid)] == []


def is_alive(pid: int) -> bool:
    """Whether a process exists, dead ones that nobody reaped left out."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_all_that_is_asked_comes_through(start: Start) -> None:
    """Times, sizes, bandwidth, state, scheme and machine are what the process has."""
    speed = {"seconds_to_first": 0.5, "seconds_per_token": 0.25, "state": {"clock_mhz": 7.0}}
    with start(scheme="w8a8-int8", speed=speed) as engine:
        timed: TimedEngine = engine
        first, second = timed.serve(LOAD)
        assert (first.arrived, first.first_token, first.ended) == (0.0, 0.5, 1.5)
        assert (second.arrived, second.ended, second.output_tokens) == (1.5, 3.0, 5)
        assert timed.footprint().weights == 1000
        assert timed.copy_bandwidth() == 1e9
        assert timed.state().clock_mhz == 7.0
        assert timed.effective.scheme == "w8a8-int8"
        assert timed.machine.accelerator == "scripted"
        assert (timed.model, timed.tokenizer, engine.can_sleep) == (None, None, False)
        timed.forget_peak()


def test_load_seconds_are_the_scripts_or_our_clocks(start: Start, tmp_path: Path) -> None:
    """The double says how long it took; any other engine is timed from the process's start."""
    with start(speed={"load_seconds": 123.0}) as engine:
        assert engine.load_seconds == 123.0
    with start(speed={"load_seconds": None}) as engine:
        assert 0 < engine.load_seconds < 20


def test_prompts_larger_than_any_pipe(start: Start) -> None:
    """A round of a million token ids goes through, both sides reading as they can."""
    load = Load(tuple(tuple(range(5000)) for _ in range(200)), 2, 200)
    with start() as engine:
        assert len(engine.serve(load)) == 200


def test_a_hung_step_is_timed_out_and_named(start: Start) -> None:
    """No answer within the time: refused, saying which model, how long and while doing what."""
    engine = start(timeout=2.0, speed={"hang": "serve"})
    pid = engine.pid
    assert pid is not None
    with refused() as caught:
        engine.serve(LOAD)
    assert caught.value.category is Category.ENGINE
    assert words_of(caught.value.problem).what == (
        "m native did not answer within 2 s while serving 2 requests (2 + 5 tokens)"
    )
    assert any("quant_speed_timeout" in line for line in words_of(caught.value.problem).help)
    assert not is_alive(pid)
    with refused("m native has ended"):
        engine.footprint()
    engine.close()


def test_a_process_that_does_not_read_is_timed_out(start: Start) -> None:
    """Sending has the same time limit as waiting, so a full pipe does not hang the tests."""
    engine = start(timeout=1.0)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    load = Load(tuple(tuple(range(5000)) for _ in range(200)), 2, 200)
    with refused("did not answer within 1 s while serving 200 requests"):
        engine.serve(load)


@pytest.mark.parametrize("step", ["load", "serve"])
def test_a_killed_process_is_taken_for_one_without_memory(
    start: Start, tmp_path: Path, step: str
) -> None:
    """Killed from outside, as the kernel does: out of memory, so that a pair takes turns."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors").write_bytes(bytes(3 << 20))
    with refused() as caught, start(speed={"die": step}) as engine:
        engine.serve(LOAD)
    assert caught.value.category is Category.OUT_OF_MEMORY
    doing = "loading" if step == "load" else "serving 2 requests (2 + 5 tokens)"
    assert words_of(caught.value.problem).what == (
        f"m native was killed (signal 9) while {doing}, probably for want of memory"
    )
    hint = words_of(caught.value.problem).help[-1]
    assert hint.startswith("free on the host when it began: ")
    assert hint.endswith(" GiB; its weights are 3.0 MiB on disk")


def test_a_process_that_another_signal_ended(start: Start) -> None:
    """Only SIGKILL is the kernel's for memory; a crash is named by its signal."""
    engine = start()
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSEGV)
    with refused() as caught:
        engine.serve(LOAD)
    assert caught.value.category is Category.ENGINE
    assert words_of(caught.value.problem).what.startswith(
        "m native ended (signal 11) while serving 2 requests"
    )


def test_where_the_system_cannot_wait_without_reaping(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS before Python 3.13 has no waitid: a dead process is named all the same, and closed."""
    monkeypatch.delattr(os, "waitid")
    engine = start(speed={"die": "serve"})
    pid = engine.pid
    assert pid is not None
    with refused(r"was killed \(signal 9\) while serving 2 requests"):
        engine.serve(LOAD)
    engine.close()
    assert not is_alive(pid)
    with start() as other:
        assert len(other.serve(LOAD)) == 2


def test_the_kernel_would_end_the_process_before_the_tests(start: Start) -> None:
    """When memory runs out the choice is the worker, whose loss is noticed and named."""
    with start() as engine:
        score = Path(f"/proc/{engine.pid}/oom_score_adj").read_text(encoding="ascii")
        assert int(score) == 1000 > int(Path("/proc/self/oom_score_adj").read_text())


@pytest.mark.parametrize("step", ["load", "serve"])
def test_out_of_memory_says_what_was_needed_and_free(
    start: Start, tmp_path: Path, step: str
) -> None:
    """Refused as out of memory with the size of the weights and what was free at that moment."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.safetensors").write_bytes(bytes(3 << 20))
    with refused() as caught, start(speed={"out_of_memory": step}) as engine:
        engine.serve(LOAD)
    assert caught.value.category is Category.OUT_OF_MEMORY
    assert words_of(caught.value.problem).what.startswith("m native does not fit into memory")
    assert "its weights are 3.0 MiB on disk; " in words_of(caught.value.problem).help[0]
    assert "GiB free on the host" in words_of(caught.value.problem).help[0]
    assert ("smaller batch" in words_of(caught.value.problem).help[1]) == (step == "serve")
    assert words_of(caught.value.problem).help[2] == "it said: MemoryError: scripted: out of memory"


def test_a_failing_engine_is_refused_with_its_place(start: Start) -> None:
    """An error of the engine itself names its type and where it was raised."""
    engine = start(speed={"jitter": []})
    with refused(r"failed while serving .*: ZeroDivisionError") as caught:
        engine.serve(LOAD)
    assert caught.value.category is Category.ENGINE
    assert "scripted_speed.py" in words_of(caught.value.problem).help[0]
    assert engine.pid is None


def test_refusals_and_wrong_use_travel_and_leave_the_process(start: Start) -> None:
    """What the backend refuses is raised here as it was there; the process may go on."""
    with refused("m: is torn") as caught:
        start(unusable="is torn")
    assert caught.value.category is Category.UNUSABLE_MODEL
    with start(speed={"seconds_to_first": {"4": 1.0}}) as engine:
        with wrong_use("no seconds_to_first for 1 in flight"):
            engine.serve(LOAD)
        assert engine.footprint().disk == 1000


def test_what_the_process_said_last_is_shown(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of its stderr explains a process that ends by itself."""
    engine = start()
    monkeypatch.setattr(
        "pytest_quantreg.backends.process.child._BOOT", "import sys; sys.exit('no GPU')"
    )
    with refused() as caught:
        start()
    assert words_of(caught.value.problem).what == "m native ended (exit status 1) while loading"
    assert words_of(caught.value.problem).help == ("it said last: no GPU",)
    engine.close()


def test_an_interrupt_ends_the_process_and_goes_on(start: Start) -> None:
    """Ctrl-C while waiting: the process is gone at once, and the interrupt is not swallowed."""
    engine = start(speed={"hang": "serve"})
    pid = engine.pid
    assert pid is not None
    # A shell lets its jobs in the background ignore SIGINT, and so they inherit it.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        engine.serve(LOAD)
    timer.join()
    signal.signal(signal.SIGINT, handler)
    assert not is_alive(pid)


def test_ctrl_c_in_the_terminal_does_not_reach_the_process(start: Start) -> None:
    """It is in a session of its own, so the terminal's signal goes to the tests alone."""
    with start() as engine:
        assert engine.pid is not None
        assert os.getsid(engine.pid) == engine.pid != os.getsid(0)


def test_nothing_survives_the_parent(tmp_path: Path) -> None:
    """A parent killed in the midst of a round leaves no process behind."""
    (tmp_path / "scripted.json").write_text(json.dumps({"speed": {"hang": "serve"}}))
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pytest_quantreg.backends.process.remote import RemoteEngine\n"
        "from pytest_quantreg.core.records.run import ModelSpec\n"
        "from pytest_quantreg.core.records.speed import Load\n"
        "spec = ModelSpec(sys.argv[1], 'm', 'native', 'scripted')\n"
        "engine = RemoteEngine.start(spec, cache_dir=Path(sys.argv[1]))\n"
        "print(engine.pid, flush=True)\n"
        "engine.serve(Load(((1,),), 1, 1))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def test_closing_twice_and_forgetting_to_close(start: Start) -> None:
    """Close is harmless again; an engine that nobody closed takes its process along."""
    engine = start()
    engine.close()
    engine.close()
    forgotten = start()
    pid = forgotten.pid
    assert pid is not None
    del forgotten
    gc.collect()
    assert not is_alive(pid)


def test_no_file_stays_open(start: Start) -> None:
    """After any number of processes, ended well or badly, this one has its files as before."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for speed in ({}, {"die": "serve"}, {"out_of_memory": "serve"}, {"die": "load"}):
        with contextlib.suppress(Refusal), start(speed=speed) as engine:
            engine.serve(LOAD)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_folder_of_tests_hides_no_package(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the user named like packages, in the current folder or on the path, do not count."""
    hiding = tmp_path / "suite"
    hiding.mkdir()
    for name in ("queue.py", "pytest_quantreg.py", "json.py"):
        (hiding / name).write_text("raise SystemExit('the wrong one')\n", encoding="utf-8")
    monkeypatch.chdir(hiding)
    monkeypatch.setattr(sys, "path", [str(hiding), *sys.path])
    with start() as engine:
        assert len(engine.serve(LOAD)) == 2


def test_modules_beside_the_tests_are_found(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that lives where pytest has put a path is found in the process too."""
    (tmp_path / "ours.py").write_text(
        "from pytest_quantreg.testing.scripted import ScriptedBackend as Ours\n"
    )
    info = tmp_path / "ours-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pytest_quantreg.backends]\nours = ours:Ours\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    with start(backend="ours") as engine:
        assert engine.machine.accelerator == "scripted"
