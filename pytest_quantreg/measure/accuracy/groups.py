"""Groups of tasks: their leaves, and the weights with which lm-eval averages them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...core.codes import TaskCode
from ...core.errors import Refusal
from ...core.facts import Fact, Problem, Quoted

HARMLESS = {"task", "task_alias", "tag"}
"""What a group may say of a task without changing how it is measured."""

OWN = {"group", "group_alias", "task", "tag", "aggregate_metric_list", "metadata"}

Find: TypeAlias = Callable[[str], Any]
"""The index entry called so; raises Refusal when there is none."""

Expand: TypeAlias = Callable[[str], "Sequence[str]"]
"""The tasks that carry a tag, in lm-eval's order."""


@dataclass(frozen=True)
class Aggregate:
    """One average of a group. ``filters`` None means every filter that has the metric."""

    metric: str
    filters: tuple[str, ...] | None
    by_size: bool

    @property
    def name(self) -> str:
        """As `find_metric` takes it: ``acc``, or ``exact_match,get-answer``."""
        return self.metric if not self.filters else f"{self.metric},{self.filters[0]}"


@dataclass(frozen=True)
class TaskGroup:
    """A group as lm-eval 0.4.13 averages it: over all its leaves at once.

    Subgroups have no say in the average of the group above them: mmlu is the mean over
    57 tasks, not over four fields. ``counts`` holds how often each of ``subtasks`` is in
    the group; a task that two subgroups share counts twice there. ``aggregates`` has one
    entry at least.
    """

    name: str
    subtasks: tuple[str, ...]
    aggregates: tuple[Aggregate, ...]
    counts: tuple[int, ...]

    @property
    def metric(self) -> str:
        """The metric that the group's file averages first, as `find_metric` takes it."""
        return self.aggregates[0].name

    def weights(self, sizes: Sequence[int], metric: str | None = None) -> tuple[float, ...]:
        """The weight of each of ``subtasks`` in the group's average; they sum to 1.

        ``sizes`` are the numbers of documents that each was measured on. By size, a
        weight is n_i / sum(n), else 1 / number of tasks (lm_eval.api.metrics,
        aggregate_subtask_metrics). Averages of one group can differ in that: ``metric``
        names the one meant (``acc`` or ``acc,none``); one the group's file does not
        average is weighted as its first. Raises ValueError for sizes that are not one
        number above 0 for each.
        """
        if len(sizes) != len(self.subtasks) or any(size <= 0 for size in sizes):
            raise ValueError(f"{self.name} has {len(self.subtasks)} tasks; sizes are {sizes}")
        by_size = self._aggregate(metric).by_size
        shares = [
            count * (size if by_size else 1) for count, size in zip(self.counts, sizes, strict=True)
        ]
        return tuple(share / sum(shares) for share in shares)

    def _aggregate(self, metric: str | None) -> Aggregate:
        plain = (metric or "").partition(",")[0]
        fitting = (aggregate for aggregate in self.aggregates if plain in ("", aggregate.metric))
        return next(fitting, self.aggregates[0])


def read_group(name: str, config: Mapping[str, Any], find: Find, expand: Expand) -> TaskGroup:
    """The group that ``config`` describes; nothing of its tasks is loaded.

    Raises a Refusal for groups without an average of their own, and for those whose
    tasks, measured one by one, would not be the ones that lm-eval measures in the group.
    """
    leaves = _Reader(name, find, expand).leaves(name, config, ())
    if not leaves:
        raise Refusal(TaskCode.GROUP_WITHOUT_TASKS, group=name)
    subtasks = tuple(dict.fromkeys(leaves))
    return TaskGroup(
        name,
        subtasks,
        _aggregates(name, config, subtasks),
        tuple(leaves.count(leaf) for leaf in subtasks),
    )


class _Reader:
    """Walks the members of one group the way lm-eval's task factory does."""

    def __init__(self, name: str, find: Find, expand: Expand) -> None:
        self._name = name
        self._find = find
        self._expand = expand

    def leaves(self, group: str, config: Mapping[str, Any], above: tuple[str, ...]) -> list[str]:
        if group in above:
            raise Refusal(TaskCode.GROUP_CONTAINS_ITSELF, group=self._name, member=group)
        if changed := sorted(set(config) - OWN):
            raise self._changes_refusal(group, changed)
        members = config.get("task")
        # One child per name, as lm-eval keeps them: a later one takes the earlier's place.
        children: dict[str, list[str]] = {}
        for member in members if isinstance(members, list) else []:
            children.update(self._children(group, member, (*above, group)))
        return [leaf for leaves in children.values() for leaf in leaves]

    def _children(self, group: str, member: Any, above: tuple[str, ...]) -> dict[str, list[str]]:
        if isinstance(member, Mapping) and "group" in member:
            if "task" in member:
                inline = f"{group}::{member['group']}"
                return {inline: self.leaves(inline, member, above)}
            return self._leaves_of(str(member["group"]), above, set(member) - {"group"})
        if isinstance(member, Mapping):
            if "task" not in member:
                raise self._changes_refusal(group, sorted(map(str, member)))
            return self._leaves_of(str(member["task"]), above, set(member) - HARMLESS, alone=True)
        return self._leaves_of(str(member), above, set())

    def _leaves_of(
        self, name: str, above: tuple[str, ...], changed: set[str], *, alone: bool = False
    ) -> dict[str, list[str]]:
        """The leaves below a name. ``alone`` admits tasks only: lm-eval 0.4.13 gives all
        tasks of a group or tag one name when it stands under ``task:`` with settings."""
        entry = self._find(name)
        kind = entry.kind.name
        if changed:
            raise self._changes_refusal(name, sorted(changed))
        if alone and kind in ("GROUP", "TAG"):
            raise Refusal(TaskCode.GROUP_RENAMES_TASKS, group=self._name, member=name)
        if kind == "GROUP":
            return {name: self.leaves(name, entry.cfg or {}, above)}
        if kind == "TAG":
            return {task: [task] for task in self._expand(name)}
        return {name: [name]}

    def _changes_refusal(self, member: str, changed: Sequence[str]) -> Refusal:
        return Refusal(
            TaskCode.GROUP_CHANGES_TASKS,
            group=self._name,
            changed=tuple(changed),
            member=member,
        )


def _aggregates(
    name: str, config: Mapping[str, Any], subtasks: Sequence[str]
) -> tuple[Aggregate, ...]:
    from lm_eval.config.group import GroupConfig

    try:
        parsed = GroupConfig(group=name, aggregate_metric_list=config.get("aggregate_metric_list"))
    except (TypeError, ValueError) as error:
        cause = Quoted(str(error))
        raise Refusal(TaskCode.GROUP_AVERAGE_UNREADABLE, group=name, cause=cause) from error
    aggregates = tuple(
        Aggregate(
            entry.metric,
            None if entry.filter_list is None else tuple(entry.filter_list),
            bool(entry.weight_by_size),
        )
        for entry in parsed.aggregate_metric_list or ()
    )
    if not aggregates:
        raise Refusal(TaskCode.GROUP_WITHOUT_AVERAGE, group=name, tasks=first_of(subtasks))
    return aggregates


def first_of(names: Sequence[str], most: int = 12) -> Fact:
    """The first names, and how many more there are."""
    first, rest = tuple(names[:most]), len(names) - most
    return Problem(TaskCode.AND_MORE, {"names": first, "more": rest}) if rest > 0 else first
