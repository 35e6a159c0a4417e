"""Keys and the file names they make: readable, reversible, never outside the store."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantreg.baselines import BaselineKey, RunSettings
from pytest_quantreg.baselines.file_names import from_component, to_component
from pytest_quantreg.core.errors import WrongUse
from pytest_quantreg.core.records.run import AccuracyRequest

from ..wording import wrong_use

NAMES = st.text(st.sampled_from("aB0._-+/% :*?\\é\x00\n"), min_size=1, max_size=12) | st.text(
    min_size=1, max_size=12
)


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama--Llama-3.1-8B-Instruct"),
        ("tiny", "tiny"),
        ("a--b", "a%2D%2Db"),
        ("a-/b", "a%2D--b"),
        ("a/-b", "a--%2Db"),
        (".hidden", "%2Ehidden"),
        ("end.", "end%2E"),
        ("-rf", "%2Drf"),
        ("CON", "%43ON"),
        ("nul.txt", "%6Eul.txt"),
        ("C:x", "C%3Ax"),
        ("modèle", "mod%C3%A8le"),
        ("w8a8-int8+kv-fp8", "w8a8-int8+kv-fp8"),
    ],
)
def test_names_are_readable_and_come_back(name: str, component: str) -> None:
    """Hub ids read as themselves; what a file system would misread is escaped."""
    assert to_component("model", name) == component
    assert from_component(component) == name


@settings(derandomize=True, deadline=None)
@given(NAMES)
def test_any_name_is_refused_or_one_reversible_safe_component(name: str) -> None:
    """No name makes a path of more than one plain component, and none is lost."""
    try:
        component = to_component("model", name)
    except WrongUse:
        return
    assert re.fullmatch(r"[A-Za-z0-9._+%-]+", component)
    assert component[0] not in ".-"
    assert component[-1] != "."
    assert len(PurePosixPath(component).parts) == 1
    assert from_component(component) == name


@pytest.mark.parametrize(
    "name",
    ["", "/", "..", ".", "a/../b", "/models/tiny", "a//b", "a/", "C:\\x", "x" * 201, "\ud800"],
)
def test_names_that_cannot_be_filed_are_refused(name: str) -> None:
    """Paths, empty parts, over-long and broken names are wrong use, whichever part they are."""
    for part in range(4):
        parts = ["m", "bf16", "transformers", "t"]
        parts[part] = name
        model, scheme, engine, task = parts
        with pytest.raises(WrongUse):
            BaselineKey(model, scheme, engine, task, 0)


@pytest.mark.parametrize("component", ["a b", "%zz", "a%2Fb", "%61", "é", "..", "%FF", "README%2"])
def test_folders_of_others_have_no_name(component: str) -> None:
    """A folder that the store cannot have made is not taken for a model's."""
    assert from_component(component) is None


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 5)), min_size=2, max_size=2, unique=True))
def test_different_tasks_have_different_files(tasks: list[tuple[str, int]]) -> None:
    """Two keys never share a file, even when one task is named like the other's file."""
    try:
        first, second = (BaselineKey("m", "bf16", "transformers", *task) for task in tasks)
    except WrongUse:
        return
    assert first.stem != second.stem


def test_the_suffix_stands_for_settings_that_are_not_the_defaults() -> None:
    """Defaults give a short name; each setting changes it; equal wishes give the same name."""
    plain = RunSettings.of(AccuracyRequest("t"))
    assert plain.suffix() == ""
    assert BaselineKey("m", "bf16", "vllm", "t", 5, plain).stem == "t.5shot"
    requests = [
        AccuracyRequest("t", apply_chat_template=True),
        AccuracyRequest("t", apply_chat_template=False),
        AccuracyRequest("t", apply_chat_template="tool_use"),
        AccuracyRequest("t", fewshot_as_multiturn=True),
        AccuracyRequest("t", system_instruction="Be brief."),
        AccuracyRequest("t", gen_kwargs={"temperature": 0.5}),
        AccuracyRequest("t", repeats=2),
        AccuracyRequest("t", seed=1),
    ]
    suffixes = {RunSettings.of(request).suffix() for request in requests}
    assert len(suffixes) == len(requests)
    assert all(re.fullmatch("-[0-9a-f]{8}", suffix) for suffix in suffixes)
    same = [
        RunSettings.of(AccuracyRequest("t", gen_kwargs=kwargs))
        for kwargs in ({"temperature": 0, "top_k": 1}, {"top_k": 1.0, "temperature": 0.0})
    ]
    assert same[0] == same[1]
    assert same[0].suffix() == same[1].suffix()


def test_the_file_name_of_settings_never_changes() -> None:
    """Stored baselines are found again by every later version."""
    given_two = RunSettings(chat_template="on", repeats=2)
    assert given_two.suffix() == "-2730aa27"


@pytest.mark.parametrize("kwargs", [{"a": float("nan")}, {"a": object()}])
def test_gen_kwargs_that_are_no_json_are_wrong_use(kwargs: dict[str, object]) -> None:
    """What cannot be stored is told before anything is measured."""
    with wrong_use("gen_kwargs cannot be stored"):
        RunSettings.of(AccuracyRequest("t", gen_kwargs=kwargs))  # type: ignore[arg-type]


@pytest.mark.parametrize("shots", [-1, True, 1.5])
def test_few_shot_counts_are_whole_numbers(shots: object) -> None:
    """A count that is none is refused, not put into a file name."""
    with wrong_use("num_fewshot"):
        BaselineKey("m", "bf16", "transformers", "t", shots)  # type: ignore[arg-type]


def test_long_task_names_are_refused_with_their_length() -> None:
    """The endings count too: a task name that just fits alone is refused."""
    with wrong_use("too long for a file name"):
        BaselineKey("m", "bf16", "transformers", "t" * 195, 0)
