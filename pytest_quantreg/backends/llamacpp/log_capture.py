"""Hears what llama.cpp logs: the last error, and where it put the weights."""

from __future__ import annotations

import re
from typing import Any

from ..quiet import quietly_imported

_ERROR = 4
_BUFFER = re.compile(r"(\S+) model buffer size\s*=\s*([\d.]+) MiB")
_DEVICE = re.compile(r"using device (\S+) \((.+?)\)(?: \(.*\))? - ")


class LogCapture:
    """Keeps llama.cpp's log off the terminal, from `listen` until `stop`.

    ``buffers`` maps what llama.cpp calls a buffer (``CPU_Mapped``, ``CPU_REPACK``,
    ``CUDA0``) to the MiB of weights in it, ``devices`` its names for devices to theirs.
    """

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.buffers: dict[str, float] = {}
        self.devices: dict[str, str] = {}
        self._callback: Any = None

    def listen(self) -> None:
        """Replace the log callback that was set until now."""
        (llama,) = quietly_imported("llama_cpp.llama_cpp")
        self._callback = llama.llama_log_callback(lambda level, text, _: self.note(level, text))
        llama.llama_log_set(self._callback, None)

    def stop(self) -> None:
        """Gives the log back to llama-cpp-python, before this object may go."""
        if self._callback is not None:
            llama, logger = quietly_imported("llama_cpp.llama_cpp", "llama_cpp._logger")
            llama.llama_log_set(logger.llama_log_callback, None)
            self._callback = None

    def note(self, level: int, text: bytes) -> None:
        """One message of llama.cpp."""
        line = text.decode("utf-8", errors="replace").strip()
        if level == _ERROR and line:
            self.errors.append(line)
        if match := _BUFFER.search(line):
            self.buffers[match[1]] = self.buffers.get(match[1], 0.0) + float(match[2])
        if match := _DEVICE.search(line):
            self.devices[match[1]] = match[2]

    @property
    def first_error(self) -> str:
        """The first error since loading began: those that follow only pass it on."""
        return self.errors[0].partition(": ")[2] or self.errors[0] if self.errors else ""
