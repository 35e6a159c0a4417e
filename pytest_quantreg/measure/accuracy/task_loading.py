"""Finds a task by its name, the user's own files first, and loads it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core.codes import TaskCode
from ...core.engine import Say
from ...core.errors import QuantregError, Refusal
from ...core.facts import Quoted
from .groups import TaskGroup, first_of, read_group
from .task_files import broken_files, declares, files_declaring, mentioned_outside

NEAREST = 5


class TaskLibrary:
    """The task files of a session: each folder is indexed once, and only when needed.

    lm-eval's own 14,000 files take 6 to 12 seconds to index. A task of theirs is
    therefore looked up by its line ``task: NAME`` (a fraction of a second) and only
    its folder is indexed; the whole index is made for names that are not found so.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._managers: dict[tuple[str, ...] | None, Any] = {}
        self._homes: dict[tuple[str, tuple[str, ...]], Any] = {}

    def load(self, name: str, include_paths: tuple[str, ...]) -> Any:
        """The lm-eval task object called ``name``.

        Raises a Refusal for unknown names (with the nearest ones), groups and tags
        (with their subtasks), tasks that run code or need pictures or sound, and for
        files and data that cannot be read.
        """
        manager = self._manager_with(name, include_paths)
        entry = manager.task_index[name]
        self._refuse_several(name, entry, include_paths, manager)
        _refuse_unsafe(name, entry.cfg or {})
        task = _load_task(manager, name)
        if getattr(task, "UNSAFE_CODE", False):
            raise _runs_code(name)
        if getattr(task, "MULTIMODAL", False):
            raise _needs_media(name)
        return task

    def group(self, name: str, include_paths: tuple[str, ...]) -> TaskGroup | None:
        """The group called ``name``, None for a single task; loads no data.

        Raises a Refusal for unknown names, for tags, and for groups that `read_group`
        refuses.
        """
        manager = self._manager_with(name, include_paths)
        entry = manager.task_index[name]
        if entry.kind.name != "GROUP":
            self._refuse_several(name, entry, include_paths, manager)
            return None

        def find(member: str) -> Any:
            return self._member(member, include_paths, manager).task_index[member]

        def expand(tag: str) -> Sequence[str]:
            return sorted(self._tagged(tag, include_paths, manager))

        return read_group(name, entry.cfg or {}, find, expand)

    def _refuse_several(
        self, name: str, entry: Any, include_paths: tuple[str, ...], manager: Any
    ) -> None:
        kind = entry.kind.name
        if kind not in ("GROUP", "TAG"):
            return
        if kind == "TAG":
            members = sorted(self._tagged(name, include_paths, manager))
        else:
            members = _members((entry.cfg or {}).get("task"))
        raise Refusal(TaskCode.SEVERAL_TASKS, name=name, kind=kind.lower(), tasks=first_of(members))

    def _member(self, name: str, include_paths: tuple[str, ...], nearby: Any) -> Any:
        """The manager that knows a member of a group which ``nearby`` knows."""
        user_manager = self._user_manager(include_paths)
        managers = [
            manager
            for manager in (user_manager, nearby)
            if manager is not None and name in manager.task_index
        ]
        home = managers[0] if managers else self._manager_with(name, include_paths)
        # Loading it later then needs no search: mmlu has 57 tasks.
        self._homes[name, include_paths] = home
        return home

    def _tagged(self, tag: str, include_paths: tuple[str, ...], nearby: Any) -> set[str]:
        home = self._member(tag, include_paths, nearby)
        complete = (self._user_manager(include_paths), self._managers.get(None))
        if home not in complete and mentioned_outside(tag, home.include_path):
            # Tasks in other folders may carry the tag too.
            home = self._full_manager()
        return set(home.task_index[tag].tags)

    def _manager_with(self, name: str, include_paths: tuple[str, ...]) -> Any:
        if (home := self._homes.get((name, include_paths))) is not None:
            return home
        user_manager = self._user_manager(include_paths)
        if user_manager is not None and name in user_manager.task_index:
            return user_manager
        broken = broken_files(include_paths)
        for path, cause in broken:
            if path.stem == name or declares(path, name):
                raise Refusal(
                    TaskCode.TASK_FILE_UNREADABLE,
                    task=name,
                    file=path.name,
                    cause=Quoted(cause),
                    path=str(path),
                )
        manager = self._shipped_manager(name, user_manager)
        if manager is None:
            raise self._unknown_task(name, user_manager, [path for path, _ in broken])
        return manager

    def _user_manager(self, include_paths: tuple[str, ...]) -> Any | None:
        if not include_paths:
            return None
        for folder in include_paths:
            if not Path(folder).is_dir():
                raise Refusal(TaskCode.NO_SUCH_TASK_FOLDER, folder=str(folder))
        return self._manager(include_paths)

    def _shipped_manager(self, name: str, user_manager: Any | None) -> Any | None:
        for path in files_declaring(name):
            manager = self._manager((str(path.parent),))
            if name in manager.task_index:
                return manager
        if user_manager is not None and difflib.get_close_matches(
            name, user_manager.all_tasks, cutoff=0.8
        ):
            return None  # a slip of the pen is not worth ten seconds
        manager = self._full_manager()
        return manager if name in manager.task_index else None

    def _full_manager(self) -> Any:
        if None not in self._managers:
            self._say("looking through all tasks that come with lm-eval, about 10 seconds")
        return self._manager(None)

    def _manager(self, folders: tuple[str, ...] | None) -> Any:
        if folders not in self._managers:
            from lm_eval.tasks import TaskManager

            self._managers[folders] = (
                TaskManager()
                if folders is None
                else TaskManager(include_path=list(folders), include_defaults=False)
            )
        return self._managers[folders]

    def _unknown_task(self, name: str, user_manager: Any | None, broken: list[Path]) -> Refusal:
        user_tasks = list(user_manager.all_tasks) if user_manager is not None else []
        near = difflib.get_close_matches(name, user_tasks, NEAREST, cutoff=0.5)
        near = near or difflib.get_close_matches(name, self._full_manager().all_tasks, NEAREST)
        return Refusal(
            TaskCode.NO_SUCH_TASK,
            task=name,
            nearest=tuple(near),
            yours=first_of(user_tasks),
            option=None if user_tasks else "--quant-include-path",
            unreadable=tuple(map(str, broken)),
        )


def cause_of(error: BaseException) -> Quoted:
    """The kind of an exception and the first line that it says."""
    text = str(error).strip().splitlines()
    kind = type(error).__name__
    return Quoted(f"{kind}: {text[0].strip()}" if text else kind)


def _load_task(manager: Any, name: str) -> Any:
    try:
        return manager.load([name])["tasks"][name]
    except QuantregError:
        raise
    except ImportError as error:
        raise Refusal(TaskCode.TASK_NEEDS_MODULE, task=name, cause=cause_of(error)) from error
    except Exception as error:
        # The task's code, the libraries under it and the network can raise anything.
        if isinstance(error, IndexError) and "size 0" in str(error):
            raise no_items(name) from error
        raise _not_loaded(name, error) from error


def no_items(name: str) -> Refusal:
    """The refusal of a task without a single item."""
    return Refusal(TaskCode.TASK_WITHOUT_ITEMS, task=name)


def _not_loaded(name: str, error: BaseException) -> Refusal:
    cause = cause_of(error)
    if isinstance(error, FileNotFoundError):
        return Refusal(TaskCode.TASK_FILES_NOT_FOUND, task=name, cause=cause)
    if isinstance(error, ConnectionError):
        return Refusal(TaskCode.TASK_DATA_OUT_OF_REACH, task=name, cause=cause)
    if isinstance(error, KeyError):
        return Refusal(TaskCode.TASK_FIELD_NOT_FOUND, task=name, cause=cause)
    return Refusal(TaskCode.TASK_NOT_LOADED, task=name, cause=cause)


def _members(tasks: Any) -> list[str]:
    entries = tasks if isinstance(tasks, list) else [tasks]
    return [
        str(entry.get("task") or entry.get("group")) if isinstance(entry, dict) else str(entry)
        for entry in entries
    ]


def _refuse_unsafe(name: str, config: dict[str, Any]) -> None:
    # From the file, before anything of the task is imported: modules of such tasks
    # run code as soon as they are loaded.
    if config.get("unsafe_code"):
        raise _runs_code(name)
    if config.get("doc_to_image") or config.get("doc_to_audio"):
        raise _needs_media(name)


def _runs_code(name: str) -> Refusal:
    return Refusal(TaskCode.TASK_RUNS_MODEL_CODE, task=name)


def _needs_media(name: str) -> Refusal:
    return Refusal(TaskCode.TASK_NEEDS_MEDIA, task=name)
