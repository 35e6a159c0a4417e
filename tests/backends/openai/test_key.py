"""The API key: where it comes from, what it is sent with, and that nothing shows it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_quantreg.backends.openai import OpenaiBackend
from pytest_quantreg.backends.openai.api_key import Key
from pytest_quantreg.backends.openai.client import Client, ServerError
from pytest_quantreg.report.words import words_of

from ...wording import refused
from .conftest import Spec
from .scripted_server import ScriptedServer

SECRET = "sk-quantreg-0123456789"


@pytest.fixture
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)


def test_it_hides() -> None:
    """No way of turning it into text gives it away."""
    key = Key(SECRET)
    assert SECRET not in f"{key} {key!r} {[key]} {vars(Client)}"
    assert key.hidden_in(f"you sent {SECRET}, {SECRET}") == "you sent ***, ***"
    assert repr(Key("")) == "no key"
    assert Key("").hidden_in("as it is") == "as it is"


@pytest.mark.usefixtures("_key")
def test_it_is_sent(backend: OpenaiBackend, server: ScriptedServer, spec: Spec) -> None:
    """Every request carries it, those that only ask for names and versions too."""
    server.key = SECRET
    engine = backend.load(spec())
    engine.lm(1)
    assert server.keys == {f"Bearer {SECRET}"}


def test_without_a_key(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec, tmp_path: Path
) -> None:
    """Nothing is sent where none is set; a server that wants one is told of with the way out."""
    backend.load(spec())
    assert server.keys == {""}
    server.key = SECRET
    with refused("answered 401") as caught:
        OpenaiBackend(cache_dir=tmp_path).software_of(spec())
    assert "set it in the environment as OPENAI_API_KEY" in words_of(caught.value.problem).help[0]


@pytest.mark.usefixtures("_key")
def test_a_server_that_repeats_it(client: Callable[..., Client], server: ScriptedServer) -> None:
    """Servers quote the key that they reject; messages do not."""
    server.key = "another"
    sender = client()
    with pytest.raises(ServerError) as caught:
        sender.get("models")
    assert (
        words_of(caught.value.problem).what
        == "answered 401: Incorrect API key provided: Bearer ***"
    )
    assert (
        "OPENAI_API_KEY is not one that it takes"
        in words_of(sender.refusal(caught.value).problem).help[0]
    )


@pytest.mark.usefixtures("_key")
@pytest.mark.parametrize("failure", ["drop", "hang", 500, "page"])
def test_no_frame_holds_it(
    client: Callable[..., Client], server: ScriptedServer, failure: int | str
) -> None:
    """A traceback with all locals, as pytest shows it on demand, has no trace of it."""
    server.failures = [failure]
    with pytest.raises(ServerError) as caught:
        client(timeout=0.3, max_retries=0).post("completions", {"prompt": [1], "max_tokens": 1})
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert SECRET not in "".join(trace.format())


@pytest.mark.usefixtures("_key")
def test_a_version_that_repeats_it(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """Versions are shown and stored; a key in one is not."""
    server.paths["/version"] = {"version": f"0.32.0 for {SECRET}"}
    assert backend.software_of(spec()).versions["vllm"] == "0.32.0 for ***"
