"""The options of recording and accepting: whether they were typed, and what they cannot go with."""

from __future__ import annotations

import pytest

from .core.errors import WrongUse
from .core.records.acceptance import MOST_WHY
from .core.settings import GateMode, Settings, Update
from .option_table import ACCEPT, RECORD


def accepts(config: pytest.Config) -> bool:
    """Whether a green session becomes a reference. Raises WrongUse where nobody typed it."""
    if not config.getoption("quant_accept", None):
        return False
    if not is_typed(config, ACCEPT):
        raise WrongUse(
            f"{ACCEPT} comes from addopts or PYTEST_ADDOPTS, where every green run would move "
            "the reference in silence",
            help="type it on the command line when you mean to accept",
        )
    return True


def is_typed(config: pytest.Config, *flags: str) -> bool:
    """Whether one of the flags was typed for this very run."""
    # A worker gets the controller's options but not its command line.
    typed = {str(word) for word in config.invocation_params.args}
    return hasattr(config, "workerinput") or not typed.isdisjoint(flags)


def refuse_not_accepting(settings: Settings) -> None:
    """Raises WrongUse for what accepting cannot go with."""
    if not settings.accept:
        if settings.why:
            raise WrongUse(
                "--quant-why says why runs are accepted, and this run accepts none",
                help=f"use it together with {ACCEPT}",
            )
        return
    if settings.update is not Update.NO:
        raise WrongUse(
            f"{ACCEPT} accepts what gates have judged, and {RECORD} judges nothing",
            help="use them in two runs: record first, accept afterwards",
        )
    if not settings.schemes:
        raise WrongUse(
            f"{ACCEPT} accepts runs of quantized models, and no --quant-scheme is given",
            help="name what is tested, e.g. --quant-scheme=w8a8-fp8",
        )
    if settings.gate is GateMode.POINT:
        raise WrongUse(
            f"{ACCEPT} needs gates that promise something, and --quant-gate=point promises nothing",
            help="accept under detect or certify",
        )
    if len(settings.why) > MOST_WHY:
        raise WrongUse(f"--quant-why: {MOST_WHY:,} characters are the most")


def refuse_not_recording(settings: Settings) -> None:
    """Raises WrongUse for what recording cannot go with."""
    if settings.update is Update.NO:
        return
    if settings.require:
        raise WrongUse(
            f"{RECORD} records and judges nothing, so --quant-require can never hold",
            help=(
                "use them in two runs: record first, gate afterwards",
                "where an ini file sets quant_require, record with -o quant_require=false",
            ),
        )
    if settings.model is None:
        raise WrongUse(
            f"{RECORD} needs to know the full-precision model it records",
            help="name it: --quant-model=ORG/NAME or --quant-model=FOLDER",
        )
