"""A session in which every text from outside is hostile and every argument is a secret."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from numpy import zeros
from safetensors.numpy import save_file

from pytest_quantreg.cli import main
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.gating.speed.preconditions import unequal_arguments

from .conftest import SCHEME, WRONG, Suite
from .speed_suite import TimedSuite

ACTS = "##vso[task.complete]\u202e\u200b\u2028::error::"
"""What may be filed; control characters that the schema of the store refuses are no names."""
CONTROLS = "\x1b[31m\x07\r::error::x\n::error::y\b\x9b"
SECRETS = {
    "token": "hf_aB3dE6gH9jK2mN5pQ8",
    "password": "opensesame",
    "headers": '{"Authorization": "Bearer s3cr3t-header"}',
    "address": "https://jo:pa55word@host/v1",
}
WORDS = ("hf_aB3dE6gH9jK2mN5pQ8", "opensesame", "s3cr3t-header", "pa55word")
TEST = """
    @pytest.mark.min_retention(0.9)
    def test_x(compare_accuracy): compare_accuracy("sum")
    """


def words(flag: str = "--quant-backend-arg") -> list[str]:
    """The secrets as options."""
    return [f"{flag}={name}={value}" for name, value in SECRETS.items()]


def written(folder: Path) -> str:
    """The names and the contents of all files but those that a test wrote itself."""
    kept = [*folder.glob("cache/**/*"), *folder.glob("baselines/**/*"), *folder.glob("out.*")]
    return "\n".join(
        f"{path.name} {path.read_text('utf-8')}" for path in kept if path.is_file()
    ).replace("\t", " ")


def check(result: pytest.RunResult, folder: Path) -> None:
    """Nothing that acts and no secret in what was printed or written."""
    text = "\n".join([*result.outlines, *result.errlines, written(folder)])
    assert [word for word in WORDS if word in text] == []
    acting = {
        character for character in text if not character.isprintable() and character not in "\n"
    }
    assert acting == set()
    lines = [line.strip() for line in text.split("\n")]
    assert [line for line in lines if line.startswith("::") or "##vso[" in line] == []


@pytest.fixture
def poisoned(suite: Suite) -> Suite:
    """A baseline whose folder and device have names that act, and one test."""
    machine = {"kind": "cpu", "accelerator": f"CPU{ACTS}"}
    suite.model(f"mo{ACTS}", machine=machine)
    suite.ini(quant_model=f"mo{ACTS}")
    suite.checkpoint("int8", machine=machine, also_wrong={"seed": 5, "share": 0.01})
    suite.test(TEST)
    return suite


def test_a_session_acted_on_the_terminal_and_told_secrets(
    poisoned: Suite, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorded, judged, refused and reported: nothing acts, nothing secret is shown or kept."""
    reports = ("--quant-report=out.json", "--quant-report=out.md", "--junitxml=out.xml")
    refused = poisoned.gate(*words(), *reports)
    assert refused.ret == 1
    assert "REFUSED (baseline absent)" in refused.stdout.str()
    assert refused.stdout.str().count("token=<your-own-value>") > 0
    check(refused, poisoned.path)
    recorded = poisoned.record(*words())
    assert recorded.ret == 0
    check(recorded, poisoned.path)
    green = poisoned.gate(*words(), *reports)
    assert green.ret == 0
    check(green, poisoned.path)
    assert json.loads((poisoned.path / "out.json").read_text("utf-8"))["conclusion"] == "green"
    capsys.readouterr()
    assert main(["report", "out.json"]) == 0
    assert main(["report", "out.json", "--format=json"]) == 0
    assert main(["baselines"]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("at", [{"at": "load"}, {"after": 3}])
def test_an_engines_error_acted_and_told_secrets(at: dict[str, Any], poisoned: Suite) -> None:
    """What it raises is shown with the secrets struck, with -l and in JUnit too."""
    assert poisoned.record().ret == 0
    said = f"::error::{ACTS}{CONTROLS} {' '.join(WORDS)}"
    fail = {"kind": "error", "text": said, **at}
    poisoned.model("int8", scheme=SCHEME, fail=fail, tasks={"sum": {"wrong": WRONG}})
    result = poisoned.gate(*words(), "-l", "--junitxml=out.xml", "--quant-report=out.md")
    assert result.ret == 1
    assert "..." in result.stdout.str()
    check(result, poisoned.path)


def test_arguments_of_the_ini_file_and_wrong_ones(poisoned: Suite) -> None:
    """A usage error repeats none, whether the argument itself or another is wrong."""
    for wrong in ("tok.en=opensesame", "x.password=opensesame", "=pa55word:hf_aB3dE6gH9jK2mN5pQ8"):
        result = poisoned.gate(f"--quant-backend-arg={wrong}", *words())
        assert result.ret == 4
        check(result, poisoned.path)
    poisoned.ini(quant_backend_arg=[f"{name}={value}" for name, value in SECRETS.items()])
    result = poisoned.gate("--quant-report=opensesame.txt")
    assert result.ret == 4
    check(result, poisoned.path)


def test_a_stored_speed_told_the_secrets_of_its_arguments(suite: Suite) -> None:
    """Arguments are stored with the sessions, and of a secret only that there was one."""
    timed = TimedSuite(suite)
    assert timed.record(*words()).ret == 0
    (session,) = timed.document()["sessions"]
    assert session["args"] == {
        "token": "...",
        "password": "...",
        "headers": {"Authorization": "..."},
        "address": "https://...@host/v1",
    }
    assert [word for word in WORDS if word in written(timed.path)] == []


def test_engine_arguments_that_differ_were_told_with_their_secrets() -> None:
    """The note names the argument, and of a secret no value."""
    base = ModelSpec("m", "m", "bf16", "scripted", args={"token": "opensesame", "dtype": "a"})
    other = replace(base, args={"dtype": "b"})
    assert list(unequal_arguments(base, other)) == [
        "engine argument dtype: baseline a, quantized b",
        "engine argument token: baseline ..., quantized None",
    ]
    assert "opensesame" not in repr(base)


def test_what_an_engine_logged_and_warned_acted(
    poisoned: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the captured output of a failed test nor pytest's list of warnings acts or tells."""
    assert poisoned.record().ret == 0
    (poisoned.path / "engine.py").write_text(
        "import logging, os, sys, warnings\n"
        "def load():\n"
        "    said = os.environ['SAID']\n"
        "    warnings.warn(said)\n"
        "    logging.getLogger('engine').warning(said)\n"
        "    print(said)\n"
        "    print(said, file=sys.stderr)\n",
        "utf-8",
    )
    poisoned.test("""
        import engine

        @pytest.mark.min_retention(0.9)
        def test_x(compare_accuracy):
            engine.load()
            compare_accuracy("sum")
            raise ValueError
        """)
    poisoned.pytester.syspathinsert()
    monkeypatch.setenv("SAID", f"{ACTS}{CONTROLS} {' '.join(WORDS)}")
    result = poisoned.gate(*words(), "-Wdefault", "-rA", "--junitxml=out.xml")
    assert result.ret == 1
    assert result.stdout.str().count(r"\::error::y") >= 4
    check(result, poisoned.path)


@pytest.mark.parametrize("command", [("schemes", "mine"), ("inspect", "model")])
def test_a_command_printed_what_acts(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Titles of a project file and names in a config are shown as text, on their line."""
    title = json.dumps(CONTROLS)
    scheme = f'[tool.quantreg.schemes.mine]\nlike = "w4a16-int4"\ntitle = {title}\n'
    (tmp_path / "pyproject.toml").write_text(scheme, "utf-8")
    config = {"architectures": [f"X{CONTROLS}"], "model_type": ACTS}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(config), "utf-8")
    save_file({"a.weight": zeros((2, 2))}, tmp_path / "model" / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("\\x1b[31m" in line for line in lines)
    assert all(line.isprintable() and not line.strip().startswith("::") for line in lines)


def test_wrong_use_of_a_command_printed_what_acts(capsys: pytest.CaptureFixture[str]) -> None:
    """argparse repeats what was typed, and a CI types names of others."""
    with pytest.raises(SystemExit):
        main(["schemes", "a", f"x{CONTROLS}"])
    assert "\x1b" not in capsys.readouterr().err
