"""A scripted server, specs of models behind it, and what the backend makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.openai import OpenaiBackend
from pytest_quantreg.backends.openai.api_key import Key
from pytest_quantreg.backends.openai.arguments import server_args
from pytest_quantreg.backends.openai.client import Client
from pytest_quantreg.backends.quiet import quiet, quietly_imported
from pytest_quantreg.core.records.run import ModelSpec

from .scripted_server import ScriptedServer

EXAMPLES = Path(__file__).parents[3] / "examples"
TINY = EXAMPLES / "tiny-llama"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to be set where the tests run is nobody's business."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """The tokenizer of the example model."""
    (transformers,) = quietly_imported("transformers")
    with quiet():
        return transformers.AutoTokenizer.from_pretrained(str(TINY))


@pytest.fixture
def server(tokenizer: Any) -> Iterator[ScriptedServer]:
    """A server of the example model, on a port of its own."""
    made = ScriptedServer(tokenizer.decode)
    yield made
    made.stop()


Spec = Callable[..., ModelSpec]


@pytest.fixture
def spec(server: ScriptedServer) -> Spec:
    """Makes specs of what the server serves: ``spec(timeout=1)``."""

    def make(folder: Path = TINY, scheme: str = "bf16", **args: Any) -> ModelSpec:
        given = {"base_url": server.url, **args}
        return ModelSpec(str(folder), folder.name, scheme, "openai", args=given)

    return make


@pytest.fixture
def waits() -> list[float]:
    """How long the client of the test would have waited between tries."""
    return []


@pytest.fixture
def client(spec: Spec, waits: list[float]) -> Callable[..., Client]:
    """Makes clients that note their waits and do not wait."""

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    def make(**args: Any) -> Client:
        return Client(server_args(spec(**args)), Key.from_environment(), sleep=sleep)

    return make


@pytest.fixture
def backend(tmp_path: Path) -> OpenaiBackend:
    """A backend that has asked no server yet."""
    return OpenaiBackend(cache_dir=tmp_path)
