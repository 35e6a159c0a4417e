"""Schemes of a project's own: what their names stand for, and when files are what they claim."""

from __future__ import annotations

from itertools import product

import pytest

from pytest_quantreg.core.errors import WrongUse
from pytest_quantreg.core.schemes.catalogue import Catalogue, ProjectScheme
from pytest_quantreg.core.schemes.names import Quantization, resolve, same_identity
from pytest_quantreg.core.schemes.words import describe, described, kind, understood

from ...wording import says, wrong_use

INT3 = Quantization("int", 3, "group", group_size=64)
OURS = ProjectScheme("our-int4", "w4a16-int4-gptq", aliases=("o4",))
NAMELESS = ProjectScheme("our-int3", described(INT3, None), makeable=False)
CACHED = ProjectScheme("cached", "w8a8-fp8+kv-fp8")
CATALOGUE = Catalogue((OURS, NAMELESS, CACHED))


@pytest.mark.parametrize("spelling", ["our-int4", "OUR_INT4", "int4 our", "o4", "O4"])
def test_own_names_in_any_spelling(spelling: str) -> None:
    """Case, separators and the order of words are as free as for built-in names."""
    choice = CATALOGUE.choose(spelling)
    assert (choice.name, choice.method) == ("our-int4", "gptq")
    assert choice.scheme is resolve("w4a16-int4").scheme
    assert CATALOGUE.claims(spelling) == "w4a16-int4-gptq"
    assert CATALOGUE.is_project_scheme(spelling)


def test_built_in_names_stay_what_they_are() -> None:
    """A catalogue of own schemes changes nothing about the others."""
    assert CATALOGUE.choose("FP8") == resolve("FP8")
    assert CATALOGUE.claims("w8a8-fp8-gptq") == "w8a8-fp8-gptq"
    assert not CATALOGUE.is_project_scheme("w8a8-fp8")


def test_own_schemes_may_claim_a_quantized_cache() -> None:
    """What the claim says of the KV cache holds for the own name."""
    choice = CATALOGUE.choose("cached")
    assert (choice.name, choice.kv, choice.identity) == ("cached", "fp8", "w8a8-fp8+kv-fp8")


def test_unknown_names_list_own_ones_too() -> None:
    """The nearest of both kinds, and every own name among the known."""
    with pytest.raises(WrongUse) as caught:
        CATALOGUE.choose("our-int5")
    assert "nearest: our-int4, our-int3" in says(caught.value)
    assert "gguf-q4_k_m, our-int4, o4, our-int3, cached" in says(caught.value)


@pytest.mark.parametrize("words", ["int3 in groups of 64 weights", "fp6 per channel weights"])
def test_words_for_data_are_no_names_to_type(words: str) -> None:
    """Only files and definitions are called by their data."""
    assert resolve(words).name == words
    with wrong_use("unknown scheme"):
        CATALOGUE.choose(words)


def test_every_description_is_understood() -> None:
    """What `describe` writes of any data is read back as what describes the same."""
    seen = 0
    for number, bits, shared, dynamic, size, scale in product(
        ("int", "float"),
        (2, 3, 4, 6, 8),
        ("tensor", "channel", "token", "group", "block"),
        (False, True),
        (None, 16, 128),
        ("float", "e4m3", "e8m0"),
    ):
        if size is None or shared in ("group", "block"):
            quantization = Quantization(number, bits, shared, dynamic, size, scale)  # type: ignore[arg-type]
            for other in (None, quantization):
                data = understood(described(quantization, other))
                assert data is not None, describe(quantization)
                assert describe(data[0]) == describe(quantization)
                assert describe(data[1]) == describe(other)
                seen += 1
    assert seen == 1080


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int3 in groups of 64",
        "int3 in heaps of 64 weights",
        "int in groups weights",
        "w8a8-fp8 weights",
        "unquantized weights",
        "int3 in groups weights with something activations",
        "bitsandbytes fp4",
        "torchao Thing (not a known scheme)",
    ],
)
def test_other_words_mean_nothing(text: str) -> None:
    """A text that `described` cannot have written is not taken for data."""
    assert understood(text) is None


def test_nameless_data_is_compared_by_its_kind() -> None:
    """Bits and types decide, the size of groups does not, as for schemes with names."""
    claim = CATALOGUE.claims("our-int3")
    assert same_identity(claim, described(INT3, None))
    assert same_identity(claim, "int3 in groups of 128 weights")
    assert same_identity(claim, "int3 per channel weights")
    assert not same_identity(claim, "int3 in blocks of 128 weights")
    assert not same_identity(claim, "int2 in groups of 64 weights")
    assert not same_identity(claim, "int3 in groups weights with int8 per token activations")
    assert not same_identity(claim, "int3 in groups of 64 weights+kv-fp8")
    assert not same_identity(claim, "w4a16-int4")
    assert same_identity(f"{claim}+kv-fp8", "int3 in groups of 64 weights+kv-fp8")


def test_words_for_known_data_are_that_scheme() -> None:
    """A scheme that has a name is called by it, however it is written out."""
    assert resolve("int4 in groups of 32 weights").name == "w4a16-int4"
    assert same_identity("int4 in groups of 32 weights", "w4a16-int4")


def test_a_cache_alone_may_be_quantized() -> None:
    """bf16+kv-fp8 is files without quantized weights, with scales of the cache or without."""
    assert same_identity("bf16+kv-fp8", "unquantized")
    assert same_identity("bf16+kv-fp8", "unquantized+kv-fp8")
    assert not same_identity("bf16+kv-fp8", "w8a8-fp8+kv-fp8")
    assert not same_identity("bf16+kv-fp8", "unquantized+kv-int8")


def test_kinds_tell_blocks_from_groups() -> None:
    """What shares a scale matters only where it is a block."""
    assert kind(INT3) == kind(Quantization("int", 3, "channel"))
    assert kind(INT3) != kind(Quantization("int", 3, "block", group_size=64))
    assert kind(None) is None
