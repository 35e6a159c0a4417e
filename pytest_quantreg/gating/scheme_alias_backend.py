"""Backends hear what a project's own scheme stands for; whoever reads their words sees its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..core.engine import Backend, ChatFormatter, Engine, Say
from ..core.errors import QuantregError, WrongUse
from ..core.records.run import ModelIdentity, ModelSpec, Software
from ..core.schemes.catalogue import Catalogue


class SchemeAliasBackend:
    """A backend to which schemes of the project's own are given under what they claim.

    A spec that `prepare` has made ready carries the claim, so that it can be loaded in
    another process, which knows nothing of the project.
    """

    def __init__(self, backend: Backend, catalogue: Catalogue) -> None:
        self._backend = backend
        self._catalogue = catalogue

    def __getattr__(self, name: str) -> Any:
        # What a backend may have beside the Protocol; missing ones are missing here too.
        found = getattr(self._backend, name)
        if not callable(found):
            return found

        def called(*given: Any) -> Any:
            return found(*(self._claimed(x) if isinstance(x, ModelSpec) else x for x in given))

        return called

    @property
    def name(self) -> str:
        """What ``--quant-backend`` calls it."""
        return self._backend.name

    def software(self) -> Software:
        """As the backend's."""
        return self._backend.software()

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """As the backend's."""
        with self._named(spec.scheme):
            return self._backend.identify(self._claimed(spec))

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """As the backend's."""
        with self._named(spec.scheme):
            return self._backend.stored_scheme(self._claimed(spec))

    def check_makes(self, scheme: str) -> None:
        """As the backend's; raises WrongUse for what was written out, which nobody makes."""
        own = self._catalogue.find(scheme)
        if own is not None and not own.makeable:
            raise WrongUse(
                f"scheme {own.name}: its weights or activations are written out, and an engine "
                "makes built-in schemes alone",
                help=f"give a checkpoint: --quant-checkpoint={own.name}=REF",
            )
        with self._named(scheme):
            self._backend.check_makes(self._catalogue.claims(scheme))

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        """As the backend's."""
        with self._named(spec.scheme):
            return self._backend.chat_formatter(self._claimed(spec), template)

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """As the backend's; the spec that comes back names what the scheme claims."""
        with self._named(spec.scheme):
            return self._backend.prepare(self._claimed(spec), say)

    def load(self, spec: ModelSpec) -> Engine:
        """As the backend's."""
        with self._named(spec.scheme):
            return self._backend.load(self._claimed(spec))

    def _claimed(self, spec: ModelSpec) -> ModelSpec:
        return replace(spec, scheme=self._catalogue.claims(spec.scheme))

    @contextmanager
    def _named(self, scheme: str) -> Iterator[None]:
        """Errors name the scheme, and the options that mend them, as the project does."""
        try:
            yield
        except QuantregError as error:
            own = self._catalogue.find(scheme)
            if own is not None:
                error.what = error.what.replace(own.claims, f"{own.name} (like {own.claims})")
                error.help = tuple(
                    line.replace(f"-checkpoint={own.claims}=", f"-checkpoint={own.name}=")
                    for line in error.help
                )
            raise


def named(backend: Backend, catalogue: Catalogue) -> Backend:
    """``backend`` itself where the project has no schemes of its own."""
    return SchemeAliasBackend(backend, catalogue) if catalogue.own else backend
