"""A worker process: started, sent one line, waited for, and ended with all it started."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest_quantreg

_BOOT = """
import sys
module, function, root, *paths = sys.argv[1:]
sys.argv[1:] = []
here = [path for path in sys.path if path]
sys.path[:] = [root, *here]
import pytest_quantreg
sys.path[:] = here + [path for path in paths if path not in here]
from importlib import import_module
getattr(import_module(module), function)()
"""
"""The same package as here, whatever the folder. Other paths of this process come last, so
that no folder of tests hides a package, and no random.py of theirs the module of Python."""

_POLL = 0.005
_SLICE = 0.5
_TAIL = 8192


def command_of(module: str, function: str = "main") -> list[str]:
    """The words that run a function of a module of ours in a process of its own."""
    package = str(Path(pytest_quantreg.__file__).parents[1])
    paths = [path for path in sys.path if path]
    return [sys.executable, "-W", "ignore", "-c", _BOOT, module, function, package, *paths]


def environment() -> dict[str, str]:
    """The variables of such a process: those here, and what keeps its own processes safe.

    Engines start Python again, which would look into the current folder first.
    """
    return {**os.environ, "PYTHONSAFEPATH": "1"}


class WorkerProcess:
    """A process of `worker`; whoever makes it ends it. POSIX only.

    It is in a session of its own: Ctrl-C in the terminal is for the tests, which end it.
    """

    def __init__(self) -> None:
        # Its text goes to a file, since a pipe that nobody reads would stop the process.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command_of("pytest_quantreg.backends.process.worker"),
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except BaseException:
            self._errors.close()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._unread = b""

    @property
    def pid(self) -> int:
        """Its id, which is that of its group too."""
        return self._process.pid

    def exchange(self, message: bytes, timeout: float) -> bytes:
        """Sends a line, or nothing, and reads one.

        Raises TimeoutError after so many seconds, EOFError at the end of the process.
        """
        deadline = time.monotonic() + timeout
        if (line := self._pop_line()) is not None:
            return line
        with selectors.DefaultSelector() as ready:
            ready.register(self._out, selectors.EVENT_READ)
            if message:
                ready.register(self._in, selectors.EVENT_WRITE)
            while (left := deadline - time.monotonic()) > 0:
                # In slices: a Ctrl-C that another thread took is seen after one of them.
                for key, _ in ready.select(min(left, _SLICE)):
                    if key.fd == self._out:
                        if (line := self._read_line()) is not None:
                            return line
                        continue
                    message = self._write(message)
                    if not message:
                        ready.unregister(self._in)
        raise TimeoutError

    def last_words(self) -> str | None:
        """The last line that it wrote to stderr."""
        size = os.fstat(self._errors.fileno()).st_size
        tail = os.pread(self._errors.fileno(), _TAIL, max(size - _TAIL, 0))
        lines = [
            line.strip() for line in tail.decode(errors="replace").splitlines() if line.strip()
        ]
        return lines[-1][:300] if lines else None

    def wait(self, seconds: float) -> None:
        """Until it has ended, or so long. It is not reaped, so that its id stays its own."""
        deadline = time.monotonic() + seconds
        if not hasattr(os, "waitid"):
            # Not on macOS before Python 3.13: reaped here, which only frees its id early.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with contextlib.suppress(ChildProcessError):
            while os.waitid(os.P_PID, self.pid, options) is None:
                if time.monotonic() > deadline:
                    return
                time.sleep(_POLL)

    def kill(self) -> int:
        """Ends it and all that it started; its exit status, negative for a signal."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self._errors.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        return self._process.returncode

    def _read_line(self) -> bytes | None:
        part = os.read(self._out, 1 << 16)
        if not part:
            raise EOFError
        self._unread += part
        return self._pop_line()

    def _pop_line(self) -> bytes | None:
        """A line that was read already; several may come at once."""
        line, newline, rest = self._unread.partition(b"\n")
        if not newline:
            return None
        self._unread = rest
        return line

    def _write(self, message: bytes) -> bytes:
        """Write as much as the pipe takes; return the rest."""
        try:
            return message[os.write(self._in, message) :]
        except BrokenPipeError:
            raise EOFError from None
