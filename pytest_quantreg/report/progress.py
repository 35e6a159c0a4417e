"""Progress of long work in a terminal; a log stays quiet but for what must be known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..core.printable import printable
from ..core.secret_values import Secrets

if TYPE_CHECKING:
    import pytest


class TerminalProgress:
    """Rewrites one line of the terminal while a measurement runs."""

    def __init__(self, config: pytest.Config, secrets: Secrets) -> None:
        self._config = config
        self._secrets = secrets
        self._shown = False

    def update(self, done: int, total: int, seconds_left: float | None) -> None:
        """``done`` of ``total`` items with the time left; nothing outside a terminal."""
        terminal = self._terminal()
        if terminal is None:
            return
        left = f", about {_duration(seconds_left)} left" if seconds_left else ""
        with self._uncaptured():
            if not self._shown:
                terminal.ensure_newline()
            self._shown = done < total
            line = f"quantreg: {done:,} of {total:,} items{left}" if self._shown else ""
            terminal.rewrite(line, erase=True)

    def say(self, text: str) -> None:
        """One line in a terminal: loading, quantizing, resuming."""
        terminal = self._terminal()
        if terminal is None:
            return
        with self._uncaptured():
            terminal.ensure_newline()
            terminal.rewrite("", erase=True)
            terminal.write_line(f"quantreg: {printable(self._secrets.redact(text))}")
            self._shown = False

    def announce(self, text: str) -> None:
        """One line, in a log too: what is about to cost much."""
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if terminal is None or terminal.isatty():
            self.say(text)
            return
        with self._uncaptured():
            terminal.ensure_newline()
            terminal.write_line(f"quantreg: {printable(self._secrets.redact(text))}")

    def _terminal(self) -> pytest.TerminalReporter | None:
        terminal: pytest.TerminalReporter | None = self._config.pluginmanager.getplugin(
            "terminalreporter"
        )
        return terminal if terminal is not None and terminal.isatty() else None

    @contextmanager
    def _uncaptured(self) -> Iterator[None]:
        capture = self._config.pluginmanager.getplugin("capturemanager")
        if capture is None:
            yield
            return
        with capture.global_and_fixture_disabled():
            yield


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
