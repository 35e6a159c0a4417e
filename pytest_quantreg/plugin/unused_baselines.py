"""Stored baselines that no test of a whole recording session has asked for."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

import pytest

from ..baselines.listing import Listing
from ..core.errors import QuantregError
from ..core.settings import Settings, Update
from ..gating import Checker

_NARROWING = (*("keyword", "markexpr", "deselect", "lf", "stepwise", "ignore", "ignore_glob"),)
"""The options of pytest after which tests are missing that may want a baseline."""


def unused_line(
    config: pytest.Config, settings: Settings, checker: Checker, requested: Iterable[str]
) -> str:
    """What is left over of this model and engine, with the command that deletes it; or "".

    ``requested`` are the names of the baselines that tests have recorded or found present.
    Only a session of the whole suite can tell.
    """
    if settings.update is Update.NO or not _is_whole(config):
        return ""
    try:
        model, wanted = checker.model_name(), set(requested)
        left = [
            entry.name
            for entry in Listing(settings.baselines).entries()
            if (entry.model, entry.engine) == (model, settings.backend)
            and entry.name not in wanted
            # Which of speed were asked for, the other sessions of their accelerators know.
            and not entry.of_speed
            and not entry.damage
        ]
    except QuantregError:
        return ""
    if not left or not wanted:
        return ""
    words = ["quantreg", "baselines", "--delete", *left]
    here = config.invocation_params.dir
    if settings.baselines != here / "baselines":
        words.append(f"--baselines={os.path.relpath(settings.baselines, here)}")
    count = "1 stored baseline" if len(left) == 1 else f"{len(left)} stored baselines"
    return (
        f"quantreg: no test asked for {count} of {model}; they stay unless you type: "
        f"{shlex.join(words)}"
    )


def _is_whole(config: pytest.Config) -> bool:
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    return not named and not any(getattr(config.option, name, None) for name in _NARROWING)
