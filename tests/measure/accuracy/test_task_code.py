"""A task's own code: what it imports from the project decides scores and is digested."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api import metrics, registry
from lm_eval.api.task import ConfigurableTask
from lm_eval.filters.selection import TakeFirstFilter

from pytest_quantreg.core.records.run import AccuracyRequest, Protocol
from pytest_quantreg.measure import PreparedTask, TaskLibrary, prepare
from pytest_quantreg.measure.accuracy.task_code import imports_of, is_project, packages_of

from ..conftest import LOADER

REPOSITORY = Path(__file__).parents[3]

TASK = """
task: graded
custom_dataset: !function loader.load
dataset_kwargs: {data_files: {test: items.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "{{q}}"
doc_to_target: "{{a}}"
generation_kwargs: {until: ["\\n"]}
process_results: !function grade.grade
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""

GRADE = """
def grade(doc, results):
    from quantreg_helpers.rules import right
    return {"exact_match": float(right(doc["a"], results[0]))}
"""

HELPERS = {
    "__init__.py": "",
    "rules.py": "from .words import same\nimport numpy\n\ndef right(a, b): return same(a, b)\n",
    "words.py": "from quantreg_helpers import rules\n\ndef same(a, b): return a == b\n",
    "unused.py": "x = 1\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A task whose scoring imports a package of the project, at another place than the task."""
    tasks, helpers = tmp_path / "tasks", tmp_path / "src" / "quantreg_helpers"
    tasks.mkdir()
    helpers.mkdir(parents=True)
    for name, text in HELPERS.items():
        (helpers / name).write_text(text)
    (tasks / "loader.py").write_text(LOADER)
    (tasks / "grade.py").write_text(GRADE)
    (tasks / "graded.yaml").write_text(TASK)
    rows = [{"q": f"question {i}", "a": str(i)} for i in range(20)]
    (tasks / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.syspath_prepend(tmp_path / "src")
    yield tmp_path
    for name in [module for module in sys.modules if module.startswith("quantreg_helpers")]:
        del sys.modules[name]


def protocol(project: Path) -> Protocol:
    """How the task is put to a model now, files read anew."""
    request = AccuracyRequest("graded", include_paths=(str(project / "tasks"),))
    made: PreparedTask = prepare(
        request,
        chat=lambda template: None,
        template_digest=None,
        library=TaskLibrary(lambda text: None),
    )
    return made.protocol


@pytest.mark.parametrize("file", ["rules.py", "words.py", "__init__.py"])
def test_a_helper_of_the_scoring_could_be_made_lenient_unseen(project: Path, file: str) -> None:
    """What scoring imports, at whatever depth, is part of the digest and named beside it."""
    before = protocol(project)
    path = project / "src" / "quantreg_helpers" / file
    path.write_text(f"{path.read_text()}\ndef same(a, b): return True\n")
    after = protocol(project)
    assert before.config_digest != after.config_digest
    names = {*before.code_files, *after.code_files}
    changed = [name for name in names if before.code_files[name] != after.code_files[name]]
    assert changed == [f"quantreg_helpers/{file}"]
    assert before.code_packages == {"numpy": __import__("numpy").__version__}


def test_modules_that_scoring_does_not_import_change_nothing(project: Path) -> None:
    """Other modules of the same package have no part in it, and neither has the folder's place."""
    before = protocol(project)
    (project / "src" / "quantreg_helpers" / "unused.py").write_text("x = 2\n")
    assert protocol(project) == before
    moved = shutil.copytree(project / "tasks", project / "elsewhere" / "tasks")
    assert protocol(moved.parent).config_digest == before.config_digest


def test_stored_baselines_of_tasks_without_helpers_stay_comparable() -> None:
    """The digests of the example tasks are those that were recorded before."""
    stored = REPOSITORY / "baselines/tiny-llama/bf16/transformers"
    for name in ("recall", "sum"):
        request = AccuracyRequest(name, include_paths=(str(REPOSITORY / "examples/tasks"),))
        made = prepare(
            request,
            chat=lambda template: None,
            template_digest=None,
            library=TaskLibrary(lambda text: None),
        )
        document = json.loads((stored / f"{name}.0shot.json").read_text())
        assert made.protocol.config_digest == document["protocol"]["config_digest"]


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("metric", "metric: exact_match", "metric: quantreg_lenient"),
        ("filter", "metadata:", "filter_list: [{name: own, filter: [{function: quantreg_own}]}]\n"),
    ],
)
def test_metrics_and_filters_registered_by_the_project_were_no_part_of_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, kind: str, old: str, new: str
) -> None:
    """lm-eval finds them by a name; their modules count like those of functions."""
    module = project / "src" / "quantreg_helpers" / "registered.py"
    module.write_text(
        "from lm_eval.api.filter import Filter\n"
        "def lenient(items): return 1.0\n"
        "class Own(Filter):\n"
        "    def apply(self, resps, docs): return resps\n"
    )
    registered = __import__("quantreg_helpers.registered", fromlist=["Own"])
    for place, name, function in (
        (registry.metric_registry, "quantreg_lenient", registered.lenient),
        (registry.filter_registry, "quantreg_own", registered.Own),
    ):
        monkeypatch.setitem(place._objs, name, function)
    task = project / "tasks" / "graded.yaml"
    text = task.read_text().replace("process_results: !function grade.grade\n", "")
    task.write_text(text.replace(old, new + ("metadata:" if kind == "filter" else "")))
    before = protocol(project)
    assert "registered.py" in before.code_files
    module.write_text(module.read_text().replace("1.0", "2.0"))
    assert protocol(project).config_digest != before.config_digest


@functools.wraps(metrics.exact_match_fn)
def always(*_args: Any, **_more: Any) -> dict[str, float]:
    """Stand for what a conftest puts around the scoring of lm-eval."""
    return {"exact_match": 1.0}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (ConfigurableTask, "process_results"),
        (TakeFirstFilter, "apply"),
        (metrics, "exact_match_hf_evaluate"),
        (registry.metric_registry._objs, "exact_match"),
    ],
)
def test_scoring_of_lm_eval_was_replaced_by_a_conftest_unseen(
    project: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    """A method, a function that a metric calls, or a metric, though it be named as before."""
    task = project / "tasks" / "graded.yaml"
    task.write_text(task.read_text().replace("process_results: !function grade.grade\n", ""))
    before = protocol(project)
    assert before.code_files == {}
    if isinstance(place, dict):
        monkeypatch.setitem(place, name, always)
    else:
        monkeypatch.setattr(place, name, always)
    after = protocol(project)
    assert before.config_digest != after.config_digest
    assert Path(__file__).name in after.code_files


def test_a_decorator_of_another_folder_scored_unseen(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """functools.wraps makes it look like what it wraps; its own file counts too."""
    lenient = project / "other" / "quantreg_lenient.py"
    lenient.parent.mkdir()
    lenient.write_text(
        "import functools\n"
        "def lenient(f):\n"
        "    @functools.wraps(f)\n"
        "    def around(doc, results): return f(doc, results)\n"
        "    return around\n"
    )
    monkeypatch.syspath_prepend(lenient.parent)
    (project / "tasks" / "grade.py").write_text(
        "from quantreg_lenient import lenient\n"
        "from quantreg_helpers.rules import right\n"
        "grade = lenient(right)\n"
    )
    before = protocol(project)
    del sys.modules["quantreg_lenient"]
    lenient.write_text(lenient.read_text() + "# another\n")
    assert protocol(project).config_digest != before.config_digest


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("OK = Path(__file__).with_name('right.json').read_text()", "right.json"),
        ("exec(Path(__file__).with_name('rules.inc').read_text())", "rules.inc"),
        ("N = 'quantreg_helpers.rules'\nimportlib.import_module(N)", "words.py"),
    ],
)
def test_what_scoring_reads_or_imports_by_a_text_changed_unseen(
    project: Path, line: str, file: str
) -> None:
    """Files beside the source that it names count, and modules whose names are computed."""
    path = project / "tasks" / file
    path = path if path.suffix != ".py" else project / "src" / "quantreg_helpers" / file
    if path.suffix != ".py":
        path.write_text("1")
    (project / "tasks" / "grade.py").write_text(
        "import importlib\nfrom pathlib import Path\n"
        f"{line}\ndef grade(doc, results): return {{'exact_match': 1.0}}\n"
    )
    before = protocol(project)
    path.write_text(f"{path.read_text()}\n")
    assert protocol(project).config_digest != before.config_digest


@pytest.mark.parametrize(
    "line",
    [
        "import quantreg_helpers.words",
        "import quantreg_helpers.words as w",
        "from quantreg_helpers import words",
        "from quantreg_helpers.words import same",
        "from quantreg_helpers.words import *",
        "def f():\n    from quantreg_helpers import words",
        "import importlib\nimportlib.import_module('quantreg_helpers.words')",
        "__import__('quantreg_helpers.words')",
        "try:\n    import nowhere\nexcept ImportError:\n    import quantreg_helpers.words",
        "if False:\n    import quantreg_helpers.words",
        "from quantreg_helpers import __init__, words",
    ],
)
def test_every_way_to_import_is_followed(project: Path, line: str) -> None:
    """Helpers are found by the source, without being imported."""
    path = project / "tasks" / "it.py"
    path.write_text(line)
    assert {"quantreg_helpers/__init__.py", "quantreg_helpers/words.py"} <= {
        *imports_of(str(path.with_suffix("")), path).helpers
    }
    assert "quantreg_helpers.words" not in sys.modules


@pytest.mark.parametrize(
    ("module", "line", "helper"),
    [
        ("quantreg_helpers.deep.a", "from . import b", "quantreg_helpers/deep/b.py"),
        ("quantreg_helpers.deep.a", "from .b import x", "quantreg_helpers/deep/b.py"),
        ("quantreg_helpers.deep.a", "from .. import words", "quantreg_helpers/words.py"),
        ("quantreg_helpers.deep.a", "from ..words import same", "quantreg_helpers/words.py"),
        ("quantreg_helpers.deep.a", "from ....beyond import x", None),
        ("quantreg_helpers.deep.a", "import (", None),
    ],
)
def test_relative_imports_are_followed(
    project: Path, module: str, line: str, helper: str | None
) -> None:
    """Dots are counted from the package of the module; a package need have no __init__.py."""
    folder = project / "src" / "quantreg_helpers" / "deep"
    folder.mkdir()
    (folder / "a.py").write_text(line)
    (folder / "b.py").write_text("")
    helpers = imports_of(module, folder / "a.py").helpers
    assert helper in helpers if helper else helpers == {}


def test_packages_from_outside_have_their_version(project: Path) -> None:
    """Named as they are installed; neither Python's own, nor lm-eval's, nor what they import."""
    path = project / "tasks" / "it.py"
    path.write_text("import json, re\nimport sklearn.metrics\nfrom lm_eval.api import metrics\n")
    imports = imports_of("it", path)
    assert list(imports.packages) == ["scikit-learn"]
    assert imports.helpers == {}
    assert not is_project(Path(json.__file__))
    assert not is_project(Path(metrics.__file__))


@pytest.mark.parametrize(
    ("function", "packages"),
    [
        (metrics.chrf, ["sacrebleu"]),
        (metrics.matthews_corrcoef, ["scikit-learn"]),
        (metrics.mean, []),
        (None, []),
    ],
)
def test_metrics_of_lm_eval_name_what_they_use(
    function: Callable[..., object] | None, packages: list[str]
) -> None:
    """Its metrics share one module, of which each uses a part."""
    assert list(packages_of(function)) == packages
