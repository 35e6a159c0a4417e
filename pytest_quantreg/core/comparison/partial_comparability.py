"""Whether two results compare of which only a part was written down: unknown is told."""

from __future__ import annotations

from collections.abc import Mapping

from ..hardware.releases import gpu_family, same_minor
from ..records.evaluation import Result
from ..records.run import Json, Run
from ..redact_settings import is_seal, same
from .comparability import RULES, SAME_RUN, Difference, Found, compare_runs
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
    found = Found(RULES, "refuse")
    for name in _names(baseline, candidate):
        if name in baseline.known and name in candidate.known:
            _differ(found, name, baseline, candidate)
    _configs(found, baseline, candidate)
    _counts(found, baseline, candidate)
    said = [_only(*pair) for pair in ((baseline, candidate), (candidate, baseline))]
    if any(said):
        shown = [f"says {', '.join(names)}" if names else "says no more" for names in said]
        found.note("imported.unknown", *shown, name="not compared")
    return found.in_order()


def _names(baseline: Result, candidate: Result) -> list[str]:
    """The fields that either knows, in the order of the rules."""
    either = {*baseline.known, *candidate.known}
    order = {rule.field: place for place, rule in enumerate(RULES)}
    if baseline.accuracy is not None and candidate.accuracy is not None:
        either.discard(ITEMS)  # the items themselves are compared
    return sorted(either, key=lambda name: (order.get(name, len(order)), name))


def _only(one: Result, other: Result) -> list[str]:
    """What one side says and the other does not; that nothing was said is nothing to tell."""
    return [
        name.rpartition(".")[2]
        for name in _names(one, other)
        if name in one.known and name not in other.known and one.known[name] != NOT_GIVEN
    ]


def _differ(found: Found, name: str, baseline: Result, candidate: Result) -> None:
    ours, theirs = baseline.known[name], candidate.known[name]
    if _same(name, ours, theirs):
        return
    rule = found.rules.get(name)
    if name.startswith("version."):
        minor = rule is not None and not same_minor(str(ours), str(theirs))
        rule = rule if minor else found.rules["version.*"]
    if rule is None:
        return
    shown = [one.words.get(name) or _text(one.known[name]) for one in (baseline, candidate)]
    found.note(
        rule.field,
        shown[0],
        shown[1],
        name=name.replace("version.", "version of ").replace("imported.", "model_args "),
        way_out=SAME_RUN,
    )


def _same(name: str, ours: Json, theirs: Json) -> bool:
    if name == "machine.family":
        return gpu_family(str(ours)) == gpu_family(str(theirs))
    return same(ours, theirs)


def _configs(found: Found, baseline: Result, candidate: Result) -> None:
    """The first entries of the task's file that differ, where both sides show theirs."""
    if not baseline.config or not candidate.config:
        return
    for key in sorted({*baseline.config, *candidate.config}):
        ours, theirs = (one.config.get(key) for one in (baseline, candidate))
        if key == DEFAULTS_WRITTEN and None in (ours, theirs) and _itemwise(baseline, candidate):
            continue
        if not same(ours, theirs):
            found.note(
                "protocol.config_digest",
                _text(ours),
                _text(theirs),
                name=f"{key} in the task's file",
                way_out=SAME_RUN,
            )


def _itemwise(baseline: Result, candidate: Result) -> bool:
    return baseline.accuracy is not None and candidate.accuracy is not None


def _counts(found: Found, baseline: Result, candidate: Result) -> None:
    """Without items, other numbers of items are other items."""
    if baseline.accuracy is not None and candidate.accuracy is not None:
        mine, its = baseline.accuracy.items, candidate.accuracy.items
        known = dict(zip(mine.doc_ids, mine.digests, strict=True))
        missing = [doc for doc in its.doc_ids if doc not in known]
        if missing:
            found.note(
                "items.missing",
                f"{len(mine):,} items",
                f"{len(its):,}, of which the baseline lacks {len(missing):,}",
                way_out=f"evaluate both with --limit {min(len(mine), len(its))}, or without limit",
            )
        changed = [
            doc
            for doc, digest in zip(its.doc_ids, its.digests, strict=True)
            if known.get(doc, digest) != digest
        ]
        if changed:
            found.note(
                ITEMS,
                known[changed[0]][:12],
                f"other prompts or targets in {len(changed):,} of {len(its):,} items, "
                f"first doc {changed[0]}",
                way_out="evaluate both models with the same task files and arguments",
            )
        return
    counts = {one.n for result in (baseline, candidate) for one in result.aggregates[:1]}
    if None not in counts and len(counts) > 1:
        shown = [f"{one.aggregates[0].n:,} items" for one in (baseline, candidate)]
        found.note(
            "items.missing", shown[0], shown[1], way_out="evaluate both with the same --limit"
        )


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


def known_of(run: Run) -> Mapping[str, Json]:
    """What a stored run says, under the names of the rules."""
    provenance, protocol = run.provenance, run.accuracy.protocol
    known: dict[str, Json] = {
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
        known[f"protocol.{name}"] = dict(value) if isinstance(value, Mapping) else value
    system = "protocol.system_instruction_digest"
    known[system] = NO_INSTRUCTION if known[system] is None else known[system]
    if protocol.chat_template in (UNKNOWN, "off"):
        del known["protocol.fewshot_as_multiturn"]
    return {name: value for name, value in known.items() if not is_unknown(value)}


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
