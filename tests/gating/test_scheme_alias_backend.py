"""Backends hear what an own scheme claims, in every method, also in those they may lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from pytest_quantreg.core.codes import GateCode
from pytest_quantreg.core.engine import Backend, Engine, capabilities_of
from pytest_quantreg.core.errors import Category, Refusal, WrongUse
from pytest_quantreg.core.facts import Scheme
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.schemes.catalogue import Catalogue, ProjectScheme
from pytest_quantreg.gating.scheme_alias_backend import SchemeAliasBackend, with_scheme_aliases

from ..wording import refused, wrong_use

CATALOGUE = Catalogue((ProjectScheme("ours", "w4a16-int4-gptq"),))
SPEC = ModelSpec("/m", "m", "ours", "listener")
METHODS = (
    *(("identify", ()), ("stored_scheme", ()), ("chat_formatter", (True,))),
    *(("prepare", (print,)), ("load", ())),
)


class Listener:
    """Notes the schemes that it hears of."""

    name = "listener"
    exclusive = True

    def __init__(self) -> None:
        self.heard: list[str] = []

    def at_hand(self, spec: ModelSpec) -> ModelSpec:
        """The spec itself."""
        self.heard.append(spec.scheme)
        return spec

    def __getattr__(self, name: str) -> Any:
        if name not in dict(METHODS):
            raise AttributeError(name)

        def note(spec: ModelSpec, *_: object) -> ModelSpec:
            self.heard.append(spec.scheme)
            return spec

        return note

    def check_makes(self, scheme: str) -> None:
        """Makes nothing."""
        raise WrongUse(GateCode.NOTHING_TO_TEST, scheme=Scheme(scheme))


@pytest.fixture
def listener() -> Listener:
    """The backend itself."""
    return Listener()


def wrapped(listener: Listener) -> Any:
    """The same as the checks have it."""
    return with_scheme_aliases(cast("Backend", listener), CATALOGUE)


@pytest.mark.parametrize(("method", "more"), METHODS)
def test_every_method_hears_the_claim(
    listener: Listener, method: str, more: tuple[object, ...]
) -> None:
    """An own name is translated, a built-in one is handed on as it is."""
    backend = wrapped(listener)
    getattr(backend, method)(SPEC, *more)
    getattr(backend, method)(replace(SPEC, scheme="w8a8-fp8"), *more)
    assert listener.heard == ["w4a16-int4-gptq", "w8a8-fp8"]


def test_a_prepared_spec_can_travel(listener: Listener) -> None:
    """What is loaded in another process names nothing of the project's."""
    assert wrapped(listener).prepare(SPEC, print).scheme == "w4a16-int4-gptq"


def test_errors_bear_the_own_name(listener: Listener) -> None:
    """Of the scheme, and of the option that mends it; of other schemes nothing changes."""
    backend = wrapped(listener)
    with wrong_use("give the checkpoint: --quant-checkpoint=ours=REF") as caught:
        backend.check_makes("ours")
    assert caught.value.problem.facts == {"scheme": Scheme("ours", "w4a16-int4-gptq")}
    with wrong_use("give the checkpoint: --quant-checkpoint=w8a8-fp8=REF"):
        backend.check_makes("w8a8-fp8")


def test_words_of_others_stay_as_they_are(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a backend of somebody else says of the claim is not searched."""

    def load(spec: ModelSpec) -> Engine:
        raise Refusal(Category.ENGINE, f"no {spec.scheme} here")

    monkeypatch.setattr(listener, "load", load, raising=False)
    with refused("^no w4a16-int4-gptq here$"):
        wrapped(listener).load(SPEC)


def test_what_a_backend_lacks_is_lacking(listener: Listener) -> None:
    """Optional attributes are seen through the wrapper, absent ones are absent."""
    capabilities = capabilities_of(wrapped(listener))
    assert capabilities.exclusive is True
    assert capabilities.inspect is None
    assert capabilities.own_process is False


def test_abilities_hear_the_claim(listener: Listener) -> None:
    """What a backend can do beside the Protocol is asked under what the scheme claims."""
    at_hand = capabilities_of(wrapped(listener)).at_hand
    assert at_hand is not None
    at_hand(SPEC)
    assert listener.heard == ["w4a16-int4-gptq"]


def test_projects_without_own_schemes_have_the_backend_itself(listener: Listener) -> None:
    """Nothing stands between where nothing has to be translated."""
    backend = cast("Backend", listener)
    assert with_scheme_aliases(backend, Catalogue()) is backend
    assert isinstance(with_scheme_aliases(backend, CATALOGUE), SchemeAliasBackend)
