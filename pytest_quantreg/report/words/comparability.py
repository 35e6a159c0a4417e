"""Why a difference between two runs matters, or does not, by the name of its reason."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...core.codes import GateCode
from ...core.facts import Fact
from .template import Lines, Table

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "model.architecture": "another architecture is another model",
        "model.vocab_size": "another vocabulary is another model",
        "model.shapes": "other layer sizes are another model",
        "model.shapes?": "one config.json leaves this figure to its default",
        "model.tokenizer_digest": "other tokens are other prompts",
        "model.dtype": "the compute type moves scores as much as quantization does",
        "model.name": "a quantized checkpoint has a name of its own",
        "model.revision": "a quantized checkpoint has a history of its own",
        "model.weights_digest": "quantized weights are meant to differ",
        "model.template_digest": "protocol.template_digest says what was used",
        "base.weights_digest": "the full-precision weights are others now",
        "base.tokenizer_digest": "the full-precision tokenizer is another now",
        "base.revision": "its weights and tokenizer are the same",
        "software.backend": "engines differ as much as quantization does",
        "version.transformers": "another minor version",
        "version.vllm": "another minor version",
        "version.llama_cpp_python": "another minor version",
        "version.server": "engines behind servers differ as engines do",
        "version.sglang": "another minor version",
        "version.tensorrt_llm": "another minor version",
        "version.llamacpp": "another build",
        "version.lm_eval": "another minor version",
        "version.*": "a patch version, or a package below the engine",
        "machine.kind": "kernels of another device differ as engines do",
        "machine.family": "another GPU family runs other kernels",
        "machine.accelerator": "the same family, or another CPU",
        "machine.count": "tensor parallelism sums in another order",
        "machine.driver": "drivers rarely change results",
        "protocol.task": "another task",
        "protocol.task_version": "another version of the task",
        "protocol.output_type": "another way of asking",
        "protocol.num_fewshot": "other prompts",
        "protocol.chat_template": "other prompts",
        "protocol.template_digest": "another chat template makes other prompts",
        "protocol.fewshot_as_multiturn": "other prompts",
        "protocol.system_instruction_digest": "other prompts",
        "protocol.gen_kwargs": "other generation arguments",
        "protocol.repeats": "repeats are averaged",
        "protocol.seed": "other few-shot examples, other samples",
        "protocol.config_digest": "prompts, filters, arguments or code changed",
        "protocol.code_files": "protocol.config_digest covers them",
        "protocol.code_packages": "another version may score answers otherwise",
        "protocol.metrics": "other metrics or filters",
        "protocol.total_items": "the task's data changed",
        "items.count": "nothing was measured",
        "items.missing": "the baseline lacks items that were asked for",
        "items.digests": "the same items ask something else now",
        "items.scores": "a score is no finite number",
        "imported.enable_thinking": "thoughts are part of the answers or not",
        "imported.think_end_token": "thoughts are scored or cut off",
        "imported.chat_template_args": "other prompts",
        "imported.add_bos_token": "other prompts",
        "imported.prefix_token_id": "other prompts",
        "imported.max_length": "long prompts are cut at another place",
        "imported.special_tokens": "perhaps another tokenizer",
        "imported.unknown": "one of the two files does not say",
        "batch_size": "another batch size moves log-probabilities a little",
        "values": "aggregates follow from the items",
        "chance": "judged by itself",
        "resumed_items": "an interrupted recording measures the same",
        "notes": "told by itself",
        "claimed": "the scheme is what is under test",
        "effective": "the candidate's own is judged by itself",
        "recorded_at": "a baseline does not age by itself",
        "git_commit": "code around the model",
        "version.torch": "another minor version",
        "speed.version.lm_eval": "it has no part in timing",
        "speed.device": "another device has a speed of its own",
        "speed.machine.count": "a model on more devices runs faster",
        "speed.machine.driver": "drivers change speed a little",
        "speed.effective": "sessions of other kernels are not one baseline",
        "scheme": "the scheme is what is under test",
        "workload": "it is part of what a baseline is filed under",
        "rounds": "they are what is compared",
        "footprint": "judged by itself",
        "load_seconds": "judged by itself",
        "bandwidth": "told by itself",
        "warmup": "colder rounds are slower ones",
        "args": "engine arguments change speed",
        "threads": "more threads are faster",
        "power_limit_w": "another power limit is another speed",
        "states": "told by themselves",
        "speed.model.dtype": "it is part of how fast it is",
    }
)
"""What the page of the documentation and messages say of each rule, by its field.

Those of speed that differ from them begin with ``speed.``."""

_OF_ACCEPTED: Mapping[str, str] = MappingProxyType(
    {"items.missing": "the accepted run lacks items that were asked for"}
)
"""Where the reference is the run that was accepted last."""


def _reason(facts: Mapping[str, Fact]) -> Lines:
    return REASONS[str(facts["reason"])]


def _reason_of_accepted(facts: Mapping[str, Fact]) -> Lines:
    return _OF_ACCEPTED.get(str(facts["reason"])) or _reason(facts)


def _metrics(facts: Mapping[str, Fact]) -> Lines:
    metrics = facts["metrics"]
    assert isinstance(metrics, tuple)
    return " ".join(f"{{metrics[{place}]}}" for place in range(len(metrics)))


def _said_alone(facts: Mapping[str, Fact]) -> Lines:
    return "says {names}" if facts["names"] else "says no more"


WORDS: Table = {
    GateCode.UNLIKE_ITS_BASELINE: (
        "{subject} cannot be compared with its baseline: {first}",
        "{advice:each}",
        "{others:each}",
        "{ways_out:each}",
    ),
    GateCode.UNLIKE_ACCEPTED_RUN: (
        "{task} cannot be compared with the run accepted as number {number}: {first}",
        "{others:each}",
        "compare the items that it holds: {fewer}",
        "to make this run the new reference, type the same command with --quant-accept, and then "
        "the command that it ends with (quantreg accept ... --force)",
    ),
    GateCode.DIFFERS: "{field}: baseline {baseline}, now {candidate} ({why})",
    GateCode.DIFFERS_FROM_ACCEPTED: "{field}: accepted {baseline}, now {candidate} ({why})",
    GateCode.COMPARABILITY_RULE: _reason,
    GateCode.COMPARABILITY_RULE_OF_ACCEPTED: _reason_of_accepted,
    GateCode.PACKAGE_VERSION: "{package} version",
    GateCode.VERSION_OF: "version of {name}",
    GateCode.MODEL_ARGUMENT: "model_args {name}",
    GateCode.TASK_FILE_ENTRY: "{key} in the task's file",
    GateCode.FIELD_OF_CHANGED_FILES: "{field} (changed: {files})",
    GateCode.NOT_COMPARED: "not compared",
    GateCode.METRICS: _metrics,
    GateCode.METRIC_BETTER_WHEN_LOWER: "{metric} (lower is better)",
    GateCode.METRIC_WITHOUT_DIRECTION: "{metric} (direction unknown)",
    GateCode.ITEM_COUNT: "{n:,} items",
    GateCode.ITEM_TWICE: "the same item twice",
    GateCode.ITEMS_NOT_RECORDED: "{asked:,} asked, {missing:,} not recorded, first doc {doc}",
    GateCode.ITEMS_UNKNOWN: "{n:,}, of which the baseline lacks {missing:,}",
    GateCode.ITEMS_CHANGED: "{digest} in {changed:,} of {n:,} items, first doc {doc}",
    GateCode.PROMPTS_OR_TARGETS_CHANGED: (
        "other prompts or targets in {changed:,} of {n:,} items, first doc {doc}"
    ),
    GateCode.SCORES_FINITE: "finite scores",
    GateCode.SCORE_NOT_FINITE: "{metric} = {score} for doc {doc}",
    GateCode.SAID_ALONE: _said_alone,
    GateCode.RECORD_AGAIN: "record the baseline again: {record}",
    GateCode.RECORD_AGAIN_OR_FEWER: (
        "record the baseline again: {record} (with no smaller limit), or --quant-limit={limit}"
    ),
    GateCode.RECORD_ON_THIS_MACHINE: (
        "record a baseline on this kind of machine, in a folder of its own"
    ),
    GateCode.RECORD_ON_ACCELERATOR: "record a baseline on this accelerator: {record}",
    GateCode.NAME_ORIGINAL_MODEL: "name the model this was quantized from with --quant-model",
    GateCode.NAME_MODEL_AND_TOKENS: (
        "name the model this was quantized from with --quant-model, and give both the same "
        "max_length and add_bos_token"
    ),
    GateCode.USE_DTYPE_OF_BASELINE: "use the dtype of the baseline: {option}",
    GateCode.ASK_AS_RECORDED: (
        "ask for the task as it was recorded, or record it as it is asked for now"
    ),
    GateCode.RESTORE_SOFTWARE: (
        'install the recorded version, record again, or quant_baseline_drift = "warn"'
    ),
    GateCode.READ_ENGINE_LOG: "look at the engine's own log",
    GateCode.EVALUATE_WITH_SAME_ARGUMENTS: "evaluate both models with the same arguments",
    GateCode.EVALUATE_WITH_SAME_FILES: (
        "evaluate both models with the same task files and arguments"
    ),
    GateCode.EVALUATE_WITH_SAME_LIMIT: "evaluate both with the same --limit",
    GateCode.EVALUATE_WITH_LIMIT: "evaluate both with --limit {limit}, or without limit",
}
