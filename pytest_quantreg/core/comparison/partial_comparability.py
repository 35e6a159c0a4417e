"""Whether two results compare of which only a part was written down: unknown is told."""

from __future__ import annotations

from collections.abc import Mapping

from ..codes import GateCode
from ..facts import Problem
from ..hardware.accelerators import gpu_family
from ..hardware.releases import same_minor
from ..records.evaluation import Result
from ..records.run import Json, Run
from ..redact_settings import is_seal, same
from .comparability import (
    RULES,
    SAME_RUN,
    Difference,
    DifferenceLog,
    compare_runs,
    item_count,
)
from .comparability import Candidate as RunCandidate

ITEMS = "items.digests"

DEFAULTS_WRITTEN = "fewshot_config"
"""What lm-eval writes out since 0.4.10 where it is the default; items show whether it was."""


def differences(baseline: Result, candidate: Result) -> list[Difference]:
    """All differences that are refused or told, refusals first; empty if there are none.

    Stored runs are compared by all that they hold, others by what both sides say. What
    one side alone says is told, once.
    """
    if baseline.run is not None and candidate.run is not None:
        return compare_runs(baseline.run, _candidate(candidate.run))
    log = DifferenceLog(RULES, "refuse")
    for name in _names(baseline, candidate):
        if name in baseline.known and name in candidate.known:
            _note_difference(log, name, baseline, candidate)
    _note_configs(log, baseline, candidate)
    _note_counts(log, baseline, candidate)
    named_alone = [_names_only_in(*pair) for pair in ((baseline, candidate), (candidate, baseline))]
    if any(named_alone):
        shown = [Problem(GateCode.SAID_ALONE, {"names": tuple(names)}) for names in named_alone]
        log.note("imported.unknown", *shown, name=Problem(GateCode.NOT_COMPARED, {}))
    return log.in_order()


def _names(baseline: Result, candidate: Result) -> list[str]:
    """The fields that either knows, in the order of the rules."""
    names = {*baseline.known, *candidate.known}
    order = {rule.field: place for place, rule in enumerate(RULES)}
    if baseline.accuracy is not None and candidate.accuracy is not None:
        names.discard(ITEMS)  # the items themselves are compared
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def _names_only_in(result: Result, other_result: Result) -> list[str]:
    """What one side says and the other does not; that nothing was said is nothing to tell."""
    return [
        name.rpartition(".")[2]
        for name in _names(result, other_result)
        if name in result.known
        and name not in other_result.known
        and result.known[name] != NOT_GIVEN
    ]


def _note_difference(log: DifferenceLog, name: str, baseline: Result, candidate: Result) -> None:
    old, new = baseline.known[name], candidate.known[name]
    if _is_same_value(name, old, new):
        return
    rule = log.rules.get(name)
    if name.startswith("version."):
        minor = rule is not None and not same_minor(str(old), str(new))
        rule = rule if minor else log.rules["version.*"]
    if rule is None:
        return
    shown = [
        result.words.get(name) or _text(result.known[name]) for result in (baseline, candidate)
    ]
    log.note(
        rule.field,
        shown[0],
        shown[1],
        name=_shown_name(name),
        way_out=SAME_RUN,
    )


def _shown_name(name: str) -> str | Problem:
    part, _, rest = name.partition(".")
    if part == "version":
        return Problem(GateCode.VERSION_OF, {"name": rest})
    if part == "imported":
        return Problem(GateCode.MODEL_ARGUMENT, {"name": rest})
    return name


def _is_same_value(name: str, baseline: Json, candidate: Json) -> bool:
    if name == "machine.family":
        return gpu_family(str(baseline)) == gpu_family(str(candidate))
    return same(baseline, candidate)


def _note_configs(log: DifferenceLog, baseline: Result, candidate: Result) -> None:
    """The first entries of the task's file that differ, where both sides show theirs."""
    if not baseline.config or not candidate.config:
        return
    for key in sorted({*baseline.config, *candidate.config}):
        old, new = (result.config.get(key) for result in (baseline, candidate))
        if key == DEFAULTS_WRITTEN and None in (old, new) and _itemwise(baseline, candidate):
            continue
        if not same(old, new):
            log.note(
                "protocol.config_digest",
                _text(old),
                _text(new),
                name=Problem(GateCode.TASK_FILE_ENTRY, {"key": key}),
                way_out=SAME_RUN,
            )


def _itemwise(baseline: Result, candidate: Result) -> bool:
    return baseline.accuracy is not None and candidate.accuracy is not None


def _note_counts(log: DifferenceLog, baseline: Result, candidate: Result) -> None:
    """Without items, other numbers of items are other items."""
    if baseline.accuracy is not None and candidate.accuracy is not None:
        old, new = baseline.accuracy.items, candidate.accuracy.items
        baseline_digests = dict(zip(old.doc_ids, old.digests, strict=True))
        missing = [doc for doc in new.doc_ids if doc not in baseline_digests]
        if missing:
            log.note(
                "items.missing",
                item_count(old),
                Problem(GateCode.ITEMS_UNKNOWN, {"n": len(new), "missing": len(missing)}),
                way_out=Problem(GateCode.EVALUATE_WITH_LIMIT, {"limit": min(len(old), len(new))}),
            )
        changed = [
            doc
            for doc, digest in zip(new.doc_ids, new.digests, strict=True)
            if baseline_digests.get(doc, digest) != digest
        ]
        if changed:
            share = {"changed": len(changed), "n": len(new), "doc": changed[0]}
            log.note(
                ITEMS,
                baseline_digests[changed[0]][:12],
                Problem(GateCode.PROMPTS_OR_TARGETS_CHANGED, share),
                way_out=Problem(GateCode.EVALUATE_WITH_SAME_FILES, {}),
            )
        return
    counts = {
        aggregate.n for result in (baseline, candidate) for aggregate in result.aggregates[:1]
    }
    if None not in counts and len(counts) > 1:
        shown = [
            Problem(GateCode.ITEM_COUNT, {"n": result.aggregates[0].n})
            for result in (baseline, candidate)
        ]
        same_limit = Problem(GateCode.EVALUATE_WITH_SAME_LIMIT, {})
        log.note("items.missing", shown[0], shown[1], way_out=same_limit)


def _candidate(run: Run) -> RunCandidate:
    provenance, accuracy = run.provenance, run.accuracy
    return RunCandidate(
        provenance.model,
        provenance.software,
        provenance.machine,
        accuracy.protocol,
        accuracy.items,
        accuracy.batch_size,
    )


def _text(value: Json) -> str:
    text = value if isinstance(value, str) else str(value)
    if len(text) in (40, 64) and all(char in "0123456789abcdef" for char in text):
        return text[:12]
    if is_seal(value):
        return text[:19]
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= 70 else f"{text[:67]}..."


def stored_values(run: Run) -> Mapping[str, Json]:
    """What a stored run says, under the names of the rules."""
    provenance, protocol = run.provenance, run.accuracy.protocol
    values: dict[str, Json] = {
        "software.backend": provenance.software.backend,
        "model.tokenizer_digest": provenance.model.tokenizer_digest,
        "model.dtype": provenance.model.dtype,
        "machine.kind": provenance.machine.kind,
        "machine.family": provenance.machine.accelerator,
        "batch_size": run.accuracy.batch_size,
        **{f"version.{name}": text for name, text in provenance.software.versions.items()},
    }
    for name in _PROTOCOL:
        value = getattr(protocol, name)
        values[f"protocol.{name}"] = dict(value) if isinstance(value, Mapping) else value
    system = "protocol.system_instruction_digest"
    values[system] = NO_INSTRUCTION if values[system] is None else values[system]
    if protocol.chat_template in (UNKNOWN, "off"):
        del values["protocol.fewshot_as_multiturn"]
    return {name: value for name, value in values.items() if not is_unknown(value)}


_PROTOCOL = (
    *("task", "task_version", "output_type", "num_fewshot", "chat_template", "template_digest"),
    *("fewshot_as_multiturn", "system_instruction_digest", "gen_kwargs", "repeats", "seed"),
    "total_items",
)

NO_INSTRUCTION = "none"
NOT_GIVEN = "not given"
"""What stands for an argument of lm-eval that was left to its default."""

UNKNOWN = "unknown"
UNKNOWN_DIGEST = "0" * 64
UNKNOWN_SEED = -1
"""What stands in a stored run for what an imported file did not say."""


def is_unknown(value: Json) -> bool:
    """Whether a stored value stands for nothing known."""
    return value is None or value in (UNKNOWN, UNKNOWN_DIGEST, UNKNOWN_SEED, {})
