"""Words of result files of other programs."""

from __future__ import annotations

from ...core.codes import ImportCode
from .template import Table

_KINDS = "lm-eval's output, runs of quantreg, vllm bench or GuideLLM files"

_NAME_ONE_MODEL = "name the folder of one of them; lm-eval makes one per model"
_NAME_ONE = "name the folder of one of them"
_NAME_FILTERS = "keep the results_*.json of the same evaluation beside it, which names the filters"
_IMPORT_AGAIN = "import the files again: quantreg import PATH"

_FILES: Table = {
    ImportCode.UNUSABLE_FILE: ("{file} {cause}", "{cause:help}"),
    ImportCode.NO_SUCH_PATH: "{path} does not exist",
    ImportCode.RESULTS_UNREADABLE: "{file} cannot be read: {reason}",
    ImportCode.UNLIKE_RESULTS: f"{{file}} does not look like {_KINDS}: {{error}}",
    ImportCode.HOLDS_NO_RESULTS: ("{label} holds no results", f"known are {_KINDS}"),
    ImportCode.HOLDS_OTHER_FILES: (
        "{label} holds no results (there is {other})",
        f"known are {_KINDS}",
    ),
    ImportCode.SEVERAL_KINDS: (
        "{label} holds files of several kinds",
        f"name a folder with one kind: {_KINDS}",
    ),
    ImportCode.TOO_MANY_FILES: (
        "{folder} holds more than {most:,} JSON files",
        "name the folder of the results",
    ),
    ImportCode.FILE_ABSENT: "does not exist",
    ImportCode.NOT_A_FILE: "is not a file",
    ImportCode.NOT_A_LIST_OF_ROWS: "is not a list of rows",
    ImportCode.ROW_NOT_AN_OBJECT: "is no object",
    ImportCode.LINE_TOO_LONG: "has a line of more than {most:,} bytes",
    ImportCode.ITEMS_OF_A_RUN: ("holds the items of a run", "name the .json beside it"),
    ImportCode.NOT_RESULTS: f"is none of {_KINDS}",
}

_RESULTS: Table = {
    ImportCode.NO_RESULTS: "holds no results",
    ImportCode.RESULTS_NOT_AN_OBJECT: "has results of {task!r} that are no object",
    ImportCode.NOT_A_NAME: "has a name that no task, filter or metric has: {name!r}",
    ImportCode.NO_FINITE_METRIC: "holds no metric with a finite value",
    ImportCode.PART_OF_ITSELF: "makes {task} a part of itself, through {group}",
    ImportCode.RESULTS_ON_NO_ITEMS: "has results of {task} on 0 items: nothing was measured",
    ImportCode.MORE_ITEMS_THAN_IN_TASK: "has {items:,} items of {task}, which has {total:,}",
    ImportCode.NEGATIVE_STDERR: "has a negative standard error of {metric} of {task}",
    ImportCode.RESULTS_OF_SEVERAL_MODELS: (
        "{label} holds results of {count} models: {names}",
        _NAME_ONE_MODEL,
    ),
    ImportCode.RESULTS_OF_SEVERAL_ENGINES: (
        "{label} holds results of {count} engines: {names}",
        _NAME_ONE_MODEL,
    ),
    ImportCode.RESULTS_OF_SEVERAL_WEIGHTS: (
        "{label} holds results of {model} with different weights: {weights:;}",
        "put those of each into a folder of its own",
    ),
    ImportCode.WEIGHTS_LOADED_WITH: "{arguments}",
    ImportCode.WEIGHTS_AS_THEY_ARE: "as they are",
    ImportCode.MODELS_IN_SEVERAL_FOLDERS: (
        "{label} holds results on {task} of two models called {model}, which lay in different "
        "folders",
        _NAME_ONE_MODEL,
    ),
}

_LOGS: Table = {
    ImportCode.NO_DOC_ID: "has no doc_id in row {row:,}",
    ImportCode.ASKED_IN_TWO_WAYS: "asks doc {doc} in two ways",
    ImportCode.LOG_WITHOUT_ITEMS: "holds no items: nothing was measured",
    ImportCode.UNNAMED_FILTERS: (
        "holds rows of the same item under several filters and does not name them",
        _NAME_FILTERS,
    ),
    ImportCode.MORE_ROWS_THAN_FILTERS: (
        "holds more rows of an item than its task has filters",
        _NAME_FILTERS,
    ),
    ImportCode.NO_SCORE: "has no score for doc {doc}",
    ImportCode.LOGGED_TWICE: (
        "holds doc {doc} twice under {filter}",
        "lm-eval appends to a log that is already there: evaluate into a fresh folder",
    ),
    ImportCode.SCORE_TOO_LARGE: "has {metric} = {score:g} for doc {doc}: no score is so large",
    ImportCode.SCORES_OF_SOME_ITEMS: (
        "has {metric} under {filter} for some items and not for doc {doc}",
        "evaluate again: a part of the log is missing",
    ),
    ImportCode.NOT_NAMED_AS_A_LOG: ("is not named as lm-eval names a sample log: samples_TASK_..."),
    ImportCode.NO_TASK_OF_RESULTS: "is no log of a task in {results}",
    ImportCode.SECOND_LOG: (
        "is a second log of {task}",
        "name one of them, or put their results beside",
    ),
    ImportCode.OTHER_ITEM_COUNT: (
        "holds {items:,} items of {task}, and its results are about {declared:,}",
        "they belong to different evaluations, or the log was cut off",
    ),
    ImportCode.OTHER_MEAN: (
        "gives {mean:.6g} as the mean of {metric} of {task}, its results {declared:.6g}",
        "they belong to different evaluations; keep those of one together",
    ),
    ImportCode.NO_METRIC_PER_ITEM: (
        "the sample log of {task} has no metric with a number for each of its items",
        "name the folder that holds the results file of the same evaluation too",
    ),
}

_SUSPICIONS: Table = {
    ImportCode.ITEMS_NOT_COUNTED: (
        "its file does not say how many items it is about (no n-samples, as in merged files)"
    ),
    ImportCode.PART_WITHOUT_FIGURE: "its file has no figure of {parts}, a part of it",
    ImportCode.THOUGHTS_SCORED: (
        "its chat template opens every answer with <think>, no think_end_token was given to cut "
        "the thoughts off, and no filter picks the answer out: thoughts and answer were scored "
        "as one text"
    ),
    ImportCode.CHOICES_TIED: (
        "all choices of {percent:.0f} % of the items have the same log-probability: the engine "
        "returned none, or sums in bfloat16 tie (lm-eval's hf model adds them up in float32 with "
        "softmax_dtype=float32)"
    ),
    ImportCode.NOTHING_QUANTIZED: (
        "nothing in its loaded weights was quantized, and it claims {scheme}"
    ),
}

_TIMINGS: Table = {
    ImportCode.NOT_TIMINGS: "is no file of timings",
    ImportCode.REQUESTS_FAILED: (
        "timed {requests:,} requests, of which {failed:,} failed and {answered:,} were answered",
        "look at the server's log and time it again",
    ),
    ImportCode.NO_REQUEST_TIMED: "timed no request",
    ImportCode.BENCHMARK_WITHOUT_METRICS: "holds a benchmark without metrics",
    ImportCode.UNUSABLE_TOKEN_COUNT: "has no usable number of tokens",
    ImportCode.UNUSABLE_FIGURE: "has no usable {figure}",
    ImportCode.NO_WHOLE_NUMBER: "has no whole number as its {field}",
    ImportCode.TIMINGS_OF_SEVERAL_MODELS: (
        "{label} holds timings of {count} models: {names}",
        _NAME_ONE,
    ),
    ImportCode.TIMINGS_OF_SEVERAL_PROGRAMS: (
        "{label} holds timings of {count} programs: {names}",
        _NAME_ONE,
    ),
    ImportCode.NO_TIMINGS: "{label} holds no timings",
}

_STORED: Table = {
    ImportCode.TWO_RUNS_OF_A_TASK: (
        "{label} holds two runs of {task}, asked in different ways",
        "name one of their files, such as {file}",
    ),
    ImportCode.RUNS_OF_SEVERAL: (
        "{label} holds runs of several models, schemes or engines: {owners:;}",
        "name the folder of one of them, such as STORE/MODEL/SCHEME/ENGINE",
    ),
    ImportCode.RUNS_OF_SEVERAL_WEIGHTS: (
        "{label} holds results of {model} with different weights",
        "import each into a folder of its own: quantreg import PATH --out FOLDER",
    ),
    ImportCode.SEVERAL_IMPORTS_OF_TIMINGS: (
        "{label} holds {imports} imports of timings",
        "name one of them, such as {folder}",
    ),
    ImportCode.IMPORT_INCOMPLETE: ("was imported, and {missing} is missing", _IMPORT_AGAIN),
    ImportCode.FIGURES_OF_OTHER_ITEMS: (
        "belongs to other items than those of {file}",
        _IMPORT_AGAIN,
    ),
    ImportCode.NO_RUN: ("{task}: {cause}", "{cause:help}"),
    ImportCode.NO_ITEM_SCORES: (
        "its items' scores are not there, and totals alone make no run",
        "evaluate with lm-eval's --log_samples; totals can be compared as they are",
    ),
    ImportCode.UNKNOWN_FEWSHOT: (
        "how many examples it was shown is not known",
        "keep the results_*.json of the same evaluation beside its sample log",
    ),
    ImportCode.UNKNOWN_DATE: "its file does not say when it was evaluated",
    ImportCode.ANOTHER_RUN_STORED: (
        "{file} holds another run of {task}",
        "import into another folder: --out FOLDER",
    ),
    ImportCode.OTHER_FIGURES_STORED: (
        "{file} holds other figures",
        "import into another folder: --out FOLDER; several files of one model at once",
    ),
    ImportCode.STORED_FIGURES_UNREADABLE: (
        "{file} {cause}",
        "delete it and import again, or import into another folder: --out FOLDER",
    ),
    ImportCode.FIGURES_TOO_LARGE: "has {bytes:,} bytes, and {most:,} are the most",
}

WORDS: Table = {**_FILES, **_RESULTS, **_LOGS, **_SUSPICIONS, **_TIMINGS, **_STORED}
