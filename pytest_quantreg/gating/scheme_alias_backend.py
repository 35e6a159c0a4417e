"""Backend proxy that translates project scheme aliases, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from ..core.codes import GateCode
from ..core.engine import Backend, Capabilities, ChatFormatter, Engine, Say, capabilities_of
from ..core.errors import QuantregError, WrongUse
from ..core.facts import Scheme, with_alias
from ..core.records.run import ModelIdentity, ModelSpec, Software
from ..core.schemes.catalogue import Catalogue

T = TypeVar("T")


class SchemeAliasBackend:
    """A backend to which schemes of the project's own are given under what they claim.

    A spec that `prepare` has made ready carries the claim, so that it can be loaded in
    another process, which knows nothing of the project.
    """

    def __init__(self, backend: Backend, catalogue: Catalogue) -> None:
        self._backend = backend
        self._catalogue = catalogue

    @property
    def capabilities(self) -> Capabilities:
        """As the backend's, which hears of what schemes claim here, too."""
        own = capabilities_of(self._backend)
        return replace(
            own,
            software_of=self._translated(own.software_of),
            device_kind=self._translated(own.device_kind),
            at_hand=self._translated(own.at_hand),
            inspect=self._translated(own.inspect),
        )

    def _translated(
        self, ability: Callable[[ModelSpec], T] | None
    ) -> Callable[[ModelSpec], T] | None:
        if ability is None:
            return None

        def of_claim(spec: ModelSpec) -> T:
            return ability(self._claimed_spec(spec))

        return of_claim

    @property
    def name(self) -> str:
        """What ``--quant-backend`` calls it."""
        return self._backend.name

    def software(self) -> Software:
        """As the backend's."""
        return self._backend.software()

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """As the backend's."""
        with self._errors_with_alias(spec.scheme):
            return self._backend.identify(self._claimed_spec(spec))

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """As the backend's."""
        with self._errors_with_alias(spec.scheme):
            return self._backend.stored_scheme(self._claimed_spec(spec))

    def check_makes(self, scheme: str) -> None:
        """As the backend's; raises WrongUse for what was written out, which nobody makes."""
        alias = self._catalogue.find(scheme)
        if alias is not None and not alias.makeable:
            raise WrongUse(GateCode.WRITTEN_OUT_SCHEME, scheme=Scheme(alias.name))
        with self._errors_with_alias(scheme):
            self._backend.check_makes(self._catalogue.claims(scheme))

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        """As the backend's."""
        with self._errors_with_alias(spec.scheme):
            return self._backend.chat_formatter(self._claimed_spec(spec), template)

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """As the backend's; the spec that comes back names what the scheme claims."""
        with self._errors_with_alias(spec.scheme):
            return self._backend.prepare(self._claimed_spec(spec), say)

    def load(self, spec: ModelSpec) -> Engine:
        """As the backend's."""
        with self._errors_with_alias(spec.scheme):
            return self._backend.load(self._claimed_spec(spec))

    def _claimed_spec(self, spec: ModelSpec) -> ModelSpec:
        return replace(spec, scheme=self._catalogue.claims(spec.scheme))

    @contextmanager
    def _errors_with_alias(self, scheme: str) -> Iterator[None]:
        """Errors name the scheme as the project does."""
        try:
            yield
        except QuantregError as error:
            alias = self._catalogue.find(scheme)
            if alias is not None:
                error.problem = with_alias(error.problem, Scheme(alias.name, alias.claims))
            raise


def with_scheme_aliases(backend: Backend, catalogue: Catalogue) -> Backend:
    """``backend`` itself where the project has no schemes of its own."""
    return SchemeAliasBackend(backend, catalogue) if catalogue.project_schemes else backend
