"""What must be equal to compare a candidate with a baseline, what is told, what is ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import isfinite

import numpy as np

from ..codes import GateCode
from ..errors import Refusal
from ..facts import Fact, Problem, RecordBaseline
from ..hardware.accelerators import gpu_family
from ..hardware.releases import changed_entries, normal_package, same_minor
from ..records.columns import has_duplicates, picked, places
from ..records.run import UNSTATED, Items, Machine, Metric, ModelIdentity, Protocol, Run, Software
from .alignment import items_at


class Level(str, Enum):
    """What a difference means: the gate is refused, it is told, or it is of no interest."""

    REFUSE = "refuse"
    TELL = "tell"
    IGNORE = "ignore"


@dataclass(frozen=True)
class Rule:
    """One field, what becomes of a difference in it, and the way out.

    ``drift`` marks the rules that ``quant_baseline_drift = "warn"`` turns into a note.
    ``reason`` is the name of why it matters in `report.words.comparability`; empty where that
    is the field.
    """

    field: str
    level: Level
    way_out: Problem | None = None
    drift: bool = False
    reason: str = ""

    @property
    def why(self) -> Problem:
        """Why a difference in the field matters, or does not."""
        return Problem(GateCode.COMPARABILITY_RULE, {"reason": self.reason or self.field})


RECORD = Problem(GateCode.RECORD_AGAIN, {"record": RecordBaseline(again=True)})
SAME_MODEL = Problem(GateCode.NAME_ORIGINAL_MODEL, {})
SAME_TOKENS = Problem(GateCode.NAME_MODEL_AND_TOKENS, {})
SAME_CALL = Problem(GateCode.ASK_AS_RECORDED, {})
SAME_RUN = Problem(GateCode.EVALUATE_WITH_SAME_ARGUMENTS, {})
SAME_SOFTWARE = Problem(GateCode.RESTORE_SOFTWARE, {})
SAME_MACHINE = Problem(GateCode.RECORD_ON_THIS_MACHINE, {})
ENGINE_LOG = Problem(GateCode.READ_ENGINE_LOG, {})


def _refuse(field: str, way_out: Problem, *, drift: bool = False) -> Rule:
    return Rule(field, Level.REFUSE, way_out, drift)


RULES: tuple[Rule, ...] = (
    _refuse("model.architecture", SAME_MODEL),
    _refuse("model.vocab_size", SAME_MODEL),
    _refuse("model.shapes", SAME_MODEL),
    Rule("model.shapes?", Level.TELL),
    _refuse("model.tokenizer_digest", SAME_TOKENS),
    _refuse("model.dtype", RECORD),
    Rule("model.name", Level.IGNORE),
    Rule("model.revision", Level.IGNORE),
    Rule("model.weights_digest", Level.IGNORE),
    Rule("model.template_digest", Level.IGNORE),
    _refuse("base.weights_digest", RECORD),
    _refuse("base.tokenizer_digest", SAME_TOKENS),
    Rule("base.revision", Level.TELL),
    _refuse("software.backend", RECORD),
    _refuse("version.transformers", SAME_SOFTWARE, drift=True),
    _refuse("version.vllm", SAME_SOFTWARE, drift=True),
    _refuse("version.llama_cpp_python", SAME_SOFTWARE, drift=True),
    _refuse("version.server", RECORD),
    _refuse("version.sglang", SAME_SOFTWARE, drift=True),
    _refuse("version.tensorrt_llm", SAME_SOFTWARE, drift=True),
    _refuse("version.llamacpp", SAME_SOFTWARE, drift=True),
    _refuse("version.lm_eval", SAME_SOFTWARE, drift=True),
    Rule("version.*", Level.TELL),
    _refuse("machine.kind", SAME_MACHINE),
    _refuse("machine.family", SAME_MACHINE),
    Rule("machine.accelerator", Level.TELL),
    Rule("machine.count", Level.TELL),
    Rule("machine.driver", Level.TELL),
    _refuse("protocol.task", SAME_CALL),
    _refuse("protocol.task_version", RECORD),
    _refuse("protocol.output_type", RECORD),
    _refuse("protocol.num_fewshot", SAME_CALL),
    _refuse("protocol.chat_template", SAME_CALL),
    _refuse("protocol.template_digest", RECORD),
    _refuse("protocol.fewshot_as_multiturn", SAME_CALL),
    _refuse("protocol.system_instruction_digest", SAME_CALL),
    _refuse("protocol.gen_kwargs", SAME_CALL),
    _refuse("protocol.repeats", SAME_CALL),
    _refuse("protocol.seed", SAME_CALL),
    _refuse("protocol.config_digest", RECORD),
    Rule("protocol.code_files", Level.IGNORE),
    Rule("protocol.code_packages", Level.TELL),
    _refuse("protocol.metrics", RECORD),
    _refuse("protocol.total_items", RECORD),
    _refuse("items.count", RECORD),
    _refuse("items.missing", RECORD),
    _refuse("items.digests", RECORD),
    _refuse("items.scores", ENGINE_LOG),
    _refuse("imported.enable_thinking", SAME_RUN),
    _refuse("imported.think_end_token", SAME_RUN),
    _refuse("imported.chat_template_args", SAME_RUN),
    _refuse("imported.add_bos_token", SAME_RUN),
    _refuse("imported.prefix_token_id", SAME_RUN),
    Rule("imported.max_length", Level.TELL),
    Rule("imported.special_tokens", Level.TELL),
    Rule("imported.unknown", Level.TELL),
    Rule("batch_size", Level.TELL),
    Rule("values", Level.IGNORE),
    Rule("chance", Level.IGNORE),
    Rule("resumed_items", Level.IGNORE),
    Rule("notes", Level.IGNORE),
    Rule("claimed", Level.IGNORE),
    Rule("effective", Level.IGNORE),
    Rule("recorded_at", Level.IGNORE),
    Rule("git_commit", Level.IGNORE),
)


@dataclass(frozen=True)
class Candidate:
    """What is known of the run that is compared; None is not known yet, and not looked at.

    ``base`` is the full-precision model where it is at hand, ``items`` may come without
    scores while only prompts are built. A verdict needs all but ``base``: see `complete`.
    """

    model: ModelIdentity
    software: Software
    machine: Machine | None = None
    protocol: Protocol | None = None
    items: Items | None = None
    batch_size: int | None = None
    base: ModelIdentity | None = None

    @property
    def complete(self) -> bool:
        """Whether enough is known for `compare_runs` to have looked at everything."""
        return None not in (self.machine, self.protocol, self.items)


@dataclass(frozen=True)
class Difference:
    """One difference that is refused or told, with both values as they are shown.

    ``rule`` is the field of its rule, ``field`` what that is called where it differs.
    """

    rule: str
    level: Level
    field: Fact
    baseline: Fact
    candidate: Fact
    why: Problem
    way_out: Problem | None

    @property
    def problem(self) -> Problem:
        """The difference from a baseline."""
        return Problem(GateCode.DIFFERS, self._facts(self.why))

    @property
    def from_accepted(self) -> Problem:
        """The difference where it is from the run that was accepted last."""
        why = Problem(GateCode.COMPARABILITY_RULE_OF_ACCEPTED, self.why.facts)
        return Problem(GateCode.DIFFERS_FROM_ACCEPTED, self._facts(why))

    def _facts(self, why: Problem) -> Mapping[str, Fact]:
        return {
            "field": self.field,
            "baseline": self.baseline,
            "candidate": self.candidate,
            "why": why,
        }


def compare_runs(baseline: Run, candidate: Candidate, *, drift: str = "refuse") -> list[Difference]:
    """All differences that are refused or told, refusals first; empty if there are none.

    ``drift="warn"`` turns the rules marked so from refusals into notes.
    """
    provenance, accuracy = baseline.provenance, baseline.accuracy
    log = DifferenceLog(RULES, drift)
    log.differ_models(provenance.model, candidate)
    log.differ_software(provenance.software, candidate.software)
    if candidate.machine is not None:
        _note_machines(log, provenance.machine, candidate.machine)
    if candidate.protocol is not None:
        _note_protocols(log, accuracy.protocol, candidate.protocol)
    if candidate.items is not None:
        _note_items(log, accuracy.items, candidate.items)
    if candidate.batch_size is not None:
        log.differ("batch_size", accuracy.batch_size, candidate.batch_size)
    return log.in_order()


def refusal(
    differences: Iterable[Difference], subject: str, *, advice: tuple[Fact, ...] = ()
) -> Refusal | None:
    """The one error for all refused differences of ``subject``; None when none is refused.

    ``advice`` is what helps beside the ways out of the rules.
    """
    refused = refused_of(differences)
    if not refused:
        return None
    return Refusal(
        GateCode.UNLIKE_ITS_BASELINE,
        subject=subject,
        first=refused[0].problem,
        advice=advice,
        others=tuple(difference.problem for difference in refused[1:]),
        ways_out=tuple(dict.fromkeys(difference.way_out for difference in refused)),
    )


def refused_of(differences: Iterable[Difference]) -> list[Difference]:
    """The differences that refuse a comparison."""
    return [difference for difference in differences if difference.level is Level.REFUSE]


def aligned(baseline: Items, candidate: Items) -> Items:
    """The baseline's rows of the candidate's items, in the candidate's order.

    Raises KeyError for an item that the baseline lacks; `compare_runs` refuses those.
    """
    return items_at(baseline, places(baseline.doc_ids, candidate.doc_ids))


class DifferenceLog:
    """Collects differences by the rule of their field.

    ``drift="warn"`` turns the rules marked so into notes; raises ValueError for others
    than that and ``"refuse"``.
    """

    def __init__(self, rules: Iterable[Rule], drift: str) -> None:
        if drift not in ("refuse", "warn"):
            raise ValueError(f"drift is 'refuse' or 'warn', not {drift!r}")
        self.relax = drift == "warn"
        self.rules = {rule.field: rule for rule in rules}
        self.differences: list[Difference] = []

    def in_order(self) -> list[Difference]:
        """What was found, refusals first."""
        return sorted(self.differences, key=lambda difference: difference.level is not Level.REFUSE)

    def differ(
        self,
        field: str,
        baseline: object,
        candidate: object,
        *,
        name: str | Problem = "",
        way_out: Problem | None = None,
    ) -> None:
        """Notes a difference if the values differ and the field's rule cares."""
        if baseline != candidate:
            shown = _shortened(baseline), _shortened(candidate)
            self.note(field, *shown, name=name, way_out=way_out)

    def note(
        self,
        field: str,
        baseline: Fact,
        candidate: Fact,
        *,
        name: str | Problem = "",
        way_out: Problem | None = None,
    ) -> None:
        """Notes a difference whose values can be shown as they are."""
        rule = self.rules[field]
        level = Level.TELL if rule.drift and self.relax else rule.level
        if level is not Level.IGNORE:
            self.differences.append(
                Difference(
                    field,
                    level,
                    name or field,
                    baseline,
                    candidate,
                    rule.why,
                    way_out or rule.way_out,
                )
            )

    def differ_models(self, baseline: ModelIdentity, candidate: Candidate) -> None:
        """Notes where the candidate, or its full-precision model, is another model."""
        tested = candidate.model
        for field in ("architecture", "vocab_size", "tokenizer_digest"):
            self.differ(f"model.{field}", getattr(baseline, field), getattr(tested, field))
        if UNSTATED not in (baseline.dtype, tested.dtype):
            self.differ("model.dtype", baseline.dtype, tested.dtype)
        self._shapes(baseline.shapes, tested.shapes)
        if candidate.base is not None:
            self._bases(baseline, candidate.base, tested)

    def _bases(self, baseline: ModelIdentity, base: ModelIdentity, tested: ModelIdentity) -> None:
        fields = ["weights_digest"]
        if base.tokenizer_digest != tested.tokenizer_digest:  # else it is compared already
            fields.append("tokenizer_digest")
        for field in fields:
            self.differ(f"base.{field}", getattr(baseline, field), getattr(base, field))
        same = all(getattr(baseline, field) == getattr(base, field) for field in fields)
        if same and None not in (baseline.revision, base.revision):
            self.differ("base.revision", baseline.revision, base.revision)

    def _shapes(self, baseline: Mapping[str, int], candidate: Mapping[str, int]) -> None:
        shared = {*baseline} & {*candidate}
        if not shared:
            self.differ("model.shapes", sorted(baseline), sorted(candidate))
            return
        for name in sorted({*baseline, *candidate}):
            # Saving a checkpoint again writes out figures that its config.json had left out.
            rule = "model.shapes" if name in shared else "model.shapes?"
            self.differ(rule, baseline.get(name), candidate.get(name), name=f"model.{name}")

    def differ_software(self, baseline: Software, candidate: Software) -> None:
        """Notes another engine, and other versions of packages; those by minor version."""
        self.differ("software.backend", baseline.backend, candidate.backend)
        old_versions, new_versions = _packages(baseline.versions), _packages(candidate.versions)
        for package in sorted({*old_versions, *new_versions}):
            old, new = old_versions.get(package), new_versions.get(package)
            if old == new:
                continue
            rule = self.rules.get(f"version.{package}")
            if rule is None or (rule.level is not Level.IGNORE and same_minor(old, new)):
                rule = self.rules["version.*"]
            self.differ(rule.field, old, new, name=_version_of(package))


def _version_of(package: str) -> Problem:
    return Problem(GateCode.PACKAGE_VERSION, {"package": package})


def _packages(versions: Mapping[str, str]) -> dict[str, str]:
    return {normal_package(name): version for name, version in versions.items()}


def _note_machines(log: DifferenceLog, baseline: Machine, candidate: Machine) -> None:
    if baseline.kind != candidate.kind:
        log.differ("machine.kind", baseline.kind, candidate.kind)
        return
    families = (gpu_family(baseline.accelerator), gpu_family(candidate.accelerator))
    if baseline.kind != "cpu" and families[0] != families[1]:
        log.differ("machine.family", baseline.accelerator, candidate.accelerator)
    else:
        log.differ("machine.accelerator", baseline.accelerator, candidate.accelerator)
    log.differ("machine.count", baseline.count, candidate.count)
    log.differ("machine.driver", baseline.driver, candidate.driver)


def _note_protocols(log: DifferenceLog, baseline: Protocol, candidate: Protocol) -> None:
    for field in _PROTOCOL_FIELDS:
        if field == "metrics":
            log.differ(
                "protocol.metrics",
                _named_metrics(baseline.metrics),
                _named_metrics(candidate.metrics),
            )
        elif field == "code_packages":
            for package, old, new in changed_entries(
                baseline.code_packages, candidate.code_packages
            ):
                log.differ("protocol.code_packages", old, new, name=_version_of(package))
        elif field == "config_digest":
            log.differ(
                "protocol.config_digest",
                baseline.config_digest,
                candidate.config_digest,
                name=_config_of(baseline, candidate),
            )
        else:
            log.differ(f"protocol.{field}", getattr(baseline, field), getattr(candidate, field))


def _config_of(baseline: Protocol, candidate: Protocol) -> str | Problem:
    """The task's configuration, with those of its files that changed, where both list them."""
    name = "protocol.config_digest"
    files = changed_entries(baseline.code_files, candidate.code_files)
    if not files:
        return name
    changed = tuple(file for file, _, _ in files)
    return Problem(GateCode.FIELD_OF_CHANGED_FILES, {"field": name, "files": changed})


def _named_metrics(metrics: tuple[Metric, ...]) -> Problem:
    """The metrics without their kind: whether scores came out 0/1 may differ by model."""
    return Problem(GateCode.METRICS, {"metrics": tuple(map(_named_metric, metrics))})


def _named_metric(metric: Metric) -> str | Problem:
    if metric.higher_is_better:
        return metric.name
    if metric.higher_is_better is None:
        return Problem(GateCode.METRIC_WITHOUT_DIRECTION, {"metric": metric.name})
    return Problem(GateCode.METRIC_BETTER_WHEN_LOWER, {"metric": metric.name})


_PROTOCOL_FIELDS = tuple(
    rule.field.removeprefix("protocol.") for rule in RULES if rule.field.startswith("protocol.")
)


def _note_items(log: DifferenceLog, baseline: Items, candidate: Items) -> None:
    if not len(candidate) or has_duplicates(candidate.doc_ids):
        found = Problem(GateCode.ITEM_TWICE, {}) if len(candidate) else "none"
        log.note("items.count", item_count(baseline), found)
        return
    # Of a million items that all agree, nothing need be looked up one by one.
    if not _all_agree(baseline, candidate):
        _note_item_differences(log, baseline, candidate)
    non_finite = _first_non_finite(candidate)
    if non_finite is not None:
        log.note("items.scores", Problem(GateCode.SCORES_FINITE, {}), non_finite)


def item_count(items: Items) -> Problem:
    """How many items there are, as it is shown."""
    return Problem(GateCode.ITEM_COUNT, {"n": len(items)})


def _all_agree(baseline: Items, candidate: Items) -> bool:
    """Whether every item is known, and asks the same."""
    n = len(candidate)
    if (baseline.doc_ids[:n], baseline.digests[:n]) == (candidate.doc_ids, candidate.digests):
        return True
    try:
        rows = places(baseline.doc_ids, candidate.doc_ids)
    except KeyError:
        return False
    return tuple(picked(baseline.digests, rows)) == tuple(candidate.digests)


def _note_item_differences(log: DifferenceLog, baseline: Items, candidate: Items) -> None:
    baseline_digests = dict(zip(baseline.doc_ids, baseline.digests, strict=True))
    missing = [doc for doc in candidate.doc_ids if doc not in baseline_digests]
    if missing:
        asked = {"asked": len(candidate), "missing": len(missing), "doc": missing[0]}
        log.note(
            "items.missing",
            item_count(baseline),
            Problem(GateCode.ITEMS_NOT_RECORDED, asked),
            way_out=_record_or_fewer(baseline) if len(candidate) > len(baseline) else None,
        )
    changed = [
        (doc, baseline_digests[doc], digest)
        for doc, digest in zip(candidate.doc_ids, candidate.digests, strict=True)
        if baseline_digests.get(doc, digest) != digest
    ]
    if changed:
        doc, old, new = changed[0]
        share: dict[str, Fact] = {"digest": new[:12], "changed": len(changed)}
        log.note(
            "items.digests",
            old[:12],
            Problem(GateCode.ITEMS_CHANGED, {**share, "n": len(candidate), "doc": doc}),
        )


def _record_or_fewer(baseline: Items) -> Problem:
    facts: dict[str, Fact] = {"record": RecordBaseline(again=True), "limit": len(baseline)}
    return Problem(GateCode.RECORD_AGAIN_OR_FEWER, facts)


def _first_non_finite(items: Items) -> Problem | None:
    for metric, column in (*items.scores.items(), *items.weights.items()):
        if np.isfinite(np.asarray(column, dtype=np.float64)).all():
            continue
        doc, score = next(
            (doc, score)
            for doc, score in zip(items.doc_ids, column, strict=True)
            if not isfinite(score)
        )
        return Problem(
            GateCode.SCORE_NOT_FINITE, {"metric": metric, "score": float(score), "doc": doc}
        )
    return None


def _shortened(value: object) -> str | Problem:
    if isinstance(value, Problem):
        return value
    if value is None:
        return "none"
    text = str(value)
    if len(text) in (40, 64) and all(char in "0123456789abcdef" for char in text):
        return text[:12]
    return text if len(text) <= 60 else f"{text[:57]}..."
