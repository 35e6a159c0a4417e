"""The project's own CI and commit hooks run what they promise: versions, targets, programs."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
JOBS = ("light", "full")


@cache
def workflow() -> Any:
    """The workflow as YAML reads it."""
    return yaml.safe_load(WORKFLOW.read_text("utf-8"))


@cache
def project() -> str:
    """The text of pyproject.toml; Python 3.10 has no reader for it."""
    return (ROOT / "pyproject.toml").read_text("utf-8")


def targets() -> set[str]:
    """The targets of the Makefile that stand for a command."""
    [line] = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text("utf-8"), re.M)
    return set(line.split())


def steps(job: str) -> list[dict[str, Any]]:
    """The steps of a job."""
    found: list[dict[str, Any]] = workflow()["jobs"][job]["steps"]
    return found


def test_the_light_job_runs_on_every_supported_python() -> None:
    """The matrix, the classifiers and requires-python name the same versions."""
    versions = workflow()["jobs"]["light"]["strategy"]["matrix"]["python"]
    classified = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project())
    assert versions == classified
    [oldest] = re.findall(r'^requires-python = ">=(.+)"$', project(), re.M)
    assert versions[0] == oldest


def test_the_full_job_runs_on_the_python_of_the_constraints() -> None:
    """constraints.txt names its Python in its head."""
    [setup] = [one for one in steps("full") if "setup-python" in one.get("uses", "")]
    head = (ROOT / "constraints.txt").read_text("utf-8").partition("\n")[0]
    assert f"(Python {setup['with']['python-version']})" in head


def _made(script: str) -> list[str]:
    """The targets that the lines of a script pass to make."""
    calls = [words for line in script.splitlines() if (words := shlex.split(line, comments=True))]
    return [words[1] for words in calls if words[0] == "make"]


def test_make_targets_exist() -> None:
    """Jobs and .ci/run call make for targets that the Makefile has."""
    light = [target for step in steps("light") for target in _made(step.get("run", ""))]
    assert light == ["test-light"]
    assert [step["run"] for step in steps("full") if "run" in step] == [".ci/run"]
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    full = re.findall(r"^stage ([\w-]+)$", script, re.MULTILINE)
    assert full == ["lint", "test-wheel", "test", "test-slow", "demo", "test-vllm"]
    assert targets() >= {*light, *full}


def test_light_tests_exist() -> None:
    """Every path that `make test-light` collects or leaves out is there."""
    text = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    found = re.findall(r"^LIGHT\w* := (.+)$", text, re.M)
    paths = [word for line in found for word in re.findall(r"tests/[\w./]+", line)]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("job", JOBS)
def test_actions_are_pinned_by_commit(job: str) -> None:
    """A tag can move; a comment says which release the commit is."""
    used = [step["uses"] for step in steps(job) if "uses" in step]
    assert used
    text = WORKFLOW.read_text("utf-8")
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
        assert re.search(rf"{action} # v\d+\.\d+\.\d+$", text, re.M)


@pytest.mark.parametrize("job", JOBS)
def test_jobs_have_few_rights_and_an_end(job: str) -> None:
    """No job may write or keeps a token, each has a time limit, and a newer push replaces it."""
    assert workflow()["permissions"] == {"contents": "read"}
    assert "cancel-in-progress" in workflow()["concurrency"]
    body = workflow()["jobs"][job]
    assert "permissions" not in body
    assert body["timeout-minutes"] <= 180
    [checkout] = [one for one in steps(job) if "checkout" in one.get("uses", "")]
    assert checkout["with"]["persist-credentials"] is False


def test_commit_hooks_download_nothing() -> None:
    """Each hook runs a program from .venv, none comes from another repository."""
    found = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [one["repo"] for one in found["repos"]] == ["local"]
    hooks = found["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format", "mypy", "layers"]
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
        assert "additional_dependencies" not in hook
