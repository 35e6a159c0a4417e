"""How a conformance check fails: what was found, what the Protocol demands, and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from ..core.errors import QuantregError


def demand(holds: bool, rule: str, *, why: str, found: object) -> None:
    """Fails the test unless ``holds``; three lines, no traceback."""
    if not holds:
        refuse(rule, why=why, found=found)


def refuse(rule: str, *, why: str, found: object) -> NoReturn:
    """Fails the test."""
    message = f"found: {found}\nthe Protocol demands: {rule}\nit matters because {why}"
    pytest.fail(message, pytrace=False)


@contextmanager
def demand_error(
    kind: type[Exception] | tuple[type[Exception], ...], rule: str, *, why: str
) -> Iterator[None]:
    """Fails the test unless the block raises ``kind``, with words of its own."""
    try:
        yield
    except kind as error:
        mute = f"{type(error).__name__} that says nothing"
        demand(bool(str(error).strip()), rule, why=why, found=mute)
    except Exception as error:
        refuse(rule, why=why, found=f"{type(error).__name__}: {error}")
    else:
        refuse(rule, why=why, found="no error at all")


@contextmanager
def demand_no_crash(rule: str, *, why: str) -> Iterator[None]:
    """Fails the test when the block raises anything but an error of our tree."""
    try:
        yield
    except QuantregError:
        pass
    except Exception as error:
        refuse(rule, why=why, found=f"{type(error).__name__}: {error}")
