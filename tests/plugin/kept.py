"""Results that inner pytest runs of one test process share, for they would all be the same."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core import stats
from pytest_quantreg.core.records.run import AccuracyRequest
from pytest_quantreg.core.stats import planning, pooled_planning
from pytest_quantreg.gating import engine_session
from pytest_quantreg.measure.accuracy.prepared import PreparedTask, prepare
from pytest_quantreg.testing import scripted

MOST_TASKS = 40
VARYING = frozenset({"PYTEST_CURRENT_TEST", "QUANTREG_CACHE_DIR", "HOME", "USERPROFILE"})
"""Environment variables that differ from test to test: pytester sets a home per test."""
PURE = [
    (planning, "table_chance"),
    (pooled_planning, "table_chance"),
    (stats, "detectable_retention"),
    (stats, "detection_power"),
    (stats, "pooled_detectable_retention"),
    (stats, "pooled_items_needed"),
    (scripted, "installed"),
]
"""Pure functions of numbers that take most of the time of judging, and installed versions."""


class Settings:
    """What runs left behind, by the files, arguments and environment they started with.

    A run that failed, or wrote the path of its folder into a file, is not kept: a copy would
    not be what the run leaves behind in another folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._results: dict[str, pytest.RunResult] = {}

    def of(
        self, path: Path, args: tuple[str, ...], run: Callable[..., pytest.RunResult]
    ) -> pytest.RunResult:
        """The result of ``run(*args)`` in ``path``, and its files: from a copy, if there is one."""
        before = _contents(path)
        key = _digest(before, (os.path.relpath(Path.cwd(), path), *args))
        if key in self._results:
            _restore(self._folder / key, path)
            return self._results[key]
        result = run(*args)
        after = _contents(path)
        changed = [text for name, text in after.items() if before.get(name) != text]
        if result.ret == 0 and not any(str(path).encode() in text for text in changed):
            shutil.copytree(path, self._folder / key, symlinks=True, ignore=_COMPILED)
            self._results[key] = result
        return result


class PreparedTasks:
    """Tasks with their prompts built, by the request and the contents of the task folder.

    Nothing writes to a prepared task. Tasks with a chat template, and with more code than
    the loader of `Suite`, which might import other files, are prepared each time.
    """

    def __init__(self) -> None:
        self._kept: dict[str, PreparedTask] = {}

    def of(
        self, request: AccuracyRequest, *, template_digest: str | None, **how: Any
    ) -> PreparedTask:
        """What `prepare` returns."""
        how = {**how, "template_digest": template_digest}
        files = {
            f"{at}/{name}": text
            for at, folder in enumerate(request.include_paths)
            for name, text in _contents(Path(folder)).items()
        }
        code = [name for name in files if name.endswith(".py")]
        if template_digest is not None or request.apply_chat_template or code != ["0/loader.py"]:
            return prepare(request, **how)
        key = _digest(files, (repr(replace(request, include_paths=())),))
        if key not in self._kept:
            prepared = prepare(request, **how)
            while len(self._kept) >= MOST_TASKS:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = prepared
        return self._kept[key]


@pytest.fixture(scope="session")
def _kept_results() -> Iterator[None]:
    """Lets all sessions of this process share prepared tasks and the results of pure functions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_session, "prepare", PreparedTasks().of)
        for module, name in PURE:
            patch.setattr(module, name, _shared(getattr(module, name)))
        yield


@pytest.fixture(scope="session")
def kept_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of the tests of this process."""
    return Settings(tmp_path_factory.mktemp("settings"))


def _shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, which keeps what it returned; lists may be arguments, too."""
    kept = cache(function)

    def call(*args: object, **words: object) -> Any:
        return kept(*(tuple(arg) if isinstance(arg, list) else arg for arg in args), **words)

    return call


_COMPILED = shutil.ignore_patterns("__pycache__")


def _contents(folder: Path) -> dict[str, bytes]:
    """Every file and folder below: its name, and its bytes or where it links to."""
    contents: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if "__pycache__" in path.parts:
            continue
        if path.is_symlink():
            contents[f"{name}@"] = os.readlink(path).encode()
        elif path.is_dir():
            contents[f"{name}/"] = b""
        else:
            contents[name] = path.read_bytes()
    return contents


def _digest(contents: dict[str, bytes], args: tuple[str, ...]) -> str:
    environment = sorted(item for item in os.environ.items() if item[0] not in VARYING)
    digest = hashlib.sha256(repr((args, environment)).encode())
    for name, text in contents.items():
        digest.update(repr((name, hashlib.sha256(text).digest())).encode())
    return digest.hexdigest()


def _restore(kept: Path, path: Path) -> None:
    present = _contents(kept)
    for name in _contents(path):
        if name not in present and not name.endswith("/"):
            (path / name.removesuffix("@")).unlink()
    shutil.copytree(kept, path, symlinks=True, dirs_exist_ok=True)
