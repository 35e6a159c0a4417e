"""Which schemes engines have kernels for: the rules, and that the tables are whole."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from pytest_quantreg.core.hardware.accelerators import Accelerator
from pytest_quantreg.core.hardware.kernel_rules import Engine, Form, Rule, Where
from pytest_quantreg.core.hardware.kernels import ENGINES, runs_as
from pytest_quantreg.core.hardware.kernels_vllm import VLLM
from pytest_quantreg.core.schemes.names import SCHEMES

from ...wording import wrong_use

CPU = Accelerator("AMD EPYC", "cpu", features=("avx512_bf16", "avx512_vnni"))
AMX = replace(CPU, features=("amx_tile", "amx_int8"))
QUANTIZED = [scheme.name for scheme in SCHEMES if scheme.is_quantized]


def card(capability: str) -> Accelerator:
    """A card of compute capability ``8.6``, or of an architecture ``gfx942``."""
    if capability.startswith("gfx"):
        return Accelerator("AMD card", "rocm", gfx=capability)
    major, minor = capability.split(".")
    return Accelerator("NVIDIA card", "cuda", capability=(int(major), int(minor)))


@pytest.mark.parametrize(
    ("scheme", "capability", "mode"),
    [
        ("w8a8-int8", "7.0", "no kernel"),
        ("w8a8-int8", "7.5", "native"),
        ("w8a8-int8", "8.6", "native"),
        ("w8a8-int8", "9.0", "native"),
        ("w8a8-int8", "10.0", "no kernel"),
        ("w8a8-int8", "12.0", "no kernel"),
        ("w8a8-fp8", "7.0", "no kernel"),
        ("w8a8-fp8", "7.5", "weight-only fallback"),
        ("w8a8-fp8", "8.6", "weight-only fallback"),
        ("w8a8-fp8", "8.9", "native"),
        ("w8a8-fp8", "12.0", "native"),
        ("w8a8-fp8-block", "8.0", "weight-only fallback"),
        ("w8a8-fp8-block", "8.9", "weight-only fallback"),
        ("w8a8-fp8-block", "9.0", "native"),
        ("w4a16-int4", "8.0", "native"),
        ("w4a16-int4", "7.0", "not known"),
        ("w4a8-fp8", "8.9", "no kernel"),
        ("w4a8-fp8", "9.0", "native"),
        ("w4a8-fp8", "10.0", "no kernel"),
        ("w4a4-nvfp4", "9.0", "weight-only fallback"),
        ("w4a4-nvfp4", "10.0", "native"),
        ("w4a4-mxfp4", "7.5", "no kernel"),
        ("w4a4-mxfp4", "8.0", "weight-only fallback"),
        ("w8a8-mxfp8", "10.3", "native"),
        ("w8a8-fp8", "gfx90a", "no kernel"),
        ("w8a8-fp8", "gfx942", "native"),
        ("w8a8-fp8", "gfx1201", "native"),
        ("w4a4-mxfp4", "gfx950", "native"),
        ("w4a4-mxfp4", "gfx942", "emulated"),
        ("bnb-nf4", "8.0", "not known"),
    ],
)
def test_vllm_by_capability(scheme: str, capability: str, mode: str) -> None:
    """vLLM's spans begin and end where its documentation and sources say."""
    choice = runs_as(scheme, "vllm", "0.33.0", card(capability))
    assert choice.mode == mode
    assert choice.source
    assert choice.loads == (mode != "no kernel")


@pytest.mark.parametrize(
    ("scheme", "capability", "runs"),
    [
        ("w8a8-fp8", "8.6", "w8a16-fp8"),
        ("w8a8-fp8", "8.9", "w8a8-fp8"),
        ("w4a4-nvfp4", "8.0", "w4a16-nvfp4"),
        ("w4a16-mxfp4", "8.0", "w4a16-mxfp4"),
        ("w4a16-mxfp4", "10.0", "w4a4-mxfp4"),
        ("w8a8-fp8-block", "8.6", None),
        ("w8a8-int8", "10.0", None),
    ],
)
def test_what_it_amounts_to(scheme: str, capability: str, runs: str | None) -> None:
    """A fallback names the scheme that runs in truth, or none where it has no name."""
    assert runs_as(scheme, "vllm", "0.32.1", card(capability)).runs_as == runs


@pytest.mark.parametrize(
    ("scheme", "mode"),
    [
        ("w8a8-int8", "native"),
        ("w4a16-int4", "native"),
        ("w8a8-fp8", "native"),
        ("w8a16-int8", "no kernel"),
        ("w8a8-fp8-block", "no kernel"),
        ("w4a16-nvfp4", "no kernel"),
    ],
)
def test_vllm_on_a_cpu_as_measured(scheme: str, mode: str) -> None:
    """What was tried with vLLM on a CPU stands in the table as measured."""
    choice = runs_as(scheme, "vllm", "0.32.0+cpu", CPU)
    assert (choice.mode, choice.measured) == (mode, True)


def test_a_rule_may_hold_for_one_release() -> None:
    """On a CPU with AMX tiles vLLM 0.33 drops the activations that 0.32 still quantized."""
    assert runs_as("w8a8-fp8", "vllm", "0.32.0", AMX).mode == "native"
    assert runs_as("w8a8-fp8", "vllm", "0.33.0", AMX).mode == "weight-only fallback"
    assert runs_as("w8a8-fp8", "vllm", "0.33.0", CPU).mode == "native"


@pytest.mark.parametrize(
    ("engine", "version", "scheme", "mode", "needs"),
    [
        ("transformers", "5.17.0", "w8a8-int8", "emulated", "compressed-tensors"),
        ("transformers", "5.23.1", "w4a16-nvfp4", "emulated", "compressed-tensors"),
        ("transformers", "5.17.0", "bnb-nf4", "native", "bitsandbytes"),
        ("torchao", "0.18.0", "w8a8-int8", "native", None),
        ("torchao", "0.18.0", "w8a8-fp8", "no kernel", None),
        ("torchao", "0.18.0", "w4a16-int4", "no kernel", None),
        ("llamacpp", "0.3.36", "gguf-q4_k_m", "native", None),
    ],
)
def test_other_engines_on_a_cpu_as_measured(
    engine: str, version: str, scheme: str, mode: str, needs: str | None
) -> None:
    """transformers emulates, torchao and llama.cpp compute, as tried on a CPU."""
    choice = runs_as(scheme, engine, version, CPU)
    assert (choice.mode, choice.needs, choice.measured) == (mode, needs, True)


@pytest.mark.parametrize(
    ("scheme", "method", "mode", "packages"),
    [
        ("w4a16-int4", "gptq", "native", ("gptqmodel", "optimum")),
        ("w4a16-int4", "awq", "native", ("gptqmodel",)),
        ("w4a16-int4", "auto-round", "not known", ("auto-round",)),
        ("w4a16-int4", "compressed-tensors", "emulated", ("compressed-tensors",)),
        ("w8a8-fp8-block", "fp8", "no kernel", ()),
        ("w8a8-fp8", "fbgemm_fp8", "no kernel", ()),
        ("w8a8-fp8", "modelopt", "no kernel", ()),
        ("w4a16-int4", "hqq", "not known", ()),
        ("bnb-nf4", "bitsandbytes", "native", ("bitsandbytes",)),
    ],
)
def test_the_method_of_files_decides_in_transformers(
    scheme: str, method: str, mode: str, packages: tuple[str, ...]
) -> None:
    """Each kind of files has a loader of its own there, and packages that it needs."""
    choice = runs_as(scheme, "transformers", "5.17.0", CPU, form=Form(method))
    assert (choice.mode, choice.packages) == (mode, packages)


def test_scales_of_activations_in_the_files_decide_on_a_cpu() -> None:
    """vLLM on a CPU scales FP8 activations while it runs, and has no kernel for fixed scales."""
    for static, mode in ((False, "native"), (True, "no kernel")):
        choice = runs_as("w8a8-fp8", "vllm", "0.32.0", CPU, form=Form(static=static))
        assert (choice.mode, choice.measured) == (mode, True)
    card89 = runs_as("w8a8-fp8", "vllm", "0.32.0", card("8.9"), form=Form(static=True))
    assert card89.mode == "native"


def test_method_and_cache_do_not_matter() -> None:
    """Suffixes of a name are not what kernels are chosen by; aliases are understood."""
    plain = runs_as("w4a16-int4", "vllm", "0.33.0", card("8.0"))
    assert runs_as("INT4_W4A16_AWQ", "vllm", "0.33.0", card("8.0")) == plain
    assert runs_as("w4a16-int4+kv-fp8", "vllm", "0.33.0", card("8.0")) == plain


@pytest.mark.parametrize("scheme", ["bf16", "native", "fp16"])
def test_baselines_run_in_full_precision(scheme: str) -> None:
    """A scheme that quantizes nothing needs no kernel."""
    choice = runs_as(scheme, "vllm", "0.33.0", card("8.0"))
    assert (choice.mode, choice.loads, choice.runs_as) == ("full precision", True, scheme)


@pytest.mark.parametrize(
    ("engine", "version", "device", "why"),
    [
        ("vllm", "0.31.2", card("9.0"), "vllm 0.32 to 0.33, not for 0.31.2"),
        ("vllm", "0.34.0", card("9.0"), "not for 0.34.0"),
        ("vllm", "main", card("9.0"), "not for main"),
        ("vllm", "1!0.33.0", card("9.0"), "not for 1!0.33.0"),
        ("torchao", "0.17.0", CPU, "torchao 0.18, not for 0.17.0"),
        ("exotic", "1.0", CPU, "no table of the kernels of exotic"),
        ("vllm", "0.33.0", Accelerator("NVIDIA card", "cuda"), "nothing of this device"),
        ("vllm", "0.33.0", Accelerator("AMD card", "rocm"), "nothing of this device"),
        ("vllm", "0.33.0", Accelerator("Apple M4 GPU", "mps"), "nothing of this device"),
    ],
)
def test_what_the_tables_do_not_know(
    engine: str, version: str, device: Accelerator, why: str
) -> None:
    """Another release, an unknown engine or device: not known, never refused."""
    choice = runs_as("w4a8-fp8", engine, version, device)
    assert (choice.mode, choice.loads, choice.runs_as) == ("not known", True, None)
    assert why in choice.why


def test_unknown_scheme_is_wrong_use() -> None:
    """A scheme that no table could have is refused with the nearest names."""
    with wrong_use("unknown scheme 'w9a9'"):
        runs_as("w9a9", "vllm", "0.33.0", CPU)


RULES = [(engine, rule) for engine in ENGINES for rule in engine.rules]


def test_every_rule_is_about_known_schemes_and_has_a_source() -> None:
    """No row has a misspelt scheme, lacks its source, or leaves a refusal unexplained."""
    for engine, rule in RULES:
        assert set(rule.schemes) <= set(QUANTIZED), rule
        assert rule.source, rule
        assert rule.why or rule.mode == "native", rule
        assert bool(rule.kernel) == (rule.mode not in ("no kernel", "not known")), rule
        assert rule.runs_as in (None, "", *QUANTIZED), rule
        assert not rule.measured or rule.where.kind == "cpu", rule
        assert engine.releases[0] < engine.releases[1]


@pytest.mark.parametrize("where", ["7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0"])
def test_vllm_says_something_of_every_scheme_on_cuda(where: str) -> None:
    """The table has a row for each scheme on each generation of cards."""
    for scheme in QUANTIZED:
        assert runs_as(scheme, "vllm", "0.33.0", card(where)).source, scheme


@pytest.mark.parametrize("where", ["gfx90a", "gfx942", "gfx950", "gfx1100", "gfx1201"])
def test_vllm_says_something_of_every_scheme_on_rocm(where: str) -> None:
    """The table has a row for each scheme on each of AMD's architectures."""
    for scheme in QUANTIZED:
        assert runs_as(scheme, "vllm", "0.33.0", card(where)).source, scheme


def test_every_rule_decides_somewhere() -> None:
    """No row is hidden behind an earlier one: each is what some device and release get."""
    devices = [card(f"{major}.{minor}") for major in range(5, 13) for minor in (0, 5, 6, 9)]
    devices += [card(gfx) for gfx in ("gfx908", "gfx90a", "gfx942", "gfx950", "gfx1201")]
    devices += [CPU, AMX, Accelerator("Arc", "xpu"), Accelerator("Apple M4 GPU", "mps")]
    assert [rule for engine, rule in RULES if not _decides_somewhere(engine, rule, devices)] == []


def _decides_somewhere(engine: Engine, rule: Rule, devices: list[Accelerator]) -> bool:
    alone = [replace(engine, rules=(rule,))]
    (major, first), (_, before) = engine.releases
    for version in (f"{major}.{minor}.0" for minor in range(first, before)):
        for device in devices:
            for scheme, form in product(rule.schemes, _forms(rule)):
                choice = runs_as(scheme, engine.name, version, device, alone, form=form)
                whole = runs_as(scheme, engine.name, version, device, form=form)
                if choice.source and choice == whole:
                    return True
    return False


def _forms(rule: Rule) -> list[Form]:
    return [Form(method, rule.static) for method in rule.methods or (Form().method,)]


def test_spans_include_both_ends() -> None:
    """The first and the last capability belong to a span."""
    span = Where("cuda", (7, 5), (9, 0))
    held = [
        capability
        for capability in ("7.4", "7.5", "8.9", "9.0", "9.1")
        if span.holds(card(capability))
    ]
    assert held == ["7.5", "8.9", "9.0"]


def test_newest_release_of_a_table() -> None:
    """The page shows what a table speaks for when the engine is absent."""
    assert (VLLM.newest, VLLM.known_releases) == ("0.33", "0.32 to 0.33")
