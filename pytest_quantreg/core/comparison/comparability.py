"""What must be equal to compare a candidate with a baseline, what is told, what is ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import isfinite

import numpy as np

from ..errors import Category, Refusal
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
    """One field, what becomes of a difference in it, why, and the way out.

    ``drift`` marks the rules that ``quant_baseline_drift = "warn"`` turns into a note.
    """

    field: str
    level: Level
    why: str
    way_out: str = ""
    drift: bool = False


RECORD = "record the baseline again: pytest --quant-update=all"
SAME_MODEL = "name the model this was quantized from with --quant-model"
SAME_TOKENS = f"{SAME_MODEL}, and give both the same max_length and add_bos_token"
SAME_CALL = "ask for the task as it was recorded, or record it as it is asked for now"
SAME_RUN = "evaluate both models with the same arguments"
SAME_SOFTWARE = 'install the recorded version, record again, or quant_baseline_drift = "warn"'
SAME_MACHINE = "record a baseline on this kind of machine, in a folder of its own"


def _refuse(field: str, why: str, way_out: str, *, drift: bool = False) -> Rule:
    return Rule(field, Level.REFUSE, why, way_out, drift)


RULES: tuple[Rule, ...] = (
    _refuse("model.architecture", "another architecture is another model", SAME_MODEL),
    _refuse("model.vocab_size", "another vocabulary is another model", SAME_MODEL),
    _refuse("model.shapes", "other layer sizes are another model", SAME_MODEL),
    Rule("model.shapes?", Level.TELL, "one config.json leaves this figure to its default"),
    _refuse("model.tokenizer_digest", "other tokens are other prompts", SAME_TOKENS),
    _refuse("model.dtype", "the compute type moves scores as much as quantization does", RECORD),
    Rule("model.name", Level.IGNORE, "a quantized checkpoint has a name of its own"),
    Rule("model.revision", Level.IGNORE, "a quantized checkpoint has a history of its own"),
    Rule("model.weights_digest", Level.IGNORE, "quantized weights are meant to differ"),
    Rule("model.template_digest", Level.IGNORE, "protocol.template_digest says what was used"),
    _refuse("base.weights_digest", "the full-precision weights are others now", RECORD),
    _refuse("base.tokenizer_digest", "the full-precision tokenizer is another now", SAME_TOKENS),
    Rule("base.revision", Level.TELL, "its weights and tokenizer are the same"),
    _refuse("software.backend", "engines differ as much as quantization does", RECORD),
    _refuse("version.transformers", "another minor version", SAME_SOFTWARE, drift=True),
    _refuse("version.vllm", "another minor version", SAME_SOFTWARE, drift=True),
    _refuse("version.llama_cpp_python", "another minor version", SAME_SOFTWARE, drift=True),
    _refuse("version.server", "engines behind servers differ as engines do", RECORD),
    _refuse("version.sglang", "another minor version", SAME_SOFTWARE, drift=True),
    _refuse("version.tensorrt_llm", "another minor version", SAME_SOFTWARE, drift=True),
    _refuse("version.llamacpp", "another build", SAME_SOFTWARE, drift=True),
    _refuse("version.lm_eval", "another minor version", SAME_SOFTWARE, drift=True),
    Rule("version.*", Level.TELL, "a patch version, or a package below the engine"),
    _refuse("machine.kind", "kernels of another device differ as engines do", SAME_MACHINE),
    _refuse("machine.family", "another GPU family runs other kernels", SAME_MACHINE),
    Rule("machine.accelerator", Level.TELL, "the same family, or another CPU"),
    Rule("machine.count", Level.TELL, "tensor parallelism sums in another order"),
    Rule("machine.driver", Level.TELL, "drivers rarely change results"),
    _refuse("protocol.task", "another task", SAME_CALL),
    _refuse("protocol.task_version", "another version of the task", RECORD),
    _refuse("protocol.output_type", "another way of asking", RECORD),
    _refuse("protocol.num_fewshot", "other prompts", SAME_CALL),
    _refuse("protocol.chat_template", "other prompts", SAME_CALL),
    _refuse("protocol.template_digest", "another chat template makes other prompts", RECORD),
    _refuse("protocol.fewshot_as_multiturn", "other prompts", SAME_CALL),
    _refuse("protocol.system_instruction_digest", "other prompts", SAME_CALL),
    _refuse("protocol.gen_kwargs", "other generation arguments", SAME_CALL),
    _refuse("protocol.repeats", "repeats are averaged", SAME_CALL),
    _refuse("protocol.seed", "other few-shot examples, other samples", SAME_CALL),
    _refuse("protocol.config_digest", "prompts, filters, arguments or code changed", RECORD),
    Rule("protocol.code_files", Level.IGNORE, "protocol.config_digest covers them"),
    Rule("protocol.code_packages", Level.TELL, "another version may score answers otherwise"),
    _refuse("protocol.metrics", "other metrics or filters", RECORD),
    _refuse("protocol.total_items", "the task's data changed", RECORD),
    _refuse("items.count", "nothing was measured", RECORD),
    _refuse("items.missing", "the baseline lacks items that were asked for", RECORD),
    _refuse("items.digests", "the same items ask something else now", RECORD),
    _refuse("items.scores", "a score is no finite number", "look at the engine's own log"),
    _refuse("imported.enable_thinking", "thoughts are part of the answers or not", SAME_RUN),
    _refuse("imported.think_end_token", "thoughts are scored or cut off", SAME_RUN),
    _refuse("imported.chat_template_args", "other prompts", SAME_RUN),
    _refuse("imported.add_bos_token", "other prompts", SAME_RUN),
    _refuse("imported.prefix_token_id", "other prompts", SAME_RUN),
    Rule("imported.max_length", Level.TELL, "long prompts are cut at another place"),
    Rule("imported.special_tokens", Level.TELL, "perhaps another tokenizer"),
    Rule("imported.unknown", Level.TELL, "one of the two files does not say"),
    Rule("batch_size", Level.TELL, "another batch size moves log-probabilities a little"),
    Rule("values", Level.IGNORE, "aggregates follow from the items"),
    Rule("chance", Level.IGNORE, "judged by itself"),
    Rule("resumed_items", Level.IGNORE, "an interrupted recording measures the same"),
    Rule("notes", Level.IGNORE, "told by itself"),
    Rule("claimed", Level.IGNORE, "the scheme is what is under test"),
    Rule("effective", Level.IGNORE, "the candidate's own is judged by itself"),
    Rule("recorded_at", Level.IGNORE, "a baseline does not age by itself"),
    Rule("git_commit", Level.IGNORE, "code around the model"),
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
    """One difference that is refused or told, with both values as short texts."""

    field: str
    level: Level
    baseline: str
    candidate: str
    why: str
    way_out: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.field}: baseline {self.baseline}, now {self.candidate} ({self.why})"


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


def refusal(differences: Iterable[Difference], subject: str) -> Refusal | None:
    """The one error for all refused differences of ``subject``; None when none is refused."""
    refused = [difference for difference in differences if difference.level is Level.REFUSE]
    if not refused:
        return None
    return Refusal(
        Category.NOT_COMPARABLE,
        f"{subject} cannot be compared with its baseline: {refused[0]}",
        help=(*map(str, refused[1:]), *dict.fromkeys(difference.way_out for difference in refused)),
    )


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
        self, field: str, baseline: object, candidate: object, *, name: str = "", way_out: str = ""
    ) -> None:
        """Notes a difference if the values differ and the field's rule cares."""
        if baseline != candidate:
            self.note(
                field, _shortened(baseline), _shortened(candidate), name=name, way_out=way_out
            )

    def note(
        self, field: str, baseline: str, candidate: str, *, name: str = "", way_out: str = ""
    ) -> None:
        """Notes a difference whose values are already texts."""
        rule = self.rules[field]
        level = Level.TELL if rule.drift and self.relax else rule.level
        if level is not Level.IGNORE:
            self.differences.append(
                Difference(
                    name or field, level, baseline, candidate, rule.why, way_out or rule.way_out
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
            self.differ(rule.field, old, new, name=f"{package} version")


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
                _metric_names(baseline.metrics),
                _metric_names(candidate.metrics),
            )
        elif field == "code_packages":
            for package, old, new in changed_entries(
                baseline.code_packages, candidate.code_packages
            ):
                log.differ("protocol.code_packages", old, new, name=f"{package} version")
        else:
            files = (
                changed_entries(baseline.code_files, candidate.code_files)
                if field == "config_digest"
                else ()
            )
            changed = f" (changed: {', '.join(change[0] for change in files)})" if files else ""
            name = f"protocol.{field}"
            log.differ(
                name, getattr(baseline, field), getattr(candidate, field), name=name + changed
            )


def _metric_names(metrics: tuple[Metric, ...]) -> str:
    """The metrics without their kind: whether scores came out 0/1 may differ by model."""
    return " ".join(metric.name + _DIRECTIONS[metric.higher_is_better] for metric in metrics)


_DIRECTIONS = {True: "", False: " (lower is better)", None: " (direction unknown)"}


_PROTOCOL_FIELDS = tuple(
    rule.field.removeprefix("protocol.") for rule in RULES if rule.field.startswith("protocol.")
)


def _note_items(log: DifferenceLog, baseline: Items, candidate: Items) -> None:
    if not len(candidate) or has_duplicates(candidate.doc_ids):
        problem = "the same item twice" if len(candidate) else "none"
        log.note("items.count", f"{len(baseline):,} items", problem)
        return
    # Of a million items that all agree, nothing need be looked up one by one.
    if not _all_agree(baseline, candidate):
        _note_item_differences(log, baseline, candidate)
    non_finite = _first_non_finite(candidate)
    if non_finite:
        log.note("items.scores", "finite scores", non_finite)


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
        log.note(
            "items.missing",
            f"{len(baseline):,} items",
            f"{len(candidate):,} asked, {len(missing):,} not recorded, first doc {missing[0]}",
            way_out=f"{RECORD} (with no smaller limit), or --quant-limit={len(baseline)}"
            if len(candidate) > len(baseline)
            else "",
        )
    changed = [
        (doc, baseline_digests[doc], digest)
        for doc, digest in zip(candidate.doc_ids, candidate.digests, strict=True)
        if baseline_digests.get(doc, digest) != digest
    ]
    if changed:
        doc, old, new = changed[0]
        share = f"{len(changed):,} of {len(candidate):,} items, first doc {doc}"
        log.note("items.digests", old[:12], f"{new[:12]} in {share}")


def _first_non_finite(items: Items) -> str | None:
    for metric, column in (*items.scores.items(), *items.weights.items()):
        if np.isfinite(np.asarray(column, dtype=np.float64)).all():
            continue
        doc, score = next(
            (doc, score)
            for doc, score in zip(items.doc_ids, column, strict=True)
            if not isfinite(score)
        )
        return f"{metric} = {score} for doc {doc}"
    return None


def _shortened(value: object) -> str:
    if value is None:
        return "none"
    text = str(value)
    if len(text) in (40, 64) and all(char in "0123456789abcdef" for char in text):
        return text[:12]
    return text if len(text) <= 60 else f"{text[:57]}..."
