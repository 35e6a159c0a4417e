"""What must be equal, what is told, what is ignored, and how versions and GPUs are read."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantreg.core.comparison.comparability import (
    RULES,
    Candidate,
    Difference,
    Level,
    aligned,
    compare_runs,
    refusal,
)
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.hardware.accelerators import gpu_family
from pytest_quantreg.core.hardware.releases import minor_release, same_minor
from pytest_quantreg.core.records.run import (
    Accuracy,
    EffectiveScheme,
    Items,
    Machine,
    Metric,
    ModelIdentity,
    Protocol,
    Provenance,
    Run,
    Software,
)
from pytest_quantreg.report.words import words_of

from ...wording import says, shown


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


MODEL = ModelIdentity(
    name="org/tiny",
    revision="3f2a9c1",
    architecture="LlamaForCausalLM",
    vocab_size=1024,
    shapes={"hidden_size": 256, "num_hidden_layers": 4},
    dtype="bfloat16",
    tokenizer_digest=_sha("tokenizer"),
    template_digest=None,
    weights_digest=_sha("weights"),
)
SOFTWARE = Software(
    "transformers",
    {"transformers": "5.17.0", "lm_eval": "0.4.13", "torch": "2.13.0+cpu"},
)
MACHINE = Machine("cuda", "NVIDIA H100 80GB HBM3", 1, "570.1")
PROTOCOL = Protocol(
    task="recall",
    task_version="1.0",
    output_type="multiple_choice",
    num_fewshot=3,
    chat_template="off",
    template_digest=None,
    fewshot_as_multiturn=False,
    system_instruction_digest=None,
    gen_kwargs={"until": ["\n"], "temperature": 0},
    repeats=1,
    seed=1234,
    config_digest=_sha("config"),
    metrics=(Metric("acc,none", True, "binary"), Metric("acc_norm,none", True, "binary")),
    total_items=100,
)
ITEMS = Items(
    tuple(range(20, 0, -1)),
    tuple(_sha(str(doc)) for doc in range(20, 0, -1)),
    {"acc,none": (1.0,) * 20, "acc_norm,none": (0.0,) * 20},
)
BASELINE = Run(
    Provenance(
        MODEL,
        "bf16",
        EffectiveScheme("bf16", "bf16", "bf16", "bf16", "torch", "full precision", 0, 28),
        SOFTWARE,
        MACHINE,
        "2026-01-02T03:04:05Z",
    ),
    Accuracy(PROTOCOL, ITEMS, {"acc,none": 1.0, "acc_norm,none": 0.0}, 0.25, 8),
)
CANDIDATE = Candidate(
    replace(MODEL, name="org/tiny-w8a8", revision="other", weights_digest=_sha("quantized")),
    SOFTWARE,
    MACHINE,
    PROTOCOL,
    ITEMS,
    8,
    MODEL,
)


def _model(**changes: Any) -> Candidate:
    return replace(CANDIDATE, model=replace(CANDIDATE.model, **changes))


def _protocol(**changes: Any) -> Candidate:
    return replace(CANDIDATE, protocol=replace(PROTOCOL, **changes))


def _versions(**versions: str) -> Candidate:
    return replace(CANDIDATE, software=Software("transformers", versions))


def _machine(*parts: Any) -> Candidate:
    return replace(CANDIDATE, machine=Machine(*parts))


def _only(candidate: Candidate, *, drift: str = "refuse") -> Difference:
    (difference,) = compare_runs(BASELINE, candidate, drift=drift)
    return difference


def test_a_quantized_copy_compares() -> None:
    """Another name, history and weights are what a quantized checkpoint has; nothing is said."""
    assert compare_runs(BASELINE, CANDIDATE) == []
    assert CANDIDATE.complete
    assert refusal([], "w8a8-int8 recall") is None


def test_every_field_of_a_run_has_its_rule() -> None:
    """Nothing that is recorded is forgotten: each field is refused, told or ignored by a rule."""
    known = {rule.field for rule in RULES}
    assert len(known) == len(RULES)
    expected = {
        *(f"model.{item.name}" for item in fields(ModelIdentity)),
        *(f"machine.{item.name}" for item in fields(Machine)),
        *(f"protocol.{item.name}" for item in fields(Protocol)),
        *(item.name for item in fields(Provenance)),
        *(item.name for item in fields(Accuracy)),
    } - {"model", "software", "machine", "protocol", "items"}
    assert expected <= known
    assert all(words_of(rule.why).what for rule in RULES)
    assert all(rule.way_out for rule in RULES if rule.level is Level.REFUSE)
    assert all(rule.level is Level.REFUSE for rule in RULES if rule.drift)


REFUSED: list[tuple[Candidate, str, str, str]] = [
    (_model(architecture="Qwen3"), "model.architecture", "LlamaForCausalLM", "Qwen3"),
    (_model(vocab_size=1025), "model.vocab_size", "1024", "1025"),
    (_model(shapes={**MODEL.shapes, "hidden_size": 512}), "model.hidden_size", "256", "512"),
    (_model(shapes={}), "model.shapes", "['hidden_size', 'num_hidden_layers']", "[]"),
    (
        _model(tokenizer_digest="0" * 64),
        "model.tokenizer_digest",
        _sha("tokenizer")[:12],
        "0" * 12,
    ),
    (_model(dtype="float16"), "model.dtype", "bfloat16", "float16"),
    (
        replace(CANDIDATE, base=replace(MODEL, weights_digest="1" * 64)),
        "base.weights_digest",
        _sha("weights")[:12],
        "1" * 12,
    ),
    (
        replace(CANDIDATE, software=replace(SOFTWARE, backend="vllm")),
        "software.backend",
        "transformers",
        "vllm",
    ),
    (_machine("cpu", "x86_64"), "machine.kind", "cuda", "cpu"),
    (_protocol(task="sum"), "protocol.task", "recall", "sum"),
    (_protocol(task_version="2.0"), "protocol.task_version", "1.0", "2.0"),
    (
        _protocol(output_type="generate_until"),
        "protocol.output_type",
        "multiple_choice",
        "generate_until",
    ),
    (_protocol(num_fewshot=0), "protocol.num_fewshot", "3", "0"),
    (_protocol(chat_template="on"), "protocol.chat_template", "off", "on"),
    (_protocol(template_digest="2" * 64), "protocol.template_digest", "none", "2" * 12),
    (_protocol(fewshot_as_multiturn=True), "protocol.fewshot_as_multiturn", "False", "True"),
    (
        _protocol(system_instruction_digest="3" * 64),
        "protocol.system_instruction_digest",
        "none",
        "3" * 12,
    ),
    (
        _protocol(gen_kwargs={"until": ["\n"], "temperature": 1}),
        "protocol.gen_kwargs",
        "{'until': ['\\n'], 'temperature': 0}",
        "{'until': ['\\n'], 'temperature': 1}",
    ),
    (_protocol(repeats=2), "protocol.repeats", "1", "2"),
    (_protocol(seed=1), "protocol.seed", "1234", "1"),
    (_protocol(config_digest="4" * 64), "protocol.config_digest", _sha("config")[:12], "4" * 12),
    (
        _protocol(metrics=PROTOCOL.metrics[:1]),
        "protocol.metrics",
        "acc,none acc_norm,none",
        "acc,none",
    ),
    (_protocol(total_items=99), "protocol.total_items", "100", "99"),
]


@pytest.mark.parametrize(
    ("candidate", "field", "ours", "theirs"), REFUSED, ids=[case[1] for case in REFUSED]
)
@pytest.mark.parametrize("drift", ["refuse", "warn"])
def test_what_must_be_equal_is_refused_with_both_values(
    candidate: Candidate, field: str, ours: str, theirs: str, drift: str
) -> None:
    """One line names the field, both values and why; drift relaxes versions only."""
    difference = _only(candidate, drift=drift)
    assert (difference.level, difference.field) == (Level.REFUSE, field)
    assert (shown(difference.baseline), shown(difference.candidate)) == (ours, theirs)
    line = shown(difference.problem)
    assert line.startswith(f"{field}: baseline {ours}, now {theirs} (")
    assert "\n" not in line


TOLD: list[tuple[Candidate, str]] = [
    (_versions(**{**SOFTWARE.versions, "transformers": "5.17.4"}), "transformers version"),
    (_versions(**{**SOFTWARE.versions, "lm_eval": "0.4.12"}), "lm_eval version"),
    (_versions(**{**SOFTWARE.versions, "torch": "2.14.0"}), "torch version"),
    (
        _versions(**{**SOFTWARE.versions, "compressed-tensors": "0.19.0"}),
        "compressed_tensors version",
    ),
    (_machine("cuda", "NVIDIA H200", 1, "570.1"), "machine.accelerator"),
    (_machine("cuda", "NVIDIA H100 80GB HBM3", 2, "570.1"), "machine.count"),
    (_machine("cuda", "NVIDIA H100 80GB HBM3", 1, "580.2"), "machine.driver"),
    (replace(CANDIDATE, batch_size=4), "batch_size"),
    (replace(CANDIDATE, base=replace(MODEL, revision="newer")), "base.revision"),
    (_model(shapes={**MODEL.shapes, "head_dim": 64}), "model.head_dim"),
    (_model(shapes={"hidden_size": 256}), "model.num_hidden_layers"),
]


@pytest.mark.parametrize(("candidate", "field"), TOLD, ids=[case[1] for case in TOLD])
def test_what_moves_results_little_is_told(candidate: Candidate, field: str) -> None:
    """It stands in the list, and alone it refuses nothing."""
    difference = _only(candidate)
    assert (difference.level, shown(difference.field)) == (Level.TELL, field)
    assert refusal([difference], "x") is None


@pytest.mark.parametrize(
    ("package", "old", "new"),
    [
        ("transformers", "5.17.0", "5.18.0"),
        ("transformers", "5.17.0", "5.18.0.dev0"),
        ("transformers", "5.17.0", "6.17.0"),
        ("lm_eval", "0.4.13", "0.5.0"),
        ("lm-eval", "0.4.13", "0.5.0"),
        ("vllm", "0.32.0", "0.33.0+cu128"),
        ("llama-cpp-python", "0.3.36", "0.4.0"),
        ("transformers", "5.17.0", "main"),
        ("transformers", "5.17.0", None),
        ("vllm", None, "0.32.0"),
    ],
)
def test_another_minor_version_is_refused_unless_drift_is_allowed(
    package: str, old: str | None, new: str | None
) -> None:
    """Engine, transformers and lm-eval must share their minor release; a missing one does not."""
    others = {name: text for name, text in SOFTWARE.versions.items() if name != package}
    provenance = BASELINE.provenance
    ours = Software("transformers", {**others, package: old} if old else others)
    baseline = replace(BASELINE, provenance=replace(provenance, software=ours))
    theirs = Software("transformers", {**others, package: new} if new else others)
    candidate = replace(CANDIDATE, software=theirs)
    for drift, level in (("refuse", Level.REFUSE), ("warn", Level.TELL)):
        differences = compare_runs(baseline, candidate, drift=drift)
        # lm-eval spelt either way is one package, so it meets the other spelling's version.
        (difference,) = [entry for entry in differences if entry.level is level]
        assert shown(difference.field) == f"{package.replace('-', '_')} version"
        assert (difference.baseline, difference.candidate) == (old or "none", new or "none")


@pytest.mark.parametrize(
    ("ours", "theirs", "named"),
    [
        ({"a.py": "1", "b/c.py": "2"}, {"a.py": "1", "b/c.py": "3"}, " (changed: b/c.py)"),
        ({"a.py": "1"}, {"a.py": "2", "b.py": "3"}, " (changed: a.py, b.py)"),
        ({"a.py": "1"}, {"a.py": "1"}, ""),
        ({}, {"a.py": "1"}, ""),
    ],
)
def test_the_file_of_a_changed_task_is_named(
    ours: dict[str, str], theirs: dict[str, str], named: str
) -> None:
    """As far as both sides list their files; older baselines list none."""
    accuracy = replace(BASELINE.accuracy, protocol=replace(PROTOCOL, code_files=ours))
    candidate = _protocol(config_digest="4" * 64, code_files=theirs)
    (difference,) = compare_runs(replace(BASELINE, accuracy=accuracy), candidate)
    assert shown(difference.field) == f"protocol.config_digest{named}"
    assert difference.level is Level.REFUSE


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ({"sympy": "1.13"}, {"sympy": "1.14"}, ["sympy version: baseline 1.13, now 1.14"]),
        ({"sympy": "1.13"}, {"nltk": "3.9"}, ["nltk version: baseline none", "sympy version"]),
        ({"sympy": "1.13"}, {"sympy": "1.13"}, []),
        ({}, {"sympy": "1.14"}, []),
    ],
)
def test_other_versions_of_scoring_packages_were_not_told(
    ours: dict[str, str], theirs: dict[str, str], told: list[str]
) -> None:
    """They refuse nothing; a baseline that was recorded without them is not told of."""
    accuracy = replace(BASELINE.accuracy, protocol=replace(PROTOCOL, code_packages=ours))
    differences = compare_runs(
        replace(BASELINE, accuracy=accuracy), _protocol(code_packages=theirs)
    )
    assert all(difference.level is Level.TELL for difference in differences)
    assert [
        shown(difference.problem).startswith(words)
        for difference, words in zip(differences, told, strict=True)
    ] == [True] * len(told)


def test_drift_has_two_values() -> None:
    """A third one is a bug of the caller."""
    with pytest.raises(ValueError, match="drift is"):
        compare_runs(BASELINE, CANDIDATE, drift="ignore")


def test_what_is_not_known_yet_is_not_looked_at() -> None:
    """Before a model loads only identity and software can be compared."""
    early = Candidate(CANDIDATE.model, SOFTWARE)
    assert compare_runs(BASELINE, early) == []
    assert not early.complete
    late = replace(early, model=replace(MODEL, vocab_size=7))
    assert [difference.field for difference in compare_runs(BASELINE, late)] == ["model.vocab_size"]


def test_another_cpu_is_told_and_another_gpu_family_refused() -> None:
    """CI machines change their CPU model; another GPU family runs other kernels."""
    provenance = replace(BASELINE.provenance, machine=Machine("cpu", "AMD EPYC 7763"))
    on_cpu = replace(BASELINE, provenance=provenance)
    (told,) = compare_runs(on_cpu, _machine("cpu", "Intel Xeon 8370C"))
    assert told.level is Level.TELL
    refused = _only(_machine("cuda", "NVIDIA A100-SXM4-80GB", 1, "570.1"))
    assert (refused.level, refused.field) == (Level.REFUSE, "machine.family")
    assert (refused.baseline, refused.candidate) == (
        "NVIDIA H100 80GB HBM3",
        "NVIDIA A100-SXM4-80GB",
    )


def test_fewer_items_in_another_order_compare() -> None:
    """A baseline with more items serves any part of them, and is brought into its order."""
    part = Items((3, 18, 7), tuple(_sha(str(doc)) for doc in (3, 18, 7)), {"acc,none": (0.0,) * 3})
    assert compare_runs(BASELINE, replace(CANDIDATE, items=part)) == []
    rows = aligned(ITEMS, part)
    assert (rows.doc_ids, rows.digests) == (part.doc_ids, part.digests)
    assert rows.scores == {"acc,none": (1.0,) * 3, "acc_norm,none": (0.0,) * 3}
    with pytest.raises(KeyError):
        aligned(part, ITEMS)


def test_alignment_takes_each_items_own_scores_and_weights() -> None:
    """Scores and weights follow their item, not their place."""
    rows = Items((4, 9), ("a", "b"), {"m": (0.4, 0.9)}, {"m": (40.0, 90.0)})
    assert aligned(rows, rows.first(2)) == rows
    turned = aligned(rows, Items((9, 4), ("b", "a"), {}))
    assert turned == Items((9, 4), ("b", "a"), {"m": (0.9, 0.4)}, {"m": (90.0, 40.0)})
    noted = replace(rows, facts={"tokens": (4.0, 9.0)}, reruns=({"m": (0.1, 0.2)},))
    moved = aligned(noted, Items((9,), ("b",), {}))
    assert (moved.facts, moved.reruns) == ({"tokens": (9.0,)}, ({"m": (0.2,)},))


def test_more_items_than_recorded_are_refused_with_the_way_out() -> None:
    """It says how many are missing, and both ways: record more, or ask for fewer."""
    more = replace(
        ITEMS,
        doc_ids=(*ITEMS.doc_ids, 50, 51),
        digests=(*ITEMS.digests, _sha("50"), _sha("51")),
        scores={},
    )
    difference = _only(replace(CANDIDATE, items=more))
    assert (difference.field, shown(difference.baseline)) == ("items.missing", "20 items")
    assert shown(difference.candidate) == "22 asked, 2 not recorded, first doc 50"
    assert "--quant-update=all" in shown(difference.way_out)
    assert "--quant-limit=20" in shown(difference.way_out)


def test_other_items_than_recorded_are_refused() -> None:
    """As many items but not the same ones: no advice to ask for fewer."""
    other = Items((20, 77), (_sha("20"), _sha("77")), {})
    difference = _only(replace(CANDIDATE, items=other))
    assert shown(difference.candidate) == "2 asked, 1 not recorded, first doc 77"
    assert "--quant-limit" not in shown(difference.way_out)


def test_changed_prompts_are_counted_and_the_first_is_named() -> None:
    """The same doc_id with another digest asks something else."""
    digests = tuple("f" * 64 if doc in (17, 4) else _sha(str(doc)) for doc in ITEMS.doc_ids)
    difference = _only(replace(CANDIDATE, items=replace(ITEMS, digests=digests)))
    assert (difference.field, difference.baseline) == ("items.digests", _sha("17")[:12])
    assert shown(difference.candidate) == "ffffffffffff in 2 of 20 items, first doc 17"


@pytest.mark.parametrize("items", [Items((), (), {}), Items((1, 1), (_sha("1"),) * 2, {})])
def test_no_items_or_one_twice_is_refused(items: Items) -> None:
    """An evaluation of nothing, or one merged from overlapping parts, is no evidence."""
    difference = _only(replace(CANDIDATE, items=items))
    assert (difference.field, difference.level) == ("items.count", Level.REFUSE)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(bad: float) -> None:
    """NaN compares with nothing; metric and item are named."""
    scores = {**ITEMS.scores, "acc_norm,none": (*(0.0,) * 19, bad)}
    difference = _only(replace(CANDIDATE, items=replace(ITEMS, scores=scores)))
    assert shown(difference.candidate) == f"acc_norm,none = {bad} for doc 1"
    weights = {"acc,none": (bad, *(1.0,) * 19)}
    difference = _only(replace(CANDIDATE, items=replace(ITEMS, weights=weights)))
    assert shown(difference.candidate) == f"acc,none = {bad} for doc 20"


def test_refusals_come_first_and_make_one_message() -> None:
    """The first refused difference in the first line, then the others, then each way out once."""
    candidate = replace(
        CANDIDATE,
        model=replace(MODEL, vocab_size=7, architecture="Qwen3"),
        batch_size=1,
        protocol=replace(PROTOCOL, task_version="2.0"),
    )
    differences = compare_runs(BASELINE, candidate)
    assert [difference.level.value for difference in differences] == ["refuse"] * 3 + ["tell"]
    error = refusal(differences, "w8a8-int8 recall")
    assert error is not None
    assert error.category is Category.NOT_COMPARABLE
    assert says(error).splitlines() == [
        "w8a8-int8 recall cannot be compared with its baseline: model.architecture: "
        "baseline LlamaForCausalLM, now Qwen3 (another architecture is another model)",
        "  model.vocab_size: baseline 1024, now 7 (another vocabulary is another model)",
        "  protocol.task_version: baseline 1.0, now 2.0 (another version of the task)",
        "  name the model this was quantized from with --quant-model",
        "  record the baseline again: pytest --quant-update=all",
    ]


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("5.17.0", (0, 5, 17)),
        ("0.4.13", (0, 0, 4)),
        ("2.13.0+cpu", (0, 2, 13)),
        ("2.14.0a0+git1f2e3d4", (0, 2, 14)),
        ("0.14.0.1", (0, 0, 14)),
        ("5.18.0.dev0", (0, 5, 18)),
        ("0.33.1rc2.dev14+g0a1b2c3.cu128", (0, 0, 33)),
        ("v1.2", (0, 1, 2)),
        ("5", (0, 5, 0)),
        ("1!2.3", (1, 2, 3)),
        ("2024.10.post1", (0, 2024, 10)),
        ("3f2a9c1", None),
        ("main", None),
        ("unknown", None),
        ("", None),
        ("1.2.x", None),
    ],
)
def test_versions_are_read_as_packages_write_them(
    version: str, release: tuple[int, int, int] | None
) -> None:
    """Local parts, pre-releases and four-part versions are read; a commit hash is no version."""
    assert minor_release(version) == release


@settings(derandomize=True, deadline=None)
@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,3}(\.[0-9a-z+]{1,4}){0,4}", fullmatch=True))
def test_any_text_is_the_same_version_as_itself(version: str) -> None:
    """Comparing never raises, and equal texts are equal whatever they say."""
    assert same_minor(version, version)
    assert not same_minor(version, None)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", True),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H200", True),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100-PCIE-40GB", True),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A10", False),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A40", False),
        ("NVIDIA A40", "NVIDIA RTX A6000", True),
        ("NVIDIA L40S", "NVIDIA GeForce RTX 4090", True),
        ("NVIDIA L4", "NVIDIA T4", False),
        ("AMD Instinct MI300X", "AMD Instinct MI325X", True),
        ("AMD Instinct MI300X", "AMD Instinct MI250X", False),
        ("Some New GPU 40GB", "Some New GPU 80GB", True),
        ("Some New GPU", "Some Other GPU", False),
    ],
)
def test_gpu_families_are_those_that_run_the_same_kernels(
    first: str, second: str, same: bool
) -> None:
    """One compute capability is one family; memory size and form factor do not count."""
    assert (gpu_family(first) == gpu_family(second)) is same


def test_a_metric_that_came_out_of_another_kind_still_compares() -> None:
    """Whether scores are all 0 or 1 depends on the answers, so the kind alone is no difference."""
    metrics = tuple(replace(metric, kind="mean") for metric in PROTOCOL.metrics)
    assert compare_runs(BASELINE, _protocol(metrics=metrics)) == []
    turned = tuple(replace(metric, higher_is_better=False) for metric in PROTOCOL.metrics)
    assert _only(_protocol(metrics=turned)).field == "protocol.metrics"
