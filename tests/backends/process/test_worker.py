"""The worker process by itself: its lines, its errors, its end, how light its start is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.process import wire
from pytest_quantreg.backends.process.worker import Worker
from pytest_quantreg.core.codes import EngineCode
from pytest_quantreg.core.errors import Category, MissingExtra, QuantregError, Refusal, WrongUse
from pytest_quantreg.core.facts import Problem, Quoted, Scheme
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.records.speed import Load, Request
from pytest_quantreg.report.words import words_of

from ...wording import says

COMMAND = [sys.executable, "-m", "pytest_quantreg.backends.process.worker"]


def script(folder: Path, **entries: Any) -> ModelSpec:
    """Writes a script and says how to ask for the model."""
    folder.mkdir(exist_ok=True)
    (folder / "scripted.json").write_text(json.dumps(entries), encoding="utf-8")
    return ModelSpec(str(folder), folder.name, entries.get("scheme", "native"), "scripted")


def loading(spec: ModelSpec, tmp_path: Path) -> dict[str, Any]:
    """The command that loads it."""
    return {"do": "load", "spec": asdict(spec), "cache_dir": str(tmp_path), "timed": True}


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """A worker with its pipes in our hands."""
    with subprocess.Popen(
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        yield started
        started.kill()


def ask(process: subprocess.Popen[str], **command: Any) -> Any:
    """One line there, one line back."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(command) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def test_a_conversation(process: subprocess.Popen[str], tmp_path: Path) -> None:
    """Load, serve, footprint, bandwidth, state and close, each answered by one line."""
    spec = script(tmp_path / "m", scheme="w8a8-int8", speed={"state": {"clock_mhz": 5.0}})
    loaded = ask(process, **loading(spec, tmp_path))["value"]
    assert loaded["effective"]["scheme"] == "w8a8-int8"
    assert loaded["machine"]["accelerator"] == "scripted"
    assert loaded["can_sleep"] is False
    load = {"prompts": [[1, 2], [3, 4]], "output_tokens": 3, "in_flight": 2, "arrivals": None}
    rows = ask(process, do="serve", load=load)["value"]
    assert [row[3] for row in rows] == [3, 3]
    assert ask(process, do="footprint")["value"]["loaded"] == {"bfloat16": 1000}
    assert ask(process, do="forget_peak") == {"value": None}
    assert ask(process, do="bandwidth") == {"value": 1e9}
    assert ask(process, do="state")["value"]["clock_mhz"] == 5.0
    assert ask(process, do="close") == {"value": None}
    assert process.wait(10) == 0


def test_prints_do_not_reach_the_answers() -> None:
    """What an engine prints, even from C, goes to stderr, and its stdin is empty."""
    program = (
        "import os\n"
        "from pytest_quantreg.backends.process import worker\n"
        "class Loud(worker.Worker):\n"
        "    def answer(self, command):\n"
        "        print('printed', flush=True)\n"
        "        os.write(1, b'written')\n"
        "        return {'value': os.read(0, 10).decode()}\n"
        "worker.Worker = Loud\n"
        "worker.main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert ask(process, do="anything") == {"value": ""}
        assert ask(process, do="close") == {"value": ""}
        assert process.stderr is not None
        assert process.stderr.read() == "printed\nwritten" * 2


def test_ends_with_its_stdin_even_when_it_hangs(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    """When whoever asked is gone, nothing stays behind: not idle, not in the midst of work."""
    assert ask(process, **loading(script(tmp_path / "m", speed={"hang": "serve"}), tmp_path))
    assert process.stdin is not None
    load = {"prompts": [[1]], "output_tokens": 3, "in_flight": 1, "arrivals": None}
    process.stdin.write(json.dumps({"do": "serve", "load": load}) + "\n")
    process.stdin.close()
    assert process.wait(10) == -signal.SIGKILL


def test_starts_light(tmp_path: Path) -> None:
    """Neither engines nor numpy are imported before a model that needs them is loaded."""
    heavy = ("numpy", "torch", "transformers", "scipy", "lm_eval", "pytest", "jsonschema")
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from pytest_quantreg.backends.process.worker import Worker\n"
        "worker = Worker(lambda _: None)\n"
        "answer = worker.answer(json.loads(sys.argv[1]))\n"
        "assert 'value' in answer, answer\n"
        f"print([name for name in {heavy} if name in sys.modules])\n"
    )
    command = json.dumps(loading(script(tmp_path / "m"), tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", program, command], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("entries", "kind", "words"),
    [
        ({"unusable": "is torn"}, "refusal", "is torn"),
        ({"speed": {"fast": 1}}, "refusal", "unknown keys: fast"),
        ({"speed": {"out_of_memory": "load"}}, "out_of_memory", "out of memory"),
        ({"fail": {"at": "load", "kind": "out_of_memory"}}, "out_of_memory", "does not fit"),
        ({"fail": {"at": "load"}}, "failed", "RuntimeError: scripted: the engine failed"),
    ],
)
def test_errors_travel(entries: dict[str, Any], kind: str, words: str, tmp_path: Path) -> None:
    """Each kind of failure while loading says what it is, with the words of its error."""
    error = Worker(lambda _: None).answer(loading(script(tmp_path / "m", **entries), tmp_path))[
        "error"
    ]
    assert error["kind"] == kind
    assert words in said(error)
    assert ("host" in error) == (kind == "out_of_memory")
    if kind == "failed":
        assert error["type"] == "RuntimeError"
        assert any("scripted.py" in line for line in error["trace"])


def said(error: dict[str, Any]) -> str:
    """What an error of a worker says, be it ours or an engine's."""
    cause = wire.cause_from(error)
    return cause.text if isinstance(cause, Quoted) else str(words_of(cause))


def test_commands_out_of_turn(tmp_path: Path) -> None:
    """Nothing can be asked before a model is loaded; unknown commands are an error."""
    worker = Worker(lambda _: None)
    assert worker.answer({"do": "footprint"})["error"]["kind"] == "wrong_use"
    assert "value" in worker.answer(loading(script(tmp_path / "m"), tmp_path))
    assert "unknown command 'jump'" in said(worker.answer({"do": "jump"})["error"])


def test_a_backend_that_cannot_be_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine for accuracy only is wrong use, and it is closed."""
    closed = []

    class Backend:
        def load(self, spec: ModelSpec) -> Any:
            return self

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr("pytest_quantreg.backends.process.worker.find", lambda *_, **__: Backend())
    error = Worker(lambda _: None).answer(loading(script(tmp_path / "m"), tmp_path))["error"]
    assert error["kind"] == "wrong_use"
    assert "cannot time models" in said(error)
    assert closed == [True]


@pytest.mark.parametrize(
    "error",
    [
        Refusal(Category.NOT_COMPARABLE, "what", help=("one", "two")),
        WrongUse("what", help="one"),
        MissingExtra("transformers", needed_by="the test", package="torch"),
        Refusal(EngineCode.NOT_GREEDY, temperature=0.7),
        Refusal.of(Problem(EngineCode.NO_PROMPT, {"model": "m"}), Category.NOT_JUDGED),
        WrongUse(EngineCode.GGUF_TYPE_NOT_MADE, scheme=Scheme("gguf-q2_k"), made=("a", "b")),
    ],
)
def test_our_errors_arrive_as_they_left(error: QuantregError) -> None:
    """Class, category, problem and words survive the way through JSON."""
    arrived = wire.error_from(json.loads(json.dumps(wire.describe_error(error))))
    assert type(arrived) is type(error)
    assert arrived.problem == error.problem
    assert says(arrived) == says(error)
    assert getattr(arrived, "category", None) == getattr(error, "category", None)


def test_errors_of_engines_arrive_as_text() -> None:
    """Type and first line, whatever it holds: nothing in it is a template."""
    described = wire.describe_error(KeyError("{model}"))
    assert wire.cause_from(json.loads(json.dumps(described))) == Quoted("KeyError: '{model}'")


def test_values_arrive_as_they_left() -> None:
    """Loads and requests survive the way through JSON; a wrong key is an error."""
    load = Load(((1, 2), (3,)), 4, 2, (0.5, 0.25))
    assert wire.load_from(json.loads(json.dumps(wire.flat(load)))) == load
    requests = (Request(0.0, 0.1, 0.30000000000000004, 7),)
    assert wire.requests_from(json.loads(json.dumps(wire.rows(requests)))) == requests
    with pytest.raises(ValueError, match="ModelSpec has no speed"):
        wire.unflat(ModelSpec, {"speed": 1})


def test_a_whole_run_is_quick(tmp_path: Path) -> None:
    """A process of its own is cheap enough that tests of plugin logic use the real one."""
    spec = script(tmp_path / "m")
    text = json.dumps(loading(spec, tmp_path)) + "\n"
    began = time.monotonic()
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        os.write(process.stdin.fileno(), text.encode())
        assert b"effective" in process.stdout.readline()
    # A generous bound: it takes a fifteenth of it, and importing torch would exceed it.
    assert time.monotonic() - began < 2
