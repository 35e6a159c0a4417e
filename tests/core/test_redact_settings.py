"""What is kept of settings that somebody wrote, and that it still compares."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantreg.core.redact_settings import is_seal, same, seal, sealed

PLAIN: list[Any] = [
    0,
    True,
    None,
    0.5,
    "test",
    ["\n\n", "<|im_end|>", "</think>"],
    {"max_gen_toks": 256, "until": ["Question:"]},
]

PRIVATE: list[Any] = [
    "/home/someone/adapter",
    "~/models",
    "C:\\models\\x",
    "https://user:pw@host/v1",
    "someone@example.org",
    {"peft": "/srv/x"},
    {"/srv/x": 1},
    ["fine", ["../up"]],
    "a" * 81,
]


@pytest.mark.parametrize("value", PLAIN, ids=str)
def test_plain_values_stay(value: Any) -> None:
    """Numbers, stop words and short settings are kept as they are."""
    assert sealed(value) == value


@pytest.mark.parametrize("value", PRIVATE, ids=lambda value: str(value)[:20])
def test_paths_addresses_and_long_texts_do_not(value: Any) -> None:
    """A digest stands for them, and tells two of them apart."""
    kept = sealed(value)
    assert is_seal(kept)
    assert kept != sealed([value])


@pytest.mark.parametrize("text", ["{{question}}\nAnswer:", "Answer the question", "Q:"])
def test_templates(text: str) -> None:
    """Of a template nothing is kept but words without a space."""
    assert is_seal(sealed(text, words_only=True)) == (text != "Q:")


@pytest.mark.parametrize("value", PLAIN + PRIVATE, ids=lambda value: str(value)[:20])
def test_a_seal_stands_for_its_value(value: Any) -> None:
    """Sealed on one side or on both, equal values are equal and others are not."""
    assert same(value, seal(value))
    assert same(seal(value), value)
    assert seal(seal(value)) == seal(value)
    assert not same(seal(value), [value])
    assert not same(value, seal([value]))
