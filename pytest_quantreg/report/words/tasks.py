"""Words of tasks, their prompts and their metrics."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import TaskCode
from ...core.facts import Fact
from .template import Lines, Table

_NOT_LOADED = "task {task!r} cannot be loaded: {cause}"

_CORRECT = "correct its file"

_ONE_BY_ONE = "its tasks cannot be measured one by one as it measures them; name them yourself"

_SAME_METRICS = "the task's own scoring must return the same metrics for every answer"


def _unknown_direction(facts: Mapping[str, Fact]) -> Lines:
    value = "true (or false)" if facts["usual"] is None else str(facts["usual"]).lower()
    return (
        "the direction of {metric} of {task} is unknown, so no gate can judge it: a loss would "
        "read as a gain",
        f"add `higher_is_better: {value}`, without quotes, to the entry of {{name}} under "
        "metric_list in the task's YAML, then measure both models again",
        "or name another metric (metric= in a test, --metric of quantreg compare)",
    )


WORDS: Table = {
    TaskCode.NO_SUCH_TASK: (
        "no task is called {task!r}",
        "nearest: {nearest}",
        "in your task folders: {yours}",
        "{option} DIR adds a folder with task files of your own",
        "not readable: {unreadable}",
    ),
    TaskCode.NO_SUCH_TASK_FOLDER: (
        "the folder of task files {folder} does not exist",
        "give --quant-include-path an existing folder",
    ),
    TaskCode.SEVERAL_TASKS: (
        "{name!r} is a {kind} of tasks; one call measures one task",
        "its tasks: {tasks}; parametrize the test with them",
    ),
    TaskCode.AND_MORE: "{names} and {more} more",
    TaskCode.TASK_FILE_UNREADABLE: (
        "task {task!r}: its file {file} cannot be read: {cause}",
        "correct {path}",
    ),
    TaskCode.TASK_RUNS_MODEL_CODE: (
        "task {task!r} runs code that the model has written; such tasks are not supported",
        "evaluate it with lm_eval in a sandbox of your own",
    ),
    TaskCode.TASK_NEEDS_MEDIA: (
        "task {task!r} needs pictures or sound; only text tasks are supported",
        "choose a task with text alone",
    ),
    TaskCode.TASK_NEEDS_MODULE: (
        "task {task!r} needs a module that is not installed: {cause}",
        "install it, or check the !function lines of the task's file",
    ),
    TaskCode.TASK_FILES_NOT_FOUND: (
        _NOT_LOADED,
        "relative data_files are looked for in the folder where pytest was started:",
        "write absolute paths, or load them with custom_dataset",
    ),
    TaskCode.TASK_DATA_OUT_OF_REACH: (
        _NOT_LOADED,
        "the data set is not on this machine and the hub cannot be reached:",
        "run once with network, and without HF_HUB_OFFLINE and HF_DATASETS_OFFLINE",
    ),
    TaskCode.TASK_FIELD_NOT_FOUND: (
        _NOT_LOADED,
        "the splits and fields that the task's file names must be in its data",
    ),
    TaskCode.TASK_NOT_LOADED: (
        _NOT_LOADED,
        "it must first load with lm-eval itself: lm_eval run --tasks NAME --limit 1",
    ),
    TaskCode.TASK_WITHOUT_ITEMS: (
        "task {task!r} has no items",
        "check the data file and the test_split or validation_split of the task's file",
    ),
    TaskCode.PROMPTS_NOT_BUILT: (
        "the prompts of task {task!r} cannot be built: {cause}",
        "with {shots} few-shot examples; check the task's file and data",
    ),
    TaskCode.GROUP_WITHOUT_TASKS: (
        "the group {group!r} names no tasks",
        "check the lines under task: in its file",
    ),
    TaskCode.GROUP_CONTAINS_ITSELF: ("the group {group!r} contains itself ({member!r})", _CORRECT),
    TaskCode.GROUP_CHANGES_TASKS: (
        "the group {group!r} changes {changed} of its tasks (at {member})",
        _ONE_BY_ONE,
    ),
    TaskCode.GROUP_RENAMES_TASKS: (
        "the group {group!r} changes the names of its tasks (at {member})",
        _ONE_BY_ONE,
    ),
    TaskCode.GROUP_AVERAGE_UNREADABLE: (
        "the group {group!r} has an average that cannot be read: {cause}",
        _CORRECT,
    ),
    TaskCode.GROUP_WITHOUT_AVERAGE: (
        "the group {group!r} has no average of its own (aggregate_metric_list)",
        "its tasks: {tasks}; parametrize the test with them",
    ),
    TaskCode.NOT_MEASURABLE_WITH: (
        "task {task!r} cannot be measured with {given}: {cause}",
        "leave {option} out of compare_accuracy({task!r}, ...)",
    ),
    TaskCode.NEGATIVE_SHOTS: "must be 0 or more",
    TaskCode.ROLLING_WITHOUT_PROMPTS: "a rolling task has no prompts",
    TaskCode.SHOTS_FIXED_AT_ZERO: (
        "its own file sets 0, which lm-eval never overrides; change it there"
    ),
    TaskCode.ROLLING_RAW_TEXT: "a rolling task scores raw text",
    TaskCode.NOTHING_GENERATED: "nothing is generated, it is {output_type}",
    TaskCode.REPEATS_ALIKE: "a repeat gives the same log-probabilities",
    TaskCode.NO_REPEATS: "must be 1 or more",
    TaskCode.GREEDY_REPEATS: (
        "greedy decoding repeats itself; sample with"
        " gen_kwargs={{'do_sample': True, 'temperature': 0.7}}"
    ),
    TaskCode.SAMPLING_WITHOUT_TEMPERATURE: "sampling needs a temperature above 0",
    TaskCode.NO_CHAT_TEMPLATE: "the tokenizer has no chat template",
    TaskCode.NO_NAMED_CHAT_TEMPLATE: "the tokenizer has no chat template {name!r}",
    TaskCode.GEN_KWARGS_NOT_TAKEN: (
        "task {task!r} does not take the gen_kwargs [{ignored!r}]",
        "it generates with {generates_with}",
    ),
    TaskCode.TASK_WITHOUT_METRICS: "task {task!r} names no metric in its file",
    TaskCode.NO_SUCH_METRIC: ("task {task!r} has no metric {metric!r}", "its metrics: {metrics}"),
    TaskCode.UNKNOWN_DIRECTION: _unknown_direction,
    TaskCode.OTHER_METRIC_COMPARED: (
        "{task}: the direction of {first} is unknown (no higher_is_better in the task's YAML), so "
        "{metric} is compared instead"
    ),
    TaskCode.SCORES_NOT_FINITE: (
        "{metric} is not a finite number on {bad} of {items} items (beyond {largest:g} counts as "
        "infinite)",
        "such scores cannot be compared; look at the model's outputs on these items",
    ),
    TaskCode.METRIC_TOO_LARGE: "{metric} is too large for a number",
    TaskCode.NO_ITEMS_ASKED_FOR: (
        "{items} items of task {task!r} are asked for",
        "--quant-limit and limit= must be 1 or more",
    ),
    TaskCode.TASK_DOES_NOT_FIT: (
        "task {task!r} does not fit in memory even with batch size 1",
        "use a larger or a free device, fewer few-shot examples, or device_map",
    ),
    TaskCode.CHOICES_ALL_EQUAL: (
        "task {task!r}: all choices have the same log-probability in {ties} of {items} items",
        "the engine does not return log-probabilities of prompts, or the model is broken",
    ),
    TaskCode.LOGPROB_NOT_A_NUMBER: (
        "task {task!r}: log-probability is not a number (NaN) on {bad} of {items} items: {shown}",
        "the model's weights or scales are broken, or its dtype overflows",
    ),
    TaskCode.ENGINE_FAILED_ON_TASK: (
        "task {task!r}: the engine failed: {cause}",
        "the cause follows with --tb=long; the same model must run with lm_eval alone",
    ),
    TaskCode.RERUN_OF_OTHER_ITEMS: (
        "a further run of task {task!r} has other items",
        _SAME_METRICS,
    ),
    TaskCode.RERUN_ASKED_OTHERWISE: (
        "a further run of task {task!r} was put to the model otherwise, or lacks a metric",
        _SAME_METRICS,
    ),
}
