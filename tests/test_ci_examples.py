"""The CI jobs under examples/: their commands are tried, as far as that goes without a CI."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_quantreg.cli import main

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "ci"
FILES = ("github-actions.yml", "gitlab-ci.yml")
TELLING = ("comment", "note")
"""The jobs that run no test, and say what another one found."""


@cache
def document(name: str) -> Any:
    """A workflow as YAML reads it."""
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


def jobs(name: str) -> dict[str, list[str]]:
    """Job -> the scripts that it runs, in their order."""
    found = document(name)
    if "jobs" in found:
        return {
            job: [step["run"] for step in body["steps"] if "run" in step]
            for job, body in found["jobs"].items()
        }
    keys = ("before_script", "script", "after_script")
    return {
        job: [line for key in keys for line in body.get(key, ())]
        for job, body in found.items()
        if isinstance(body, dict) and "script" in body
    }


def commands(script: str, program: str) -> Iterator[list[str]]:
    """The words after ``program``, for each line of a script that calls it."""
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.split(line.replace("${{", "'${{").replace("}}", "}}'"))
        if words and words[0] == program:
            yield words[1:]


def all_of(program: str) -> list[tuple[str, ...]]:
    """Each different call of a program in any of the files."""
    found = (
        tuple(words)
        for name in FILES
        for scripts in jobs(name).values()
        for script in scripts
        for words in commands(script, program)
    )
    return sorted(set(found))


def test_every_file_is_looked_at() -> None:
    """The folder holds the files that are tried here, each with three jobs that call pytest."""
    assert sorted(path.name for path in FOLDER.iterdir()) == list(FILES)
    for name in FILES:
        calling = [
            job
            for job, scripts in jobs(name).items()
            if any(list(commands(script, "pytest")) for script in scripts)
        ]
        assert sorted(calling) == ["compare", "record", "release"]


@pytest.mark.parametrize("words", all_of("pytest"), ids=" ".join)
def test_pytest_commands_collect(words: tuple[str, ...], tmp_path: Path) -> None:
    """Every call of pytest has options that exist and finds tests, from the top of the project."""
    for name in ("examples", "baselines"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    schemes = [word.partition("=")[2].split(",") for word in words if "--quant-scheme" in word]
    for scheme in schemes[0] if schemes else []:
        assert f"[{scheme}-" in done.stdout
    assert "test_no_task_breaks" in done.stdout


@pytest.mark.parametrize("words", all_of("quantreg"), ids=" ".join)
def test_quantreg_commands_are_understood(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: Any, tmp_path: Path
) -> None:
    """Every call of quantreg gets as far as the file that an earlier command would have written."""
    monkeypatch.chdir(tmp_path)
    assert main(list(words)) == 2
    assert capsys.readouterr().err == f"quantreg {words[0]}: {words[1]}: no such file\n"


@pytest.mark.parametrize("name", FILES)
def test_what_is_used_was_written(name: str) -> None:
    """The reports that a job comments with or uploads are those that its pytest writes."""
    for job, scripts in jobs(name).items():
        text = "\n".join(scripts)
        if job in TELLING:
            assert set(re.findall(r"\b(reports/[\w.]+)", text)) == {"reports/run.md"}
            needed = document(name).get("jobs", document(name))[job]["needs"]
            assert needed in ("compare", ["compare"])
            continue
        written = re.findall(r"(?:--quant-report|--junitxml)=(reports/\S+)", text)
        used = re.findall(r"(?<!=)\b(reports/[\w.]+)", text)
        assert {"reports/run.md", "reports/run.json"} <= set(written), job
        assert set(used) <= set(written), job
        if job != "record":
            assert "--quant-require" in text, job
            assert "reports/junit.xml" in written, job


def test_a_job_that_failed_to_install_showed_an_older_report() -> None:
    """Each job that writes reports removes those of an earlier run before it installs anything."""
    github, gitlab = map(document, FILES)
    for job in ("record", "compare", "release"):
        lines = [step["run"] for step in github["jobs"][job]["steps"] if "run" in step]
        assert lines[0] == "rm -rf reports"
        assert gitlab[job]["extends"] == ".quantreg"
    assert gitlab[".quantreg"]["before_script"][0] == "rm -rf reports"


def steps_of(job: str) -> list[dict[str, Any]]:
    """The steps of a job on GitHub."""
    found: list[dict[str, Any]] = document(FILES[0])["jobs"][job]["steps"]
    return found


def test_the_cache_is_kept_where_it_is_used() -> None:
    """QUANTREG_CACHE_DIR is a folder that both CIs keep, and not only after a green job."""
    github, gitlab = map(document, FILES)
    assert github["env"]["QUANTREG_CACHE_DIR"].endswith("/.quantreg")
    for job in ("compare", "release"):
        steps = {str(one.get("uses")).partition("@")[0]: one for one in steps_of(job)}
        # The plain actions/cache keeps nothing where a job fails, and a key only once.
        assert "actions/cache" not in steps
        restored, saved = steps["actions/cache/restore"], steps["actions/cache/save"]
        assert saved["if"] == "always()"
        assert restored["with"]["path"] == saved["with"]["path"] == ".quantreg"
        assert restored["with"]["key"] == saved["with"]["key"]
        assert saved["with"]["key"].endswith("${{ github.run_attempt }}")
        assert saved["with"]["key"].startswith(restored["with"]["restore-keys"])
    assert gitlab["variables"]["QUANTREG_CACHE_DIR"].endswith("/.quantreg")
    assert ".quantreg" in gitlab[".quantreg"]["cache"]["paths"]
    assert gitlab[".quantreg"]["cache"]["when"] == "always"
    assert gitlab[".quantreg"]["artifacts"]["reports"]["junit"] == "reports/junit.xml"


def test_code_of_a_pull_request_sees_no_token_that_may_write() -> None:
    """What gates only reads; what comments runs nothing of the pull request."""
    github = document(FILES[0])
    assert github["permissions"] == {"contents": "read"}
    for job in ("compare", "release"):
        assert "permissions" not in github["jobs"][job]
        checkout = next(one for one in steps_of(job) if "checkout" in str(one.get("uses")))
        assert checkout["with"]["persist-credentials"] is False
        assert "token" not in str(steps_of(job)).lower()
    comment = github["jobs"]["comment"]
    assert comment["permissions"] == {"pull-requests": "write"}
    assert not any("checkout" in str(one.get("uses")) for one in steps_of("comment"))
    assert "head.repo.full_name == github.repository" in comment["if"]
    assert all("timeout-minutes" in job for job in github["jobs"].values())


def test_versions_are_fixed() -> None:
    """A newer minor version of the engine would turn every gate red: installs name constraints."""
    for name in FILES:
        lines = [line for scripts in jobs(name).values() for line in scripts]
        installs = [line for line in lines if "pip install" in line]
        assert installs or "pip install" in str(document(name)[".quantreg"])
        assert all("-c constraints.txt" in line for line in installs)
    assert "-c constraints.txt" in str(document(FILES[1])[".quantreg"]["before_script"])
    assert (ROOT / "constraints.txt").is_file()


def test_when_the_jobs_run() -> None:
    """Recording is scheduled, pull requests are compared, and tags are gated."""
    github, gitlab = map(document, FILES)
    # YAML 1.1 reads the key `on` as a truth value.
    assert set(github[True]) == {"schedule", "workflow_dispatch", "pull_request", "push"}
    assert list(github[True]["push"]) == ["tags"]
    events = {job: body["if"] for job, body in github["jobs"].items()}
    assert "schedule" in events["record"]
    assert "pull_request" in events["compare"]
    assert "push" in events["release"]
    rules = {job: gitlab[job]["rules"][0]["if"] for job in ("record", "compare", "release")}
    assert "schedule" in rules["record"]
    assert "merge_request" in rules["compare"]
    assert "CI_COMMIT_TAG" in rules["release"]
