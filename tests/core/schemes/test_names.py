"""Scheme names: every spelling people use, and what counts as the same scheme."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_quantreg.core.errors import WrongUse
from pytest_quantreg.core.schemes.names import (
    AMBIGUOUS,
    METHODS,
    SCHEMES,
    Quantization,
    Scheme,
    describe,
    name_of,
    resolve,
    runs_as_claimed,
    same_identity,
)

from ...wording import says, wrong_use


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("w8a8-fp8", "w8a8-fp8"),
        ("FP8-W8A8", "w8a8-fp8"),
        ("fp8_w8a8", "w8a8-fp8"),
        (" W8A8 FP8 ", "w8a8-fp8"),
        ("fp8", "w8a8-fp8"),
        ("FP8_DYNAMIC", "w8a8-fp8"),
        ("fp8-block", "w8a8-fp8-block"),
        ("INT4-W4A16-AWQ", "w4a16-int4-awq"),
        ("int4_w4a16_awq", "w4a16-int4-awq"),
        ("int8_w8a16_rtn", "w8a16-int8-rtn"),
        ("W4A16", "w4a16-int4"),
        ("w8a8", "w8a8-int8"),
        ("W4AFP8", "w4a8-fp8"),
        ("NVFP4A16", "w4a16-nvfp4"),
        ("nvfp4", "w4a4-nvfp4"),
        ("mxfp8", "w8a8-mxfp8"),
        ("Q4_K_M", "gguf-q4_k_m"),
        ("q8_0", "gguf-q8_0"),
        ("GGUF-Q4_K_M", "gguf-q4_k_m"),
        ("load_in_8bit", "bnb-int8"),
        ("load-in-4bit", "bnb-nf4"),
        ("nf4", "bnb-nf4"),
        ("awq", "w4a16-int4-awq"),
        ("gptq", "w4a16-int4-gptq"),
        ("smoothquant", "w8a8-int8-smoothquant"),
        ("w8a8-int8-gptq-smoothquant", "w8a8-int8-smoothquant-gptq"),
        ("w8a8-fp8+kv-fp8", "w8a8-fp8+kv-fp8"),
        ("FP8+FP8_KV", "w8a8-fp8+kv-fp8"),
        ("gptq+kv-fp8", "w4a16-int4-gptq+kv-fp8"),
        ("bfloat16", "bf16"),
        ("half", "fp16"),
    ],
)
def test_spellings_resolve(spelling: str, name: str) -> None:
    """Case, separators and the order of words are free."""
    assert resolve(spelling).name == name


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_every_name_and_alias_is_its_own(scheme: Scheme) -> None:
    """Names and aliases resolve to their scheme and to no other, once and again."""
    for spelling in (scheme.name, *scheme.aliases):
        choice = resolve(spelling)
        assert choice.scheme is scheme
        assert resolve(choice.name) == choice or choice.note is not None


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.name)
def test_names_follow_from_the_data(scheme: Scheme) -> None:
    """What a scheme stores and computes leads back to its name."""
    name = name_of(scheme.weights, scheme.activations, container=scheme.container)
    assert name == (scheme.name if scheme.weights else None)


def test_all_names_of_the_field_are_there() -> None:
    """The names that options and reports use are fixed."""
    assert [scheme.name for scheme in SCHEMES] == [
        "native", "bf16", "fp16", "fp32",
        "w8a16-int8", "w8a8-int8", "w4a16-int4", "w4a8-int8",
        "w8a8-fp8", "w8a8-fp8-block", "w8a16-fp8", "w8a8-mxfp8", "w4a8-fp8",
        "w4a16-nvfp4", "w4a4-nvfp4", "w4a16-mxfp4", "w4a4-mxfp4",
        "bnb-int8", "bnb-nf4", "gguf-q8_0", "gguf-q4_k_m",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unknown", "nearest"),
    [
        ("w8a8-pf8", "nearest: w8a8-fp8"),
        ("w4a16int4", "w4a16-int4"),
        ("q4_k_n", "q4_k_m"),
        ("zzzzzz", "known: w8a16-int8, w8a8-int8"),
        ("", "known: w8a16-int8, w8a8-int8"),
        ("-", "known: w8a16-int8, w8a8-int8"),
    ],
)
def test_unknown_names_list_the_nearest(unknown: str, nearest: str) -> None:
    """The message holds the name that was meant, or all of them."""
    with wrong_use("unknown scheme") as caught:
        resolve(unknown)
    assert nearest in says(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bf16-awq", "bf16 does not go with the method awq"),
        ("gguf-q8_0-gptq", "does not go with the method gptq"),
        ("w8a8-fp8+kv-int4", "'kv-int4' is not known after"),
        ("w8a8-fp8+awq", "'awq' is not known after"),
    ],
)
def test_suffixes_that_make_no_sense(name: str, message: str) -> None:
    """A method needs a quantized checkpoint, and only the KV cache follows a plus."""
    with wrong_use(message):
        resolve(name)


@pytest.mark.parametrize(
    ("name", "method", "kv", "identity"),
    [
        ("w4a16-int4-gptq+kv-fp8", "gptq", "fp8", "w4a16-int4+kv-fp8"),
        ("w4a16-int4", None, None, "w4a16-int4"),
    ],
)
def test_methods_are_no_identity(
    name: str, method: str | None, kv: str | None, identity: str
) -> None:
    """How weights were rounded cannot be read back; what the KV cache is can."""
    choice = resolve(name)
    assert (choice.method, choice.kv, choice.identity) == (method, kv, identity)


@pytest.mark.parametrize(
    ("claimed", "stored", "same"),
    [
        ("w4a16-int4-awq", "w4a16-int4", True),
        ("awq", "w4a16-int4-gptq", True),
        ("w8a8-fp8", "w8a8-int8", False),
        ("w8a8-fp8", "w8a8-fp8-block", False),
        ("w8a8-fp8", "w8a16-fp8", False),
        ("w8a8-fp8+kv-fp8", "w8a8-fp8", True),
        ("w8a8-fp8", "w8a8-fp8+kv-fp8", False),
        ("w4a16-int4", "int3 in groups of 64 weights", False),
        ("w4a16-int4", "w4a16-int4 and w8a8-fp8", False),
    ],
)
def test_same_identity(claimed: str, stored: str, same: bool) -> None:
    """The method is ignored; bits, types, blocks and a stored KV scheme are not."""
    assert same_identity(claimed, stored) is same


@pytest.mark.parametrize(
    ("claimed", "effective", "same"),
    [
        ("w8a8-fp8-gptq", "w8a8-fp8", True),
        ("w8a8-fp8", "w8a16-fp8", False),
        ("w8a8-fp8+kv-fp8", "w8a8-fp8", False),
        ("w8a8-fp8+kv-fp8", "w8a8-fp8+kv-fp8", True),
        ("w8a8-fp8", "w8a8-fp8+kv-fp8", False),
        ("w8a8-fp8", None, False),
    ],
)
def test_runs_as_claimed(claimed: str, effective: str | None, same: bool) -> None:
    """What runs must have the KV cache of the claim, where files need not."""
    assert runs_as_claimed(claimed, effective) is same


def test_a_claim_must_be_known() -> None:
    """Only files may hold what has no name here."""
    with pytest.raises(WrongUse):
        same_identity("w5a5", "w8a8-fp8")


@pytest.mark.parametrize("size", [32, 64, 128, None])
def test_group_sizes_do_not_change_the_name(size: int | None) -> None:
    """int4 in any groups, or per channel, is w4a16-int4."""
    weights = Quantization("int", 4, "group" if size else "channel", group_size=size)
    assert name_of(weights) == "w4a16-int4"


def test_unheard_of_schemes_have_no_name() -> None:
    """Three bits, or fp8 weights with int8 activations, are nothing known."""
    assert name_of(Quantization("int", 3, "group", group_size=128)) is None
    fp8 = Quantization("float", 8, "channel")
    assert name_of(fp8, Quantization("int", 8, "token", dynamic=True)) is None


def test_unquantized_schemes_can_be_under_test() -> None:
    """bf16 resolves like any other, and says that it quantizes nothing."""
    assert not resolve("bf16").is_quantized
    assert not resolve("native").is_quantized
    assert resolve("bf16+kv-fp8").is_quantized
    assert all(resolve(s.name).is_quantized for s in SCHEMES if s.weights)


@pytest.mark.parametrize("alias", AMBIGUOUS)
def test_ambiguous_names_say_how_they_are_read(alias: str) -> None:
    """The note names the scheme that was chosen; the full name carries none."""
    choice = resolve(alias)
    assert choice.note is not None
    assert choice.name in choice.note
    assert resolve(choice.name).note is None


@pytest.mark.parametrize(
    ("quantization", "words"),
    [
        (Quantization("float", 8, "channel"), "fp8 e4m3 per channel"),
        (Quantization("float", 8, "token", dynamic=True), "fp8 e4m3 per token, dynamic"),
        (Quantization("int", 4, "group", group_size=128), "int4 in groups of 128"),
        (Quantization("float", 4, "group", group_size=16, scale="e4m3"), "nvfp4 in groups of 16"),
        (Quantization("float", 8, "group", group_size=32, scale="e8m0"), "mxfp8 in groups of 32"),
        (Quantization("float", 8, "block", group_size=128), "fp8 e4m3 in blocks of 128"),
        (Quantization("int", 8, "group"), "int8 in groups"),
        (None, "unquantized"),
    ],
)
def test_descriptions(quantization: Quantization | None, words: str) -> None:
    """A few words say type and what shares a scale."""
    assert describe(quantization) == words


def test_methods_are_known_suffixes() -> None:
    """Each method can follow a scheme that is stored as a checkpoint."""
    for method in METHODS:
        assert resolve(f"w8a8-int8-{method}").method == method


def test_schemes_are_readable_without_engines() -> None:
    """Importing the table imports none of torch, numpy and their kin."""
    code = (
        "import sys, pytest_quantreg.core.schemes.names\n"
        "print(sorted({'torch', 'numpy', 'transformers', 'compressed_tensors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
