"""Reading and writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.codes import StoredCode
from ..core.facts import Problem, Quoted
from ..core.strict_json import CorruptFile

LOCK_PATIENCE = 60.0
"""Seconds to wait for another writer; a commit takes milliseconds."""

PROBE_BYTES = 64 * 1024
"""What the write probe writes: more than one block, so that a full disk shows."""

_BLOCKING = getattr(os, "O_NONBLOCK", 0)  # a pipe in place of a file must not block us
_BINARY = getattr(os, "O_BINARY", 0)
_MODE = 0o644
_PROBE = ".quantreg-probe-"


class InTheWay(OSError):
    """A file cannot be written for a reason that the system has no name for."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem)


def read_whole(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file of at most ``max_bytes`` bytes.

    Raises FileNotFoundError, and CorruptFile for everything else that stands in the way.
    """
    handle = _open(path)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            if stat.S_ISDIR(status.st_mode):
                raise CorruptFile(StoredCode.FOLDER_NOT_FILE)
            raise CorruptFile(StoredCode.DEVICE_NOT_FILE)
        if status.st_size > max_bytes:
            raise CorruptFile(StoredCode.TOO_MANY_BYTES, bytes=status.st_size, most=max_bytes)
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(status.st_size + 1)
    except OSError as error:
        raise CorruptFile(StoredCode.CANNOT_READ, reason=reason_of(error)) from None
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | _BLOCKING | _BINARY)
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(error, NotADirectoryError):
            raise CorruptFile(StoredCode.BELOW_A_FILE) from None
        if os.path.islink(path):
            raise CorruptFile(StoredCode.DANGLING_LINK) from None
        raise
    except PermissionError:
        # Windows answers so for folders.
        if os.path.isdir(path):
            raise CorruptFile(StoredCode.FOLDER_NOT_FILE) from None
        raise CorruptFile(StoredCode.NO_PERMISSION) from None
    except OSError as error:
        raise CorruptFile(StoredCode.CANNOT_OPEN, reason=reason_of(error)) from None


def reason_of(error: OSError) -> Quoted:
    """What the system says."""
    return Quoted(error.strerror or str(error))


def write_durably(path: Path, data: bytes, *, like: Path) -> None:
    """Writes and syncs ``path``, with the mode of ``like`` where that exists."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _BINARY, _MODE)
    with os.fdopen(handle, "wb") as file:
        if hasattr(os, "fchmod"):
            with suppress(FileNotFoundError):
                os.fchmod(file.fileno(), os.stat(like).st_mode & 0o777 | 0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_durably(path: Path, data: bytes) -> None:
    """Replaces ``path`` by ``data``; a kill at any moment leaves the old file or the new.

    The caller holds the lock on the folder. Raises OSError; before the replacement that
    leaves the old file as it was.
    """
    refuse_folder(path)
    draft = path.with_name(f"{path.name}.tmp")
    try:
        write_durably(draft, data, like=path)
        sync_folder(path.parent)
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def refuse_folder(path: Path) -> None:
    """Raises InTheWay where a folder lies in place of a file."""
    if path.is_dir():
        raise InTheWay(Problem(StoredCode.FOLDER_IN_THE_WAY, {"name": path.name}))


def sync_folder(folder: Path) -> None:
    """Makes renames in ``folder`` survive a power cut, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def probe(folder: Path) -> None:
    """Writes, syncs and removes a small file; raises OSError when that is impossible."""
    for leftover in folder.glob(f"{_PROBE}*"):  # by a process killed in the lines below
        leftover.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=_PROBE, dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        Path(name).unlink(missing_ok=True)


def nearest_folder(path: Path) -> Path:
    """``path`` or the closest thing above it that exists; raises InTheWay where it is a file."""
    while not os.path.lexists(path):
        path = path.parent
    if not path.is_dir():
        raise InTheWay(Problem(StoredCode.FILE_IN_THE_WAY, {}))
    return path


if sys.platform == "win32":

    @contextmanager
    def locked(folder: Path) -> Iterator[None]:  # noqa: ARG001
        """No lock on Windows.

        Each replacement is atomic there too. Two writers of one key at the same moment
        can leave a baseline that is refused on reading, never one that is wrong.
        """
        yield

else:
    import fcntl

    @contextmanager
    def locked(folder: Path) -> Iterator[None]:
        """Holds the only write lock on ``folder``; the system frees it with the process.

        The folder itself is locked, so no lock file lies about. Raises InTheWay when
        another process keeps it too long, and OSError on file systems without locks.
        """
        handle = os.open(folder, os.O_RDONLY)
        try:
            _wait_for(handle)
            yield
        finally:
            os.close(handle)

    def _wait_for(handle: int) -> None:
        until = time.monotonic() + LOCK_PATIENCE
        while not _lock_now(handle):
            if time.monotonic() > until:
                raise InTheWay(Problem(StoredCode.LOCKED_TOO_LONG, {"seconds": LOCK_PATIENCE}))
            time.sleep(0.005)

    def _lock_now(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
