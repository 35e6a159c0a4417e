"""What a server says of itself: its model, its engine, its version, and what it can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.openai import OpenaiBackend
from pytest_quantreg.backends.openai.client import Client
from pytest_quantreg.backends.openai.probe import probe
from pytest_quantreg.backends.openai.server import ask_served_model
from pytest_quantreg.core.codes import ServerCode
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import Machine, ModelSpec
from pytest_quantreg.report.words import words_of

from ...wording import refused
from .conftest import EXAMPLES, TINY, Spec
from .scripted_server import ScriptedServer

MakeClient = Callable[..., Client]


def test_what_is_read(backend: OpenaiBackend, server: ScriptedServer, spec: Spec) -> None:
    """Engine and version are the server's, the scheme is that of the files, and unverified."""
    server.cards[0]["owned_by"] = "vllm"
    engine = backend.load(spec())
    assert backend.software_of(spec()).versions["server"] == "vllm"
    assert backend.software_of(spec()).versions["vllm"] == "0.32.0"
    assert "lm_eval" in backend.software_of(spec()).versions
    assert engine.machine == Machine("server", "vllm server")
    assert (engine.effective.scheme, engine.effective.mode) == ("bf16", "unverified")
    assert (engine.effective.quantized_layers, engine.effective.linear_layers) == (0, 21)


def test_a_quantized_model(backend: OpenaiBackend, server: ScriptedServer, spec: Spec) -> None:
    """Layers are counted in the files' headers."""
    folder = EXAMPLES / "checkpoints" / "w8a8-int8"
    server.cards[0] |= {"id": "w8a8-int8", "root": str(folder)}
    scheme = backend.load(spec(folder, "w8a8-int8")).effective
    assert (scheme.scheme, scheme.mode, scheme.quantized_layers) == ("w8a8-int8", "unverified", 21)
    assert scheme.weights == "int8 per channel"


@pytest.mark.parametrize(
    ("owner", "path", "told", "expected"),
    [
        ("sglang", "/get_server_info", {"version": "0.5.6"}, {"sglang": "0.5.6"}),
        ("sglang", "/server_info", {"version": "0.5.6"}, {"sglang": "0.5.6"}),
        ("tensorrt_llm", "/version", {"version": "1.2.0"}, {"tensorrt_llm": "1.2.0"}),
        ("llamacpp", "/props", {"build_info": "b7000-abc"}, {"llamacpp": "b7000-abc"}),
        ("Some Body", "/version", {"version": "3"}, {"some_body": "3"}),
        ("vllm", "/health", {}, {}),
        (None, "/health", {}, {}),
    ],
)
def test_engines(
    backend: OpenaiBackend,
    server: ScriptedServer,
    spec: Spec,
    owner: str | None,
    path: str,
    told: Any,
    expected: dict[str, str],
) -> None:
    """Each engine has its version elsewhere; one that hides it has none."""
    server.cards[0]["owned_by"] = owner
    server.paths = {path: told}
    name = {"Some Body": "some_body", None: "unknown"}.get(owner, owner)
    versions = dict(backend.software_of(spec()).versions)
    versions.pop("lm_eval")
    assert versions == {"server": name, **expected}


@pytest.mark.parametrize(
    ("ref", "name", "root"),
    [
        (str(TINY), "tiny-llama", None),
        (str(TINY), "served", "/elsewhere/tiny-llama/"),
        (str(TINY), str(TINY), str(TINY)),
        ("org/Tiny", "org/Tiny", None),
        ("org/Tiny", "x", "/cache/hub/models--org--Tiny/snapshots/0123abc"),
        ("org/Tiny", "Tiny", None),
    ],
)
def test_the_right_model(
    client: MakeClient, server: ScriptedServer, ref: str, name: str, root: str | None
) -> None:
    """A model is known by its name, its folder's last component, or its place in a hub cache."""
    server.cards[0] |= {"id": name, "root": root}
    assert ask_served_model(client(), ModelSpec(ref, "x", "bf16", "openai")).model == name


def test_another_model(backend: OpenaiBackend, server: ScriptedServer, spec: Spec) -> None:
    """A server of another model is refused, unless the served name was given."""
    server.cards[0] |= {"id": "other", "root": "/models/other-llama"}
    with refused() as caught:
        backend.software_of(spec())
    assert words_of(caught.value.problem).what == (
        "the server of the baseline model serves another one than tiny-llama: other"
    )
    assert caught.value.category is Category.WRONG_USE
    assert "--quant-backend-arg=baseline:model=other" in words_of(caught.value.problem).help[1]
    assert backend.software_of(spec(model="other")).versions["vllm"] == "0.32.0"


def test_several_models(backend: OpenaiBackend, server: ScriptedServer, spec: Spec) -> None:
    """Of several models the one of that name is meant, adapters are passed over."""
    adapter = {"id": "lora", "parent": "tiny-llama", "owned_by": "vllm"}
    server.cards = [adapter, {"id": "a"}, {"id": "b"}]
    with refused("serves several: a, b"):
        backend.software_of(spec())
    with refused("serves no 'c': a, b"):
        backend.software_of(spec(model="c"))
    server.cards.append({"id": "tiny-llama", "owned_by": "sglang"})
    assert backend.software_of(spec()).versions["server"] == "sglang"


def test_one_clear_line_at_the_start(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """Where nobody listens that is said in one line, with the address, and at once."""
    server.stop()
    with refused() as caught:
        backend.load(spec())
    assert words_of(caught.value.problem).what == (
        f"the server at {server.url} cannot be reached (Connection refused)"
    )
    assert caught.value.category is Category.ENGINE


def test_no_model_listed(backend: OpenaiBackend, server: ScriptedServer, spec: Spec) -> None:
    """A server without models, or one that is none of completions, is refused."""
    server.cards = []
    with refused("lists no model under /models"):
        backend.load(spec())


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("yes", None),
        ("none", "it gave 1 of them for a prompt of "),
        ("null", "it gave null in place of numbers"),
        ("zeros", "it gave 0 for every token"),
        ("rejected", "it answered 400: echo is not supported"),
    ],
)
def test_probe(client: MakeClient, server: ScriptedServer, how: str, why: str | None) -> None:
    """Every way in which a server gives no log-probabilities of a prompt is found, once."""
    server.logprobs = how
    abilities = probe(client(), "tiny-llama", [0, 67, 68, 90, 120])
    assert abilities.token_ids
    assert (abilities.no_logprobs is None) == (why is None)
    if abilities.no_logprobs is not None:
        assert words_of(abilities.no_logprobs).what.startswith(why or "")


def test_probe_without_token_ids(client: MakeClient, server: ScriptedServer) -> None:
    """A server that takes texts only is known as such."""
    server.token_ids = False
    abilities = probe(client(), "tiny-llama", [0, 67, 68])
    assert not abilities.token_ids
    assert abilities.no_logprobs is not None
    assert abilities.no_logprobs.code is ServerCode.REJECTS_TOKEN_IDS


def test_identity_is_of_the_files(backend: OpenaiBackend, spec: Spec, tmp_path: Path) -> None:
    """What a model is does not depend on where it is served, and no server is asked."""
    elsewhere = replace(spec(), args={})
    assert backend.identify(spec()) == backend.identify(elsewhere)
