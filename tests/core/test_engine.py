"""What a backend can do beside the Protocol, read once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pytest_quantreg.core.engine import Capabilities, capabilities_of


def test_attributes_of_these_names_are_read() -> None:
    """A backend without `capabilities` says what it can by the attributes it has."""
    backend: Any = SimpleNamespace(own_process=True, private_args=("base_url",), other=1)
    read = capabilities_of(backend)
    assert read == Capabilities(own_process=True, private_args=frozenset({"base_url"}))


def test_declared_capabilities_come_first() -> None:
    """A backend that declares its capabilities is not looked at further."""
    declared = Capabilities(batch_size=4)
    backend: Any = SimpleNamespace(capabilities=declared, exclusive=True)
    assert capabilities_of(backend) is declared


def test_a_backend_without_any_has_the_defaults() -> None:
    """The Protocol alone is enough."""
    backend: Any = SimpleNamespace()
    assert capabilities_of(backend) == Capabilities()
