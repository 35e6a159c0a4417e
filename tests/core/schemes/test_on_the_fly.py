"""How backends come by schemes: the table says what the backends do."""

from __future__ import annotations

import pytest

from pytest_quantreg.backends import BUILT_IN
from pytest_quantreg.backends.checkpoint.recipe import AT_LOAD, DATA_FREE
from pytest_quantreg.backends.vllm.backend import ONLINE
from pytest_quantreg.core.schemes.names import SCHEMES
from pytest_quantreg.core.schemes.on_the_fly import KV_FROM_FILES, MAKINGS, NO_KV, making

QUANTIZED = [scheme.name for scheme in SCHEMES if scheme.is_quantized]


def made(backend: str, how: str) -> set[str]:
    """The schemes that the table says ``backend`` comes by in this way."""
    return {name for name in QUANTIZED if (one := making(backend, name)) and one.how == how}


@pytest.mark.parametrize("backend", MAKINGS)
@pytest.mark.parametrize("scheme", QUANTIZED)
def test_every_scheme_has_a_row(backend: str, scheme: str) -> None:
    """Nothing is left out, and each row says so in words."""
    row = making(backend, scheme)
    assert row is not None
    assert row.words


def test_transformers_makes_what_the_table_says() -> None:
    """The recipes of llm-compressor and the schemes of bitsandbytes are those listed."""
    assert made("transformers", "rounded") == set(DATA_FREE)
    assert made("transformers", "at load") == set(AT_LOAD)


def test_vllm_makes_what_the_table_says() -> None:
    """What vLLM quantizes at load, and what is left to llm-compressor beside it."""
    assert made("vllm", "at load") == set(ONLINE)
    assert made("vllm", "rounded") == set(DATA_FREE) - set(ONLINE)


@pytest.mark.parametrize("backend", ["transformers", "vllm"])
def test_gguf_files_are_for_llama_cpp(backend: str) -> None:
    """Backends that load folders refuse them, so the table promises none."""
    assert made(backend, "no") == {"gguf-q8_0", "gguf-q4_k_m"}


def test_only_backends_that_there_are() -> None:
    """The tables name built-in backends alone; a third party's is not known here."""
    assert MAKINGS.keys() | KV_FROM_FILES | NO_KV <= BUILT_IN.keys() | {"openai", "llamacpp"}
    assert making("somebody's", "w8a8-fp8") is None


def test_the_double_stands_for_transformers() -> None:
    """What a scripted model is said to be made like."""
    assert making("scripted", "w4a16-int4") == making("transformers", "w4a16-int4")
