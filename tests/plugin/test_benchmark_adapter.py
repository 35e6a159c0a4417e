"""What the real pytest-benchmark makes of the rounds that our adapter publishes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

# Of our package only the adapter is in use; the others are slow to import.
APART = ("-p", "no:quantreg", "-p", "no:hypothesispytest", "-p", "no:anyio")

CONFTEST = """
import os
import pytest
from pytest_quantreg.plugin.benchmark_adapter import as_benchmarks, publish

@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    ours = [item for item in items if "compare_speed" in getattr(item, "fixturenames", ())]
    with as_benchmarks(config, ours):
        return (yield)

# Clock rates would differ from run to run, and pytest-benchmark would warn.
@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_generate_machine_info():
    return {"node": "the same"}

@pytest.fixture
def compare_speed(request):
    def compare(workload, *seconds, **extra_info):
        note = publish(request.node, workload, seconds, extra_info)
        if note is not None:
            print(f"NOTE {note}")
        return note
    return compare

@pytest.fixture
def slower():
    return float(os.environ.get("SLOWER", 1))
"""

TWO_WORKLOADS = """
import pytest

@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_is_faster(scheme, compare_speed, slower):
    rounds = [slower * one for one in (0.25, 0.5, 0.75)]
    assert compare_speed("batch 1", *rounds, scheme=scheme, baseline_seconds=[1.0, 2.0]) is None
    assert compare_speed("batch 64", *[4 * one for one in rounds]) is None
"""


class Project:
    """A folder with tests that publish, and pytest runs in it, with warnings as errors."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path: Path = pytester.path
        pytester.makefile(".ini", pytest="[pytest]\nfilterwarnings = error\n")
        self.write("conftest.py", CONFTEST)

    def write(self, name: str, source: str) -> None:
        """Writes a file."""
        (self.path / name).write_text(dedent(source), "utf-8")

    def run(self, *args: str) -> pytest.RunResult:
        """pytest in this process."""
        return self.pytester.runpytest_inprocess(*APART, *args)

    def run_apart(self, *args: str) -> pytest.RunResult:
        """pytest in a process of its own."""
        return self.pytester.runpytest_subprocess(*APART, *args)

    def saved(self, *args: str, failed: int = 0) -> list[dict[str, Any]]:
        """The benchmarks that a run writes with --benchmark-json."""
        target = self.path / "out.json"
        assert self.run(f"--benchmark-json={target}", *args).ret == (1 if failed else 0)
        benchmarks: list[dict[str, Any]] = json.loads(target.read_text("utf-8"))["benchmarks"]
        return benchmarks


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project."""
    # These tests may run on a worker of xdist themselves, where it would be disabled.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return Project(pytester)


def test_json_holds_what_was_published(project: Project) -> None:
    """One benchmark per workload: its rounds, names, parameters and extra information."""
    project.write("test_speed.py", TWO_WORKLOADS)
    first, second, third, fourth = project.saved()
    assert first["name"] == "test_is_faster[int8][batch 1]"
    assert first["fullname"] == "test_speed.py::test_is_faster[int8][batch 1]"
    assert first["param"] == "int8"
    assert first["params"] == {"workload": "batch 1", "scheme": "int8"}
    assert first["extra_info"] == {"scheme": "int8", "baseline_seconds": [1.0, 2.0]}
    assert first["stats"]["data"] == [0.25, 0.5, 0.75]
    assert (first["stats"]["rounds"], first["stats"]["iterations"]) == (3, 1)
    assert (first["stats"]["min"], first["stats"]["mean"]) == (0.25, 0.5)
    assert first["options"] == {"timer": "pytest-quantreg"}
    assert second["fullname"] == "test_speed.py::test_is_faster[int8][batch 64]"
    assert second["stats"]["data"] == [1.0, 2.0, 3.0]
    assert [third["params"]["scheme"], fourth["params"]["scheme"]] == ["int4", "int4"]


def test_places_and_marks(project: Project) -> None:
    """A test in a class has its class in the full name, and the mark benchmark its group."""
    project.write(
        "test_speed.py",
        """
        import pytest

        class TestSpeed:
            @pytest.mark.benchmark(group="mine")
            def test_it(self, compare_speed):
                compare_speed("batch 1", 0.5)
        """,
    )
    [benchmark] = project.saved()
    assert benchmark["fullname"] == "test_speed.py::TestSpeed::test_it[batch 1]"
    assert benchmark["group"] == "mine"
    assert benchmark["param"] is None
    assert benchmark["params"] == {"workload": "batch 1"}


def test_table(project: Project) -> None:
    """The terminal's table is grouped, sorted and named as for any benchmark."""
    project.write("test_speed.py", TWO_WORKLOADS)
    result = project.run("--benchmark-columns=min,rounds", "--benchmark-time-unit=s")
    result.assert_outcomes(passed=2, warnings=0)
    result.stdout.fnmatch_lines(
        [
            "* benchmark: 4 tests *",
            "test_is_faster[[]int?[]][[]batch 1[]] *0.2500 (1.0) * 3",
            "test_is_faster[[]int?[]][[]batch 64[]] *1.0000 (4.00) * 3",
        ]
    )
    result = project.run(
        "--benchmark-group-by=param:workload", "--benchmark-sort=name", "--benchmark-name=short"
    )
    result.stdout.fnmatch_lines(
        [
            "* benchmark 'workload=batch 1': 2 tests *",
            "is_faster[[]int4[]][[]batch 1[]] *",
            "is_faster[[]int8[]][[]batch 1[]] *",
            "* benchmark 'workload=batch 64': 2 tests *",
        ]
    )


def test_comparison_with_an_earlier_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """--benchmark-autosave keeps a run, and --benchmark-compare-fail finds the slower one."""
    project.write("test_speed.py", TWO_WORKLOADS)
    storage = "--benchmark-storage=file://./kept"
    assert project.run("--benchmark-autosave", storage).ret == 0
    [kept] = (project.path / "kept").rglob("*.json")
    assert "data" not in json.loads(kept.read_text("utf-8"))["benchmarks"][0]["stats"]
    words = (storage, "--benchmark-compare", "--benchmark-compare-fail=mean:5%")
    result = project.run(*words)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["test_is_faster[[]int?[]][[]batch 1[]] (0001_*", "test_is_faster[[]int?[]]*(NOW) *"]
    )
    monkeypatch.setenv("SLOWER", "1.2")
    result = project.run_apart("--benchmark-save=slow", *words)
    assert result.ret == 1
    result.stderr.fnmatch_lines(
        ["*Performance has regressed:", "*[[]batch 64[]] (0001_* - Field 'mean' has failed *"]
    )
    assert len(list((project.path / "kept").rglob("0002_slow.json"))) == 1
    result = project.pytester.run(
        *(sys.executable, "-m", "pytest_benchmark"), *("--storage=file://./kept", "compare")
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*: 8 tests *", "*[[]batch 1[]] (0002_slow)*"])


@pytest.mark.parametrize(
    ("option", "ran", "skipped", "published"),
    [
        ("--benchmark-enable", 7, 0, 5),
        ("--benchmark-only", 4, 3, 4),
        ("--benchmark-skip", 3, 4, 0),
        ("--benchmark-disable", 7, 0, 0),
    ],
)
def test_options_that_choose(
    option: str, ran: int, skipped: int, published: int, project: Project
) -> None:
    """Our tests are chosen as benchmarks are, and none of them sets up its fixture."""
    project.write("test_plain.py", "def test_a(): pass\ndef test_b(tmp_path): pass\n")
    project.write(
        "test_speed.py",
        """
        import pytest

        @pytest.mark.parametrize("scheme", ["int8", "int4"])
        def test_is_faster(scheme, compare_speed, request):
            assert "benchmark" not in request.fixturenames
            assert compare_speed("batch 1", 0.25) is None

        def test_alone(compare_speed, request):
            assert "benchmark" not in request.fixturenames
            assert compare_speed("batch 1", 0.25) is None

        def test_beside_a_benchmark(compare_speed, benchmark):
            assert compare_speed("batch 1", 0.25) is None
            benchmark.pedantic(int)

        def test_unseen_at_collection(request):
            assert request.getfixturevalue("compare_speed")("batch 1", 0.25) is None
        """,
    )
    result = project.run(option, "--benchmark-json=out.json", "-W", "ignore:Not saving")
    assert result.ret == 0
    result.assert_outcomes(passed=ran, skipped=skipped, warnings=0)
    target = project.path / "out.json"
    text = target.read_text("utf-8") if target.exists() else ""
    names = [benchmark["name"] for benchmark in json.loads(text)["benchmarks"]] if text else []
    assert len([name for name in names if name.endswith("[batch 1]")]) == published
    assert ("test_beside_a_benchmark" in names) == (published > 0)


def test_other_plugins_may_add_fixtures(project: Project) -> None:
    """What another plugin adds to a test's fixtures meanwhile stays there."""
    project.write(
        "conftest.py",
        CONFTEST
        + """
class Other:
    def pytest_collection_modifyitems(self, items):
        for item in items:
            item.fixturenames.append("slower")

def pytest_configure(config):
    config.pluginmanager.register(Other())
""",
    )
    project.write(
        "test_speed.py",
        """
        def test_is_faster(compare_speed, request):
            assert request.fixturenames[-1] == "slower"
            assert "slower" in request.node.funcargs
            assert compare_speed("batch 1", 0.25) is None
        """,
    )
    project.run("--benchmark-only").assert_outcomes(passed=1, warnings=0)


def test_without_pytest_benchmark(project: Project) -> None:
    """Where it is blocked, tests run as ever and nothing is published or said."""
    project.write("test_speed.py", TWO_WORKLOADS)
    result = project.run("-p", "no:benchmark", "-rP")
    result.assert_outcomes(passed=2, warnings=0)
    result.stdout.no_fnmatch_line("*NOTE*")
    result.stdout.no_fnmatch_line("*benchmark:*")
    assert not (project.path / ".benchmarks").exists()


def test_on_workers(project: Project) -> None:
    """Under xdist, which disables benchmarks, nothing is published and nobody warns."""
    project.write("test_speed.py", TWO_WORKLOADS)
    # As errors, the warnings of a worker would be lost.
    words = ("-n2", "-W", "default")
    result = project.run_apart(*words, "--benchmark-json=out.json", "-rP")
    assert result.ret == 0
    result.assert_outcomes(passed=2, warnings=0)
    result.stdout.no_fnmatch_line("*NOTE*")
    result.stdout.no_fnmatch_line("*benchmark:*tests*")
    assert "Benchmark" not in result.stderr.str()
    result = project.run_apart(*words, "--benchmark-skip")
    result.assert_outcomes(skipped=2, warnings=0)


def test_failed_tests_publish_as_benchmarks_do(project: Project) -> None:
    """Rounds that were run count, also when the test then fails; broken ones do not."""
    project.write(
        "test_speed.py",
        """
        def test_theirs_fails_afterwards(benchmark):
            benchmark.pedantic(int, rounds=2)
            assert False

        def test_theirs_cannot_run(benchmark):
            benchmark.pedantic(int, args=["no number"], rounds=2)

        def test_ours_fails_afterwards(compare_speed):
            compare_speed("batch 1", 0.25)
            assert False

        def test_ours_cannot_run(compare_speed):
            raise RuntimeError("engine failed")
        """,
    )
    names = [benchmark["name"] for benchmark in project.saved(failed=4)]
    assert names == ["test_theirs_fails_afterwards", "test_ours_fails_afterwards[batch 1]"]


def test_equal_names_are_numbered(project: Project) -> None:
    """Runs are compared by name, so that no two benchmarks of a run have the same."""
    project.write(
        "test_speed.py",
        """
        def test_it(compare_speed):
            for seconds in (0.25, 0.5, 0.75):
                assert compare_speed("batch 1", seconds) is None
        """,
    )
    fastest = {benchmark["name"]: benchmark["stats"]["min"] for benchmark in project.saved()}
    assert fastest == {
        "test_it[batch 1]": 0.25,
        "test_it[batch 1 #2]": 0.5,
        "test_it[batch 1 #3]": 0.75,
    }


def test_values_that_json_lacks(project: Project) -> None:
    """NaN and infinities become null, at any depth."""
    project.write(
        "test_speed.py",
        """
        from math import inf, nan

        def test_it(compare_speed):
            more = {"a": [inf, 1.5], "b": None}
            assert compare_speed("batch 1", 0.25, tpot=nan, more=more) is None
        """,
    )
    [benchmark] = project.saved()
    assert benchmark["extra_info"] == {"tpot": None, "more": {"a": [None, 1.5], "b": None}}


def test_rounds_that_are_none(project: Project) -> None:
    """No rounds, or such that took no time, are told and not published."""
    project.write(
        "test_speed.py",
        """
        import pytest

        @pytest.mark.parametrize("seconds", [[], [0.5, 0.0], [0.5, float("nan")], [-1.0]])
        def test_it(compare_speed, seconds):
            assert ": nothing was published: no round" in compare_speed("batch 1", *seconds)
        """,
    )
    result = project.run()
    result.assert_outcomes(passed=4, warnings=0)
    result.stdout.no_fnmatch_line("*benchmark:*tests*")


CHANGED_INSIDES = """
import pytest
import pytest_benchmark
from pytest_benchmark import stats

def no_rounds(self, duration): pass
def other_unit(self, duration): self.stats.update(duration * 1e9)
def other_dict(self, include_data=True, flat=False): return {"rounds": []}

CHANGES = {
    "no Metadata": lambda patch, session: patch.delattr(stats, "Metadata"),
    "arguments": lambda patch, session: patch.setattr(stats, "Metadata", lambda fixture: fixture),
    "reads more": lambda patch, session: patch.setattr(
        stats.Metadata, "has_error", property(lambda self: self.fixture.something)
    ),
    "no rounds": lambda patch, session: patch.setattr(stats.Metadata, "update", no_rounds),
    "other unit": lambda patch, session: patch.setattr(stats.Metadata, "update", other_unit),
    "other dict": lambda patch, session: patch.setattr(stats.Metadata, "as_dict", other_dict),
    "no list": lambda patch, session: patch.delattr(session, "benchmarks"),
    "other list": lambda patch, session: patch.setattr(session, "benchmarks", [("name", 1)]),
    "other switches": lambda patch, session: [
        patch.delattr(session, name) for name in ("benchmarks", "disabled", "skip")
    ],
}

@pytest.mark.parametrize("change", CHANGES)
def test_it(change, compare_speed, monkeypatch, request):
    session = request.config.pluginmanager.get_plugin("pytest-benchmark")
    monkeypatch.setattr(pytest_benchmark, "__version__", "99.0")
    CHANGES[change](monkeypatch, session)
    notes = {compare_speed("batch 1", 0.25), compare_speed("batch 64", 0.5)}
    monkeypatch.undo()
    assert session.benchmarks == []
    [note] = notes
    print(change, note)
    assert note.startswith("pytest-benchmark 99.0 is not understood (")
    assert note.endswith("); nothing was published")
"""


def test_changed_insides(project: Project) -> None:
    """Whatever changes inside pytest-benchmark: one line says so, and the test passes."""
    project.write("test_speed.py", CHANGED_INSIDES)
    result = project.run("-rP")
    assert result.ret == 0
    result.assert_outcomes(passed=9, warnings=0)
    result.stdout.fnmatch_lines(
        ["other unit * (ValueError: it keeps other rounds than it was given); nothing*"]
    )
