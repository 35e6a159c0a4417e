"""Words of the command line `quantreg` and its pages."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import CommandCode
from ...core.facts import Fact
from ..number_format import floor_3
from .template import Lines, Table

_WRITES = "--quant-report=PATH.json writes one"
_CHOOSE = "choose the tasks that count with --task"
_AGAIN = "evaluate it again as it is meant, or leave it out: --task names the others"

_OPTIONS: Table = {
    CommandCode.BAD_FIGURE: "{option} {value}: {cause}",
    CommandCode.OTHER_FIGURE_MEANT: "{option} {value}: {cause}; did you mean {meant:g}?",
    CommandCode.ABOVE_0_BELOW_1: "allowed is a share above 0 and below 1",
    CommandCode.ABOVE_HALF_BELOW_1: "allowed is a share above 0.5 and below 1 (one-sided)",
    CommandCode.FROM_0_BELOW_1: "allowed is a share at least 0 and below 1",
    CommandCode.WHOLE_UP_TO: "allowed is a whole number from 1 to {most:,}",
    CommandCode.MORE_FLIPS_THAN_POSSIBLE: (
        "--flips {flips:g}: at a baseline accuracy of {accuracy:g} a lossless model can change at "
        "most {most:g} of the answers, half of them lost and half won"
    ),
    CommandCode.MORE_ITEMS_THAN_AVAILABLE: (
        "--items {items}: the tasks have {available} each, as --available says"
    ),
    CommandCode.CONFIDENCE_OUT_OF_RANGE: "--confidence {confidence:g} must be from .5 to below 1",
    CommandCode.UNDETECTED_OUT_OF_RANGE: "--max-undetected {loss:g} must be between 0 and 1",
    CommandCode.NO_KNOWN_GPU: "--gpu={name}: no known accelerator; nearest: {near}",
    CommandCode.NO_NEAR_GPU: (
        "--gpu={name}: no known accelerator; write it like H100, RTX 4090 or MI300X"
    ),
    CommandCode.SEVERAL_GPUS: "--gpu={name} can mean several: {devices}",
    CommandCode.MANY_GPUS: "--gpu={name} can mean several: {devices} and others",
    CommandCode.NO_MAKINGS_OF_BACKEND: "--backend={backend}: known are {known}",
    CommandCode.BACKEND_MISSPELLED: (
        "--backend={backend}: known are {known}; did you mean {close}?"
    ),
}

_REPORTS: Table = {
    CommandCode.NO_SUCH_STORE: (
        "{folder}: no such folder",
        "name the store that holds the baselines: --baselines DIR",
    ),
    CommandCode.REASON_TOO_LONG: "--why: {most:,} characters are the most",
    CommandCode.NOT_GREEN: (
        "{report}: not accepted: {cause}",
        "only runs of a green session become a reference",
    ),
    CommandCode.SESSION_INCOMPLETE: "{reasons:;}",
    CommandCode.NOTHING_WAS_JUDGED: "no gate was judged",
    CommandCode.SESSION_ENDED_AS: "the session is {conclusion}",
    CommandCode.NOT_ACCEPTABLE: "{report}: not accepted: {reasons:;}",
    CommandCode.GATES_UNDECIDED: (
        "{report}: not accepted: undecided: {gates}",
        "accept it all the same with --force; the history will say so",
    ),
    CommandCode.RUN_OF_REPORT_UNUSABLE: (
        "{report}: its run of {task} {cause}",
        "{cause:help}",
    ),
    CommandCode.NOT_THE_RUN_JUDGED: ("{report}: its run of {task} is not the one that was judged"),
    CommandCode.NO_SUCH_REPORT: "{report}: no such file",
    CommandCode.UNUSABLE_REPORT: ("{report} {cause}", "{cause:help}"),
    CommandCode.NOT_A_JSON_REPORT: ("{report} {cause}", "{cause:help}", _WRITES),
    CommandCode.NO_SESSION: ("is no report of a session", _WRITES),
    CommandCode.OTHER_CONCLUSION: (
        "contradicts itself: it says {said}, and its outcomes say {follows}"
    ),
    CommandCode.JUDGING_FAILED: (
        "judging failed: {kind}: {error} ({file}, line {line})",
        "{lines:each}",
        "this is a fault of pytest-quantreg; please report it with the test and this line",
    ),
    CommandCode.ALREADY_RUNS: (
        "{label} holds runs of quantreg already, of {model} at {scheme}",
        "compare them as they are with quantreg compare, or copy the whole folder",
    ),
}

_PAIRS: Table = {
    CommandCode.TOO_FEW_PATHS: "name two files or folders at least: the baseline and a candidate",
    CommandCode.SCORES_AND_TIMINGS: (
        "{scores} holds scores and {timings} timings: compare like with like"
    ),
    CommandCode.NOT_FOR_TIMINGS: (
        "--min-retention, --task and --metric are for scores; these are timings"
    ),
    CommandCode.NO_COMMON_WORKLOAD: "{baseline} and {candidate} ran no workload in common",
    CommandCode.NEEDS_MINIMUM: "{option} judges, and needs --min-retention",
    CommandCode.NAMED_TWICE: (
        "{path} is named twice: nothing can be lost against itself",
        "name the baseline first, then what was made of it",
    ),
    CommandCode.TASK_NOT_EVALUATED: ("{label} has no task {task!r}", "its tasks: {tasks}"),
    CommandCode.NO_COMMON_TASK: (
        "{baseline} and {candidate} have no task in common",
        "{baseline}: {baseline_tasks}",
        "{candidate}: {candidate_tasks}",
    ),
    CommandCode.OTHER_PARTS: "{task} is made of other tasks on each side",
    CommandCode.PARTS_MISSING: (
        "the {side}'s {task} is made of {parts} tasks, and {missing} is not at hand",
        "name the folder that holds all of them",
    ),
    CommandCode.NOT_ASKED_ALIKE: (
        "{task} was not asked alike: {first}",
        "{others:each}",
        "{ways_out:each}",
    ),
    CommandCode.FIELD_DIFFERS: "{field}: baseline {baseline}, candidate {candidate} ({why})",
    CommandCode.LOG_CUT_OFF: (
        "{task}: the candidate's log ends after {items:,} of the baseline's {expected:,} items, "
        "and nothing says that a limit was set",
        "keep the results_*.json of the evaluation beside it; a log that was cut off looks like "
        "this",
    ),
    CommandCode.NOT_THE_FIRST_ITEMS: (
        "{task}: the candidate has {items:,} of the baseline's {expected:,} items, and not the "
        "first of them: doc {doc} is missing",
        "items that are missing here and there may be those it failed on: evaluate it on all of "
        "them, or both with the same --limit",
    ),
    CommandCode.OTHER_DIRECTION: (
        "{metric} of {task} is {baseline} by the baseline's file, and {candidate} by the "
        "candidate's",
        "evaluate both models with the same task files, and keep each results_*.json beside its "
        "sample log: it says which way a metric is better",
    ),
    CommandCode.BETTER_WHEN_HIGHER: "better when higher",
    CommandCode.BETTER_WHEN_LOWER: "better when lower",
    CommandCode.OF_UNKNOWN_DIRECTION: "of unknown direction",
    CommandCode.METRIC_ABSENT: ("{task} has no metric {metric!r}", "its metrics: {metrics}"),
    CommandCode.CANDIDATE_LACKS_METRIC: (
        "the candidate's {task} has no metric {metric!r}",
        "its metrics: {metrics}",
    ),
}

_JUDGING: Table = {
    CommandCode.CANDIDATE_LACKS_TASK: (
        "{label} was not evaluated on {task}, which the baseline was",
        f"evaluate it there too, or {_CHOOSE}",
    ),
    CommandCode.TASK_WITHOUT_FIGURE: (
        "{label} lists {task} without a figure, so that nobody knows what was to be kept",
        f"evaluate it again, or {_CHOOSE}",
    ),
    CommandCode.PERPLEXITY_NOT_CERTIFIED: (
        "{metric} of {task} is a perplexity, of which no share can be certified",
        f"{_CHOOSE}; a perplexity is bounded by the marker max_perplexity_ratio",
    ),
    CommandCode.SCORE_AMBIGUOUS: (
        "which score of {task} counts is not known: its log is alone, or its first score has no "
        "value; there are {metrics}",
        "name one with --metric; results_*.json beside a log say which is the task's own",
    ),
    CommandCode.METRIC_NOT_JUDGED: "{metric} of {task} cannot be judged",
    CommandCode.NOTHING_TO_POOL: (
        "there is no task whose scores can be judged together",
        "name another metric with --metric, or leave --min-retention out",
    ),
    CommandCode.TOTALS_NOT_POOLED: (
        "the tasks cannot be pooled: one of them has no number of items, or no share of right "
        "answers",
        "choose tasks with --task, or evaluate with --log_samples",
    ),
}

_SUSPICIONS: Table = {
    CommandCode.SUSPECT: ("{cause}", _AGAIN),
    CommandCode.SUSPECT_OR_RERUN: (
        "{cause}",
        _AGAIN,
        "if this is a rerun of the baseline on purpose: --allow-rerun",
    ),
    CommandCode.SIDE_SUSPECT: "the {side}'s {task} is suspect: {cause}",
    CommandCode.SIDES_SWAPPED: (
        "{candidate} is {candidate_scheme}, not quantized, and would be judged by {baseline}, "
        "which is {baseline_scheme}",
        "name the baseline first and what was made of it after it",
    ),
    CommandCode.SAME_MODEL_NAMED: "{baseline} and {candidate} both name {model} as their model",
    CommandCode.SAME_MODEL_AND_ARGUMENTS: (
        "{cause}, loaded with the same arguments: nothing was quantized"
    ),
    CommandCode.CLAIM_WITHOUT_QUANTIZATION: (
        "{label} claims {scheme}, and its files name the baseline's own weights, {model}, with no "
        "argument that quantizes: nothing was quantized"
    ),
    CommandCode.SAME_WEIGHTS_ANSWERED: "{cause}: the same weights answered",
    CommandCode.SAME_LIKELIHOODS: (
        "all log-likelihoods of {task} are the baseline's to the last bit"
    ),
    CommandCode.SAME_RUN: "{task} is one and the same run on both sides",
    CommandCode.SAME_EVALUATION: (
        "{task} is one and the same evaluation on both sides, written at the same moment"
    ),
    CommandCode.SHARED_CACHE: (
        "no score of {task} changed, and both read their answers from one --use_cache, which "
        "knows questions and no models"
    ),
    CommandCode.IDENTICAL_CANDIDATES: (
        "{first} and {second} gave identical answers on {tasks}: they may be one model under two "
        "names"
    ),
}


def _part_keeps(facts: Mapping[str, Fact]) -> Lines:
    retention = facts["retention"]
    assert isinstance(retention, float)
    return f"{{task}} keeps {floor_3(retention)}"


def _losses_hidden(facts: Mapping[str, Fact]) -> Lines:
    more = facts["more"]
    assert isinstance(more, int)
    rest = " and {more} more" if more > 0 else ""
    return (
        f"{{label}}: {{group}} as a whole hides a loss below {{minimum:g}}: {{losses}}{rest}; "
        "gate such tasks with --task"
    )


def _intervals_of_totals(facts: Mapping[str, Fact]) -> Lines:
    narrowest, widest = (f"{facts[name]:.1f}" for name in ("narrowest", "widest"))
    times = narrowest if narrowest == widest else f"{narrowest} to {widest}"
    return (
        "intervals without lost and won are made of totals, as if both models had answered "
        f"different questions; with every item's score they would be about {times} times as wide "
        "if as many answers change as usual: evaluate with lm-eval's --log_samples and keep the "
        "samples_*.jsonl beside the results"
    )


_NOTES: Table = {
    CommandCode.NO_SCORE_CHANGED: (
        "{label}: no score of {task} changed: it cannot be told from the baseline"
    ),
    CommandCode.OTHER_METRIC_MOVES_AWAY: (
        "{label}: {metric} of {task} goes the other way, {baseline:.3f} -> {quantized:.3f}"
    ),
    CommandCode.PERPLEXITY_LISTED: (
        "{task}: {metric} is listed and not judged: a share of a perplexity says little; name "
        "another of its metrics with --metric"
    ),
    CommandCode.NOT_AVERAGED: (
        "scores of {tasks} cannot be averaged with others: each task is judged by itself, and none "
        "together"
    ),
    CommandCode.ONLY_ONE_SIDE_HAS: "only {label} has {tasks}",
    CommandCode.INTERVALS_OF_TOTALS: _intervals_of_totals,
    CommandCode.SEVERAL_CERTIFIED: (
        "{candidates} candidates under certify: {percent:g} % is promised for one that was chosen "
        "before; the best of several had as many chances to pass"
    ),
    CommandCode.PART_KEEPS: _part_keeps,
    CommandCode.LOSSES_HIDDEN_IN_GROUP: _losses_hidden,
}

WORDS: Table = {**_OPTIONS, **_REPORTS, **_PAIRS, **_JUDGING, **_SUSPICIONS, **_NOTES}
