"""Which arguments of engines are secrets, and texts from which they are struck."""

from __future__ import annotations

import json

import pytest

from pytest_quantreg.config.values import repeatable
from pytest_quantreg.core.records.run import Json
from pytest_quantreg.core.secret_values import (
    Secrets,
    is_secret_name,
    without_secrets,
    without_shapes,
)

HF = "hf_" + "aB3dE6gH9jK2mN5pQ8"
MIXED = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((name, True) for name in ("token", "hf_token", "api_key", "apikey", "X-Api-Key")),
        *((name, True) for name in ("Authorization", "password", "accessToken", "cookie")),
        *((name, True) for name in ("AWS_SECRET_ACCESS_KEY", "use_auth_token", "credentials")),
        *((name, False) for name in ("tokenizer", "max_tokens", "bos_token", "add_bos_token")),
        *((name, False) for name in ("eos_token_id", "key_mapping", "kv_cache_dtype", "author")),
        *((name, True) for name in ("api_keys", "API_KEYS", "hftoken", "api_key_prod", "db_pass")),
        *((name, False) for name in ("ignore_keys", "pass_config", "eostoken", "access_key_id")),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:
    """Words for keys and passwords are, tokens of a vocabulary are none."""
    assert is_secret_name(name) is secret


@pytest.mark.parametrize(
    ("value", "name", "shown"),
    [
        ("abc", "token", "..."),
        (123456, "password", "..."),
        (True, "use_auth_token", True),
        ("float16", "dtype", "float16"),
        (HF, "model", "..."),
        (MIXED, "other", "..."),
        ("0123456789abcdef" * 4, "revision", "0123456789abcdef" * 4),
        ("Meta-Llama-3.1-8B-Instruct-quantized-w8a8", "model", None),
        ("https://jo:pw@host/v1", "base_url", "https://...@host/v1"),
        ("https://host/v1?api_key=abc&x=1", "base_url", "https://host/v1?api_key=...&x=1"),
        ({"Authorization": "Bearer abc", "X": "y"}, "headers", {"Authorization": "...", "X": "y"}),
        ([{"key": "abc"}, "b"], "list", [{"key": "..."}, "b"]),
    ],
)
def test_values_without_secrets(value: Json, name: str, shown: Json) -> None:
    """By name, by shape, inside of JSON, and in addresses; ordinary values stay."""
    assert without_secrets(value, name) == (value if shown is None else shown)


def test_an_engine_repeated_a_secret() -> None:
    """Exact values are struck wherever they stand, short ones as words of their own."""
    secrets = Secrets.of(
        {"token": "opensesame1", "headers": {"Authorization": "Bearer s3cr3t-value"}},
        {"base_url": "https://jo:pa5@host/", "api_key": "EMPTY", "dtype": "auto"},
    )
    said = "401 for opensesame1x: s3cr3t-value, jo:pa5, pa5, EMPTY, EMPTYING, auto"
    assert secrets.redact(said) == "401 for ...x: ..., ..., ..., ..., EMPTYING, auto"


def test_what_looks_like_a_key_is_struck_unasked() -> None:
    """Keys of hubs, bearer tokens and logins, as of a server's error; test ids stay."""
    said = f"{HF} Bearer abcdef123 https://a:b@c/d?token=x tests/a.py::b"
    assert without_shapes(said) == "... Bearer ... https://...@c/d?token=... tests/a.py::b"


@pytest.mark.parametrize(
    "text",
    [
        "only basic quantization is supported; Basic Arithmetic; bearer authentication",
        "no such folder: hf_llama31_8b_w4a16_gptq, sk-llama-3-8b-instruct-w4a16",
        "r8_quantized_llama_int4 npm_package_config_name gsk_quantized_llama_int4",
    ],
)
def test_words_and_names_of_folders_were_struck(text: str) -> None:
    """Sentences that say basic, and folders that begin as some keys do."""
    assert without_shapes(text) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("headers", "Authorization: Bearer open-sesame"),
        ("headers", ["X-Api-Key: open-sesame"]),
        ("extra", {"inner": '{"api_key": "open-sesame"}'}),
        ("env", "HF_TOKEN=open-sesame"),
        ("extra_args", "--port 80 --api-key open-sesame"),
        ("base_url", "https://jo:@open-sesame@host/v1"),
        ("base_url", "https://host/v1?auth=open-sesame"),
        ("api_keys", ["open-sesame"]),
    ],
)
def test_a_secret_inside_of_a_text_was_shown(name: str, value: Json) -> None:
    """Neither the command that is to be typed again nor an engine's error repeats it."""
    assert "sesame" not in repeatable(f"{name}={json.dumps(value)}")
    assert "sesame" not in str(without_secrets(value, name))
    said = Secrets.of({name: value}).redact("401: @open-sesame")
    assert "sesame" not in said


def test_a_secret_was_shown_in_another_spelling() -> None:
    """Escaped on one line, quoted for an address, and each line of a key file."""
    secrets = Secrets.of({"private_key": "-----BEGIN KEY-----\nMIIEow/abc=\n", "password": "a b/c"})
    said = "-----BEGIN KEY-----\\nMIIEow/abc=\\n; MIIEow/abc=; a%20b%2Fc"
    assert secrets.redact(said) == "...; ...; ..."


def test_a_placeholder_was_struck_from_our_own_sentences() -> None:
    """A server that wants any key gets api_key=test, and messages speak of tests."""
    said = "the test measured sum on the local model"
    assert Secrets.of({"api_key": "test", "token": "local", "key": "model"}).redact(said) == said
