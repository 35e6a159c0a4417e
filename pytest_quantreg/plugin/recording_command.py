"""The command that records what a test misses, to be typed where pytest was started."""

from __future__ import annotations

import os
import shlex

import pytest

from ..core.facts import RecordBaseline
from ..core.secret_values import YOUR_OWN
from ..core.settings import Settings, Update
from ..report.words import Voice
from .options import recording_command, secrets_of


class RecordingCommand:
    """Names ``item`` alone, with the options by which pytest found its configuration."""

    def __init__(self, config: pytest.Config, settings: Settings, item: pytest.Item) -> None:
        self._config = config
        self._settings = settings
        self._item = item

    @property
    def voice(self) -> Voice:
        """How an error in the middle of the test says what to record."""
        return Voice(self.of_remedy)

    def of_remedy(self, remedy: RecordBaseline) -> str:
        """The command for a remedy."""
        return self.of_update(Update.ALL if remedy.again else Update.ABSENT)

    def of_update(self, update: Update) -> str:
        """The command with this ``--quant-update``."""
        item = self._item
        path = os.path.relpath(item.path, self._config.invocation_params.dir)
        names = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
        target = "::".join([path, *names, getattr(item, "originalname", None) or item.name])
        program, rest = recording_command(self._settings, target, update).split(" ", 1)
        return " ".join([program, *map(shlex.quote, self._config_words()), rest])

    def _config_words(self) -> list[str]:
        """The typed options by which pytest found its ini file and rootdir."""
        option = self._config.option
        words: list[str] = []
        if option.inifilename:
            words += ["-c", str(option.inifilename)]
        if option.rootdir:
            words.append(f"--rootdir={option.rootdir}")
        secrets = secrets_of(self._config)
        for override in map(str, option.override_ini or ()):
            safe = secrets.redact(override) == override
            words += ["-o", override if safe else f"{override.partition('=')[0]}={YOUR_OWN}"]
        return words
