"""What an error says to people, for tests that read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pytest_quantreg.core.codes import SharedCode
from pytest_quantreg.core.errors import QuantregError, Refusal, WrongUse
from pytest_quantreg.core.facts import Fact, Problem
from pytest_quantreg.core.records.evaluation import Result
from pytest_quantreg.core.strict_json import CorruptFile
from pytest_quantreg.report.words import words_of


def says(error: QuantregError) -> str:
    """Its headline and the lines below it."""
    return str(words_of(error.problem))


@contextmanager
def refused(match: str = "") -> Iterator[pytest.ExceptionInfo[Refusal]]:
    """The body raises a Refusal whose words match."""
    with pytest.raises(Refusal) as caught:
        yield caught
    assert re.search(match, says(caught.value)), says(caught.value)


@contextmanager
def wrong_use(match: str = "") -> Iterator[pytest.ExceptionInfo[WrongUse]]:
    """The body raises a WrongUse whose words match."""
    with pytest.raises(WrongUse) as caught:
        yield caught
    assert re.search(match, says(caught.value)), says(caught.value)


@contextmanager
def corrupt(match: str) -> Iterator[pytest.ExceptionInfo[CorruptFile]]:
    """The body raises a CorruptFile whose words match."""
    with pytest.raises(CorruptFile) as caught:
        yield caught
    text = str(words_of(caught.value.problem))
    assert re.search(match, text), text


def suspicions_of(result: Result) -> dict[str, str]:
    """What makes the figures of a result suspect, by metric."""
    return {metric: words_of(problem).what for metric, problem in result.suspicions.items()}


def shown(fact: Fact) -> str:
    """What is read of one fact."""
    return words_of(Problem(SharedCode.STATED, {"text": fact, "help": ()})).what
