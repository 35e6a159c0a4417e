"""The plain values that measurements, stored runs and comparisons are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Columns: TypeAlias = Mapping[str, Sequence[float]]
"""One number per item under each name."""


@dataclass(frozen=True)
class ModelSpec:
    """A model as it was asked for; enough to load it in this process or another.

    ``ref`` is a hub id or an absolute folder, ``name`` what people call it (never a
    path). ``scheme`` is the canonical name of the scheme the model claims; a baseline
    claims ``native`` until its files say more. With ``quantize`` the backend makes
    the scheme from the full-precision weights of ``ref`` before it loads them.
    """

    ref: str
    name: str
    scheme: str
    backend: str
    revision: str | None = None
    quantize: bool = False
    args: Mapping[str, Json] = field(default_factory=dict, repr=False)

    @property
    def role(self) -> str:
        """``baseline`` or ``quantized``, as people and ``--quant-backend-arg`` say."""
        return "baseline" if self.scheme in BASELINE_SCHEMES else "quantized"

    @property
    def made_by_argument(self) -> bool:
        """Whether an engine argument says how the model is quantized while it is loaded."""
        return not _MAKING.isdisjoint(self.args)

    def key(self) -> tuple[object, ...]:
        """Equal for two specs that load the same thing."""
        args = tuple(sorted((name, repr(value)) for name, value in self.args.items()))
        return (self.ref, self.revision, self.scheme, self.backend, self.quantize, args)


_MAKING = frozenset({"quantization_config", "quantization"})

BASELINE_SCHEMES = ("native", "bf16", "fp16", "fp32")

UNVERIFIED = "unverified"
"""The mode of a model that others run: what its weights are is hearsay."""


@dataclass(frozen=True)
class ModelIdentity:
    """What a model's files say before anything is loaded.

    ``shapes`` holds the figures of config.json that decide the architecture
    (hidden_size, num_hidden_layers, ...). Digests are sha256 in hex;
    ``template_digest`` is None without a chat template. ``dtype`` is the type the
    full-precision tensors will be computed in (``bfloat16``), or `UNSTATED` where a
    quantized model is computed in what each engine's kernels choose.
    """

    name: str
    revision: str | None
    architecture: str
    vocab_size: int
    shapes: Mapping[str, int]
    dtype: str
    tokenizer_digest: str
    template_digest: str | None
    weights_digest: str


UNSTATED = "unstated"
"""The compute type of files that say none, such as quantized ones of llama.cpp."""


@dataclass(frozen=True)
class EffectiveScheme:
    """What the engine really loaded and runs.

    ``scheme`` is the canonical scheme name that the loaded modules amount to, None
    when they match no known scheme. ``mode`` is ``full precision``, ``native``,
    ``weight-only fallback`` or ``emulated``. ``quantized_layers`` of
    ``linear_layers`` hold quantized weights.
    """

    scheme: str | None
    weights: str
    activations: str
    kv_cache: str
    kernel: str
    mode: str
    quantized_layers: int
    linear_layers: int


@dataclass(frozen=True)
class Machine:
    """Where a model ran: ``kind`` is ``cpu``, ``cuda``, ...; no host or user name."""

    kind: str
    accelerator: str
    count: int = 1
    driver: str | None = None


@dataclass(frozen=True)
class Software:
    """The engine and the versions a comparison must agree on (package -> version)."""

    backend: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class AccuracyRequest:
    """What ``compare_accuracy`` was asked to evaluate; None leaves it to the task.

    ``apply_chat_template`` None means: on for generate-until tasks when the tokenizer
    has a template. ``include_paths`` are folders with the user's own task files.
    """

    task: str
    num_fewshot: int | None = None
    apply_chat_template: bool | str | None = None
    fewshot_as_multiturn: bool | None = None
    system_instruction: str | None = None
    gen_kwargs: Mapping[str, Json] = field(default_factory=dict)
    repeats: int = 1
    seed: int = 1234
    include_paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """One metric as lm-eval spells it, ``exact_match,strict-match``.

    ``higher_is_better`` is None where the direction is unknown; no gate judges such a metric.
    """

    name: str
    higher_is_better: bool | None
    kind: str
    """``binary`` (each score 0 or 1), ``mean`` (a number per item, averaged),
    ``perplexity`` (a log-likelihood and a weight per item), or ``aggregate`` (F1, BLEU:
    a value over all items and no score per item)."""


@dataclass(frozen=True)
class Protocol:
    """How a task was put to the model: everything that must agree to compare.

    ``config_digest`` covers the task's own file after overrides (prompts, filters,
    metrics, generation arguments), ``total_items`` is what the whole task has.
    ``chat_template`` is ``off``, ``on`` or the template's name. ``code_files`` are the
    project's own files that ``config_digest`` covers, each with a digest, and
    ``code_packages`` the versions of what they and the task's metrics import from outside;
    both are empty where an older version recorded.
    """

    task: str
    task_version: str
    output_type: str
    num_fewshot: int
    chat_template: str
    template_digest: str | None
    fewshot_as_multiturn: bool
    system_instruction_digest: str | None
    gen_kwargs: Mapping[str, Json]
    repeats: int
    seed: int
    config_digest: str
    metrics: tuple[Metric, ...]
    total_items: int
    code_files: Mapping[str, str] = field(default_factory=dict)
    code_packages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Items:
    """The items of a measurement in their permuted order; all columns equally long.

    A column is a tuple, or reads like one (`columns`: what was stored may be large).

    ``scores`` maps a metric to one number per item. For a ``perplexity`` metric the
    number is the item's log-likelihood and ``weights`` holds its divisor (words,
    bytes) per item; other metrics have no weights.

    ``facts`` is what was noted of each item beside its scores: ``likelihood`` (the sum of the
    log-likelihoods of its choices, where the engine's weights cannot be read), ``tokens`` (how
    many were scored, by the engine's own tokenizer; tasks with a perplexity metric), ``empty``
    and ``truncated`` (share of the item's answers, 0..1, that were blank or reached the limit
    of new tokens; tasks that generate), ``answer`` and ``length`` (what stands for the generated
    text, 0 for a short one, and its tokens: `core.comparison.generated_answers`), ``copy`` (a
    number per distinct item, where some are copies of others) and ``cluster`` (a number per
    shared passage; tasks where several items share one). A fact that is unknown for the task is
    absent.

    ``reruns`` holds, per further run of the same model on the same items, the scores of
    the binary and mean metrics; ``scores`` are those of the first run.
    """

    doc_ids: Sequence[int]
    digests: Sequence[str]
    scores: Columns
    weights: Columns = field(default_factory=dict)
    facts: Columns = field(default_factory=dict)
    reruns: tuple[Columns, ...] = ()

    def __len__(self) -> int:
        return len(self.digests)

    def first(self, n: int) -> Items:
        """The first ``n`` items, in order."""
        return Items(
            self.doc_ids[:n],
            self.digests[:n],
            _first(self.scores, n),
            _first(self.weights, n),
            _first(self.facts, n),
            tuple(_first(rerun, n) for rerun in self.reruns),
        )


def _first(columns: Columns, n: int) -> Columns:
    return {name: column[:n] for name, column in columns.items()}


@dataclass(frozen=True)
class Accuracy:
    """One task measured on one model.

    ``values`` are lm-eval's aggregates per metric. ``chance`` is what guessing would
    score on these items: the larger of the mean of 1/choices and the share of the
    commonest answer; 0 where that makes no sense. ``batch_size`` is the one used in
    the end, ``resumed_items`` how many came from the journal of an interrupted run.
    ``notes`` say what people must know of these numbers; they are never stored.
    """

    protocol: Protocol
    items: Items
    values: Mapping[str, float]
    chance: float
    batch_size: int
    resumed_items: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """Which model at which scheme ran where, on what software, when."""

    model: ModelIdentity
    claimed: str
    effective: EffectiveScheme
    software: Software
    machine: Machine
    recorded_at: str
    git_commit: str | None = None


@dataclass(frozen=True)
class Run:
    """One stored measurement with everything needed to compare with it later."""

    provenance: Provenance
    accuracy: Accuracy
