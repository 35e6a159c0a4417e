"""The arguments of the openai backend: which there are, what they may be, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_quantreg.backends.openai import OpenaiBackend
from pytest_quantreg.backends.openai.arguments import server_args
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.report.words import words_of

from ...wording import wrong_use
from .conftest import TINY, Spec


def of(scheme: str = "bf16", **args: Any) -> ModelSpec:
    """A spec with just these arguments."""
    return ModelSpec(str(TINY), "tiny-llama", scheme, "openai", args=args)


@pytest.mark.parametrize(
    ("given", "base_url", "root"),
    [
        ("http://h:8000/v1", "http://h:8000/v1", "http://h:8000"),
        ("http://h:8000/v1/", "http://h:8000/v1", "http://h:8000"),
        ("http://h:8000", "http://h:8000/v1", "http://h:8000"),
        ("http://vllm:8000/v1/completions", "http://vllm:8000/v1", "http://vllm:8000"),
        ("https://h/proxy/v1", "https://h/proxy/v1", "https://h/proxy"),
        ("https://vllm-host/api", "https://vllm-host/api", "https://vllm-host/api"),
    ],
)
def test_addresses(given: str, base_url: str, root: str) -> None:
    """The version may be left out, a whole endpoint be given; /version lies beside it."""
    args = server_args(of(base_url=given))
    assert (args.base_url, args.root) == (base_url, root)


@pytest.mark.parametrize(("scheme", "side"), [("bf16", "baseline"), ("w8a8-fp8", "quantized")])
def test_no_address(backend: OpenaiBackend, scheme: str, side: str) -> None:
    """Without an address the line to type is told, for the model in question."""
    for ask in (lambda: server_args(of(scheme)), lambda: backend.software_of(of(scheme))):
        with wrong_use() as caught:
            ask()
        assert f"address of the server of the {side} model" in words_of(caught.value.problem).what
        expected = f"--quant-backend-arg={side}:base_url=http://127.0.0.1:8000/v1"
        assert expected in words_of(caught.value.problem).help[0]


def test_unknown_argument() -> None:
    """An argument of the server's own is refused, with the nearest that there is."""
    with wrong_use() as caught:
        server_args(of(base_url="http://h/v1", timeoutt=3))
    assert words_of(caught.value.problem).help[0] == "did you mean timeout?"
    with wrong_use() as caught:
        server_args(of(base_url="http://h/v1", tensor_parallel_size=3))
    assert "the server's own are given to the server" in words_of(caught.value.problem).help


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "h:8000"),
        ("base_url", 8000),
        ("base_url", "ftp://h/v1"),
        ("timeout", 0),
        ("timeout", True),
        ("max_retries", -1),
        ("num_concurrent", 0),
        ("num_concurrent", 1.5),
        ("model", ""),
        ("max_length", 1),
        ("add_bos_token", "yes"),
    ],
)
def test_values(name: str, value: Any) -> None:
    """A value that cannot be is named with what is allowed."""
    with wrong_use(f"--quant-backend-arg={name}=.*: allowed is "):
        server_args(of(**{"base_url": "http://h/v1", name: value}))


@pytest.mark.parametrize("name", ["api_key", "API_KEY", "token"])
def test_no_keys_on_the_command_line(name: str) -> None:
    """A key as an argument is refused without being repeated; the environment is named."""
    with wrong_use() as caught:
        server_args(of(base_url="http://h/v1", **{name: "sk-secret"}))
    assert "sk-secret" not in str(caught.value)
    assert "OPENAI_API_KEY" in words_of(caught.value.problem).help[0]


def test_no_keys_in_addresses() -> None:
    """An address with a password in it is refused without being repeated."""
    with wrong_use() as caught:
        server_args(of(base_url="http://user:sk-secret@h/v1"))
    assert "sk-secret" not in str(caught.value)


def test_nothing_is_made(backend: OpenaiBackend, spec: Spec) -> None:
    """A server serves what it was started with: the checkpoint must be named."""
    with wrong_use() as caught:
        backend.check_makes("w8a8-fp8")
    assert "--quant-checkpoint=w8a8-fp8=" in words_of(caught.value.problem).help[0]
    assert "quantized:base_url=" in words_of(caught.value.problem).help[1]
