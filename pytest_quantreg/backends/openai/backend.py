"""The openai backend itself: files say what a model is, its server answers for it."""

from __future__ import annotations

from pathlib import Path

from ...core.codes import ServerCode
from ...core.engine import Say
from ...core.errors import MissingExtra, WrongUse
from ...core.facts import Scheme
from ...core.records.run import ModelIdentity, ModelSpec, Software
from ..checkpoint.checkpoint_backend import CheckpointBackend, checked_tokenizer, trusted
from ..checkpoint.hub import display_name, small_files
from ..checkpoint.identity import identify
from ..packages import installed
from ..quiet import quiet
from .api_key import Key
from .arguments import check_names, server_args
from .client import Client
from .connection import Connection
from .effective import unverified_scheme
from .engine import OpenaiEngine
from .probe import TEXT, probe
from .server import ServedModel, ask_served_model

REQUIRED = ("lm_eval", "transformers", "torch", "aiohttp", "tenacity", "requests")
REPORTED = ("lm_eval",)
"""What of this side has a part in scores; tokens and prompts are compared by themselves."""


class OpenaiBackend(CheckpointBackend):
    """Implements `pytest_quantreg.core.engine.Backend` for servers of completions.

    Nothing is made here. What a server says of itself is asked
    once per address.
    """

    name = "openai"
    private_args = ("base_url",)
    """Arguments that name hosts: neither stored nor shown in reports."""

    def __init__(self, *, cache_dir: Path) -> None:
        super().__init__(cache_dir=cache_dir)
        self._served: dict[tuple[object, ...], ServedModel] = {}

    def software(self) -> Software:
        """Installed versions of this side; `software_of` has those of a server."""
        versions = {package: installed(package) for package in REQUIRED}
        for package, number in versions.items():
            if number is None:
                raise MissingExtra(self.name, needed_by="the openai backend", package=package)
        return Software(self.name, {name: str(versions[name]) for name in REPORTED})

    def software_of(self, spec: ModelSpec) -> Software:
        """With engine and version of the server. Raises WrongUse, or Refusal without answer."""
        return Software(
            self.name, {**self.software().versions, **self._served_model(spec).versions()}
        )

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """Config, tokenizer and digests of the files that the server is said to serve."""
        self.software()
        check_names(spec.args)
        return identify(spec, self._digests)

    def check_makes(self, scheme: str) -> None:
        """Raises WrongUse: a server serves what it was started with."""
        raise WrongUse(ServerCode.SERVERS_MAKE_NO_SCHEME, scheme=Scheme(scheme))

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:  # noqa: ARG002
        """Checks the arguments; there is nothing to make. Raises WrongUse."""
        server_args(spec)
        if spec.quantize:
            self.check_makes(spec.scheme)
        return spec

    def load(self, spec: ModelSpec) -> OpenaiEngine:
        """Asks the server what it is and what it can do. Raises Refusal."""
        self.software()
        folder = small_files(spec, trusted=trusted(spec)).folder
        tokenizer = checked_tokenizer(spec, folder, display_name(spec))
        client, served_model = self._client(spec), self._served_model(spec)
        with quiet():
            tokens = list(tokenizer.encode(TEXT))
        abilities = probe(client, served_model.model, tokens)
        effective = unverified_scheme(
            self.identify(spec), self.stored_scheme(spec), self.inspect(spec)
        )
        session = Connection(spec, client, served_model, abilities)
        return OpenaiEngine(session, folder, tokenizer, effective)

    def _served_model(self, spec: ModelSpec) -> ServedModel:
        client = self._client(spec)
        key = (client.args.base_url, client.args.model, spec.ref, spec.role)
        if key not in self._served:
            self._served[key] = ask_served_model(client, spec)
        return self._served[key]

    def _client(self, spec: ModelSpec) -> Client:
        return Client(server_args(spec), Key.from_environment())
