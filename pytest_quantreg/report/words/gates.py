"""Words of gates and what they compare."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import GateCode
from ...core.facts import Fact
from . import comparability
from .template import Lines, Table, Templates

_MORE_ITEMS = "compare more items (--quant-limit, limit=), or gate another task"
_NAME_MODEL = "name it: --quant-model=ORG/NAME or --quant-model=FOLDER"
_OWN_ITEMS = "pool tasks with items of their own"
_RERUN = "if this is a rerun of the baseline on purpose: ini key quant_allow_rerun = true"
_WARN = 'allow it and have it said: ini key quant_effective = "warn"'


def _unfed(facts: Mapping[str, Fact]) -> Lines:
    did = "measured {tasks}" if facts["tasks"] else "measured nothing"
    call = "compare_accuracy({task!r})" if facts["task"] else "compare_accuracy(TASK)"
    return (
        f"the test {did}, so {{gate}} judged nothing",
        f"call {call} in the body of the test, or take the marker off it",
    )


def too_few_items(more: str, undetected: str) -> Templates:
    """Of a gate that could see too little: ``more`` says how more items are compared.

    ``undetected`` is the option or ini key of the loss that may stay undetected.
    """
    return lambda facts: (_too_little_seen(facts), *_where_more_items_are(facts, more, undetected))


def _too_little_seen(facts: Mapping[str, Fact]) -> str:
    visible = "nothing"
    if facts["detectable"] is not None:
        visible = (
            "only a ratio of {detectable:.3f} or above"
            if facts["perplexity"]
            else "only a retention of {detectable:.3f} or below"
        )
    return (
        f"too few items for {{gate}} on {{task}}: {{n:,}} item{{n:s}} would show, 4 times in 5, "
        f"{visible}"
    )


def _where_more_items_are(facts: Mapping[str, Fact], more: str, undetected: str) -> tuple[str, ...]:
    shows = "a ratio of {wanted:.3f}" if facts["perplexity"] else "{wanted:g}"
    if facts["more"]:
        enough = f"about {{needed:,}} items would show {shows}, and the task has {{total:,}}"
        if facts["needed"] is None:
            enough = "{n:,} item{n:s} of the task's {total:,} were compared"
        return (f"{enough}: {more}",)
    wanting = " (about {needed:,} would)" if facts["needed"] is not None else ""
    looser = "allow a larger ratio" if facts["perplexity"] else "lower the minimum"
    return (
        f"the task has {{total:,}} item{{total:s}}, too few to show {shows}{wanting}",
        f"gate a task with more items, {looser}, or allow a larger undetected loss "
        f"({undetected}, now {{max_undetected:g}})",
    )


def no_score_to_judge(list_it: str, name_other: str) -> Templates:
    """Of a metric that no gate can judge: how it is listed all the same, and another named."""
    return lambda facts: (
        "{gate} cannot judge {metric} of {task}: it has no score of 0 or more for each item",
        f"{list_it}, or {name_other}: {{others}}" if facts["others"] else list_it,
    )


def _share_of_perplexity(facts: Mapping[str, Fact]) -> Lines:
    other = ", or name one with scores: metric={other!r}" if facts["other"] else ""
    return (
        "{gate} does not judge {metric} of {task}: a share of a perplexity says little",
        f"bound its rise with max_perplexity_ratio, e.g. 1.02{other}",
    )


def _replaced(facts: Mapping[str, Fact]) -> Lines:
    shared = " on {shared:,} shared items" if facts["shared"] is not None else ""
    counts = "{lost:,} lost, {won:,} won, " if facts["lost"] is not None else ""
    bounds = ""
    if facts["low"] is not None and facts["high"] is not None:
        bounds = ", {low:.3f}-{high:.3f}"
    return (
        f"{{task}}: {{before:.3f}} -> {{after:.3f}}{shared} "
        f"({counts}retention {{retention:.3f}}{bounds})"
    )


def _which_model(facts: Mapping[str, Fact]) -> Lines:
    have = "holds {stored}" if facts["stored"] else "is empty"
    return (f"which model is the baseline? {{store}}/ {have}", _NAME_MODEL)


def _cache_only_from_files(facts: Mapping[str, Fact]) -> Lines:
    holds = "{holds}" if facts["holds"] else "nothing quantized"
    return (
        "{engine} quantizes the KV cache only where the checkpoint asks for it, and this one holds "
        f"{holds}"
    )


def _no_kernel(facts: Mapping[str, Fact]) -> Lines:
    return (
        "{engine} {version} has no kernel for {scheme} on {device}: {why}",
        "known from: {source}",
        "{engine} runs here: {runs}" if facts["runs"] else "{engine} runs none here",
        "gate it on the device and with the engine that it will be served by; "
        "`quantreg hardware` lists what runs where",
    )


def _needs_packages(facts: Mapping[str, Fact]) -> Lines:
    packages = facts["packages"]
    assert isinstance(packages, tuple)
    those = "that is" if len(packages) == 1 else "those are"
    return (
        f"{{engine}} needs {{packages:and}} for {{subject}}, and {those} not installed",
        "pip install {install}",
    )


WORDS: Table = {
    GateCode.UNFED: _unfed,
    GateCode.NO_PERPLEXITY_TO_JUDGE: (
        "{gate} judges perplexities, and {task} has none",
        "say what its scores must keep with min_retention, or take the marker off",
    ),
    GateCode.SHARE_OF_PERPLEXITY: _share_of_perplexity,
    GateCode.NO_SCORE_TO_JUDGE: no_score_to_judge(
        "take the marker off this test to have it measured and listed", "name a metric= that has"
    ),
    GateCode.REGRESSION_WITHOUT_RETENTION: (
        "{gate} judges {metric} of {task}, and no min_retention does: what is lost in steps from "
        "one accepted run to the next would never be seen",
        "add min_retention for the same task and metric, e.g. min_retention(0.98)",
    ),
    GateCode.GATE_ADDED_LATE: (
        "{gate} was added while the test ran, and what was accepted had not been looked up",
        "put the marker on the test, its class or its module",
    ),
    GateCode.TOO_FEW_ITEMS_TO_SEE: too_few_items(
        "raise --quant-limit or limit=", "quant_max_undetected"
    ),
    GateCode.TOO_FEW_ITEMS_TO_FAIL: (
        "too few items for {gate} on {task}: {n:,} item{n:s} would show nothing, even if all of "
        "them were lost",
        _MORE_ITEMS,
    ),
    GateCode.SPARSE: ("{gate} on {task}: {cause}", _MORE_ITEMS),
    GateCode.FEW_UNITS: (
        "{units} independent items or groups of items are too few to judge, {least} are the least"
    ),
    GateCode.FEW_RIGHT: (
        "the baseline's scores add up to {right:.3g} right answers, too few to judge: {least} are "
        "the least"
    ),
    GateCode.HEAVY_ITEMS: (
        "too much weighs on tasks of which the baseline has hardly anything right: one of their "
        "items is more than {share:g} % of the whole"
    ),
    GateCode.POOL_CUT_SHORT: (
        "the test ended before its end, after {tasks}, and a pool of a part of its tasks would be "
        "another gate",
        "let the test measure all of its tasks",
    ),
    GateCode.POOL_INCOMPLETE: (
        "{missing} was refused, and a pool without it would be another gate",
        "mend what was refused first",
    ),
    GateCode.UNNAMED_MEASUREMENT: "a measurement",
    GateCode.TASK_TWICE_IN_POOL: (
        "{task} was measured more than once in this test, and a pool counts each task once",
        "measure each way of asking it in a test of its own",
    ),
    GateCode.SCORES_OUTWEIGH: (
        "{metric} of {task} cannot be pooled with others: its scores are not between 0 and 1, and "
        "would outweigh theirs",
        "measure it in a test of its own, or name a metric= that every task has",
    ),
    GateCode.NOT_POOLABLE: (
        "{metric} of {task} cannot be pooled with others: it {cause}",
        "measure each task in a call of its own, or name a metric= that all of them have",
    ),
    GateCode.NO_SCORE_TO_AVERAGE: "has no score per item that could be averaged",
    GateCode.LOWER_IS_BETTER: "is better when it is lower",
    GateCode.SCORES_BELOW_ZERO: "has scores below 0",
    GateCode.TASKS_SHARE_ITEMS: (
        "{task} and {other} hold the same items ({shared:,} of {n:,}), which would count twice in "
        "a pool",
        _OWN_ITEMS,
    ),
    GateCode.ITEMS_IN_SEVERAL_TASKS: (
        "the same items are in up to {most} of the {tasks} tasks, and would count as often in a "
        "pool",
        _OWN_ITEMS,
    ),
    GateCode.AT_CHANCE: (
        "the baseline is not above chance on {name}: {accuracy:.3f} on {n:,} item{n:s}, and "
        "guessing scores {chance:.3f}",
        "nothing can be lost on this task; check its prompts, few-shot examples and chat template, "
        "or gate another task",
    ),
    GateCode.DILUTED_BY_CHANCE: (
        "the baseline is not above chance on {idle} of the {tasks} tasks of {name}, {share:.0f} % "
        "of its weight: {named}",
        "nothing can be lost there, and what the others lose is diluted; gate those",
    ),
    GateCode.GUESSING_MEETS_GATE: (
        "guessing would meet this gate on {name}: {minimum:g} of the baseline's {accuracy:.3f} is "
        "{required:.3f}, and guessing scores {chance:.3f}",
        "raise the minimum or gate a task the baseline is better at",
    ),
    GateCode.FAR_ABOVE_BASELINE: (
        "the quantized model is far above its baseline on {task}: {quantized:.4g} against "
        "{baseline:.4g}, with {confidence:g} % confidence at least {surely:.3f} times as good",
        "quantizing does not teach: the baseline was asked differently or answered badly; "
        "look at its prompts, chat template and answers, and record it again",
        "if it was trained further, set the ini key quant_allow_better = true",
    ),
    GateCode.ANSWERS_OF_BASELINE: (
        "{cause}, and nobody could read the weights",
        "is the full-precision model served in place of the quantized one?",
        _RERUN,
    ),
    GateCode.LIKELIHOODS_EQUAL: (
        "{same:,} of {n:,} items of {task} have the baseline's log-likelihood to the last bit"
    ),
    GateCode.ANSWERS_EQUAL: "{answers} to {task} are the baseline's to the letter",
    GateCode.LONG_ANSWERS: "all {count:,} generated answers of {tokens} tokens or more",
    GateCode.EMPTY_BASELINE: (
        "{baseline:.1f} % of the baseline's answers are empty, {quantized:.1f} % of the quantized "
        "model's",
        "what it did not answer cannot be lost; look for time-outs and errors where the baseline "
        "was measured, and measure it again",
    ),
    GateCode.MORE_SUCH_ANSWERS: (
        "{quantized:.1f} % of the quantized model's answers are {kind}, {baseline:.1f} % of the "
        "baseline's",
        "the scores say little then; look at its answers, stop strings, max_gen_toks and chat "
        "template",
    ),
    GateCode.ANSWERS_NOT_COUNTED: (
        "{task}: {kind} answers were not counted when the baseline was recorded, and are not "
        "compared"
    ),
    GateCode.COMPARED_WITH_ITSELF: (
        "the model tested as {scheme} is compared with itself: {cause}",
        "record the baseline from the full-precision model: --quant-model=REF --quant-update=all",
        _RERUN,
    ),
    GateCode.WEIGHTS_OF_BASELINE: "its weights are those of the baseline, to the bit",
    GateCode.BASELINE_OF_QUANTIZED_MODEL: ("the baseline itself was recorded from a {runs} model"),
    GateCode.JUDGED_AS_RERUN: "{cause}: judged as a rerun (quant_allow_rerun)",
    GateCode.WHICH_BASELINE_MODEL: _which_model,
    GateCode.BASELINE_MODEL_NOT_NAMED: (
        "the full-precision {model} is needed here, and --quant-model does not name it",
        _NAME_MODEL,
    ),
    GateCode.BASELINE_RUNS_QUANTIZED: (
        "the baseline runs as {runs}, and its files hold {holds}",
        "an engine argument quantizes it; give that to the other model alone: "
        "--quant-backend-arg=quantized:KEY=VALUE",
        "and record the baseline of full precision: --quant-update=all",
    ),
    GateCode.TOO_FEW_ITEMS_STORED: (
        "the baseline holds {stored:,} items and {asked:,} are asked for",
        "record the rest: {record}",
        "or compare fewer: --quant-limit={stored}",
    ),
    GateCode.BASELINE_WITHOUT_TOKENS: (
        "the baseline of {task} was recorded without counting tokens, and its perplexity is judged "
        "per token",
        "record it again: {record}",
    ),
    GateCode.TOKENS_COUNTED_UNLIKE: (
        "the tokens of {task} were not counted for both models alike",
        "record the baseline again: {record}",
    ),
    GateCode.UNSCORED_BY_CANDIDATE: (
        "{metric} of {task} is missing for some of the quantized model's answers",
        "the task's scoring returns no such metric for them; let it return 0 instead",
    ),
    GateCode.UNSCORED_BY_BASELINE: (
        "{metric} of {task} is missing for some of the baseline's answers",
        "the task's scoring returns no such metric for them; let it return 0 instead",
    ),
    GateCode.BASELINE_REPLACED: _replaced,
    GateCode.NOT_PAIRED_WITH_REPLACED: "{task}: not paired with what it replaces: {cause}",
    GateCode.REPLACED_UNREADABLE: "that could not be read",
    GateCode.NO_ITEM_AS_BEFORE: "no item asks the same as before",
    GateCode.HAD_NO_SUCH_METRIC: "it had no {metric}, but {others}",
    GateCode.METRIC_WITHOUT_SCORES: "{metric} has no score per item",
    GateCode.NOTHING_ACCEPTED: (
        "no run of {key} was ever accepted, so there is nothing to regress from",
        "type the same command with --quant-accept: where it is green, its runs become the "
        "reference",
    ),
    GateCode.NOTHING_ACCEPTED_YET: "nothing was accepted yet",
    GateCode.SUBJECT_IS: "{subject} is {result}",
    GateCode.NO_GATE_JUDGED: "no gate was judged for {scheme}",
    GateCode.NO_TASK_JUDGED: (
        "no task of {scheme} was judged against its baseline by a min_retention that promises "
        "anything (detect or certify)"
    ),
    GateCode.NOTHING_TO_TEST: (
        "--quant-scheme={scheme:name}: nothing to test",
        "give the checkpoint: --quant-checkpoint={scheme:name}=REF",
        "or the model to quantize on the fly: --quant-model=REF",
    ),
    GateCode.WRITTEN_OUT_SCHEME: (
        "scheme {scheme}: its weights or activations are written out, and an engine makes built-in "
        "schemes alone",
        "give a checkpoint: --quant-checkpoint={scheme:name}=REF",
    ),
    GateCode.SECOND_CHECKPOINT: (
        "--quant-checkpoint={given}: a second checkpoint of {scheme}, beside {other}",
        "test them one after the other",
    ),
    GateCode.SCHEME_NOT_NAMED: (
        "--quant-checkpoint={given} without --quant-scheme: {cause}",
        "{cause:help}",
        "name the scheme: --quant-scheme=NAME (`quantreg schemes` lists them)",
    ),
    GateCode.CHECKPOINT_ELSEWHERE: (
        "it is not on this machine, so its files cannot say its scheme"
    ),
    GateCode.FILES_NAME_NO_SCHEME: "its files name no scheme: nothing in it is quantized",
    GateCode.SCHEME_WITHOUT_NAME: "its files hold {stored}, which is no scheme known by name",
    GateCode.CHECKPOINT_NOT_QUANTIZED: (
        "nothing in the checkpoint is quantized, and it is tested as {scheme}",
        "its files say nothing of a quantization; was the full-precision model given? "
        "Check --quant-checkpoint",
    ),
    GateCode.OTHER_SCHEME_STORED: (
        "the checkpoint is {stored}, and it is tested as {tested}",
        "test it as what it is (--quant-scheme={stored:name}) or give the right checkpoint",
    ),
    GateCode.NAMELESS_SCHEME_STORED: (
        "the checkpoint is {stored}, and it is tested as {tested}",
        "give the right checkpoint, or define a scheme that says this: `quantreg schemes --help`",
    ),
    GateCode.CACHE_NOT_TESTABLE: (
        "{scheme} cannot be tested here: {cause}",
        "use an engine that quantizes it, such as --quant-backend=vllm",
        "or test it without: {without}",
    ),
    GateCode.NO_FP8_CACHE: "{engine} is not known to run an FP8 KV cache",
    GateCode.CACHE_ONLY_FROM_FILES: _cache_only_from_files,
    GateCode.SCHEME_WITHOUT_KERNEL: _no_kernel,
    GateCode.KERNEL_NEEDS_PACKAGES: _needs_packages,
    GateCode.FILES_OF_METHOD: "files of the method {method}",
    GateCode.NOTHING_QUANTIZED_LOADED: (
        "nothing in the loaded weights is quantized, and the model is tested as {scheme}",
        "all {layers} linear layers hold {weights}; the engine ignored the quantization or the "
        "checkpoint has none",
    ),
    GateCode.CACHE_RUNS_OTHERWISE: (
        "the engine runs it as {runs}, not as {claimed}",
        "test it as what runs: {without}",
        _WARN,
    ),
    GateCode.ENGINE_RUNS_UNLIKE_CLAIM: ("the engine runs it as {runs}, not as {claimed}", _WARN),
    GateCode.RUNS_UNLIKE_CLAIM: "runs as {runs}, not as {claimed}",
    GateCode.CLAIM_NOT_READ_BACK: (
        "what runs could not be read back: {claimed} is a claim",
        _WARN,
    ),
    GateCode.WITH_KV_CACHE: "{scheme}, KV cache {cache}",
    GateCode.WEIGHTS_AND_ACTIVATIONS: "{weights} weights, {activations} activations",
    GateCode.IN_FEW_LAYERS: "{scheme} in only {quantized} of {layers} linear layers",
    GateCode.OTHER_WHEN_LOADED_AGAIN: (
        "{model} {scheme} was loaded again and is another now: it runs as {runs} on {device}, and "
        "ran as {ran} on {earlier_device} before",
        "something changed meanwhile; run the tests anew",
    ),
    **comparability.WORDS,
}
