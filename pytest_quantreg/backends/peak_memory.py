"""The most memory that was taken since somebody asked to start anew, and how fast it is."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_MIB = 1 << 20
_COPIES = 7


class Peak:
    """The allocator's peak on CUDA and XPU; elsewhere the resident memory of the process.

    Where the system does not let a process reset its own high-water mark, the largest
    resident size that was seen when somebody asked stands in for it.
    """

    def __init__(self, torch: Any, kind: str, process: Path = Path("/proc/self")) -> None:
        self._device = getattr(torch, kind, None) if kind in ("cuda", "xpu") else None
        self._process = process
        self._resets = False
        self._seen = 0

    @property
    def of(self) -> str:
        """``allocator`` or ``resident``."""
        return "resident" if self._device is None else "allocator"

    def forget(self) -> None:
        """Starts anew from what is taken now."""
        if self._device is not None:
            for index in range(self._device.device_count()):
                self._device.reset_peak_memory_stats(index)
            return
        self._seen = 0
        _give_back_freed()
        try:
            (self._process / "clear_refs").write_text("5", encoding="ascii")
        except OSError:
            self._resets = False
        else:
            self._resets = True

    def read(self) -> int | None:
        """Bytes, on the device that had most; None where nobody can tell."""
        if self._device is not None:
            count = self._device.device_count()
            return max(int(self._device.max_memory_allocated(index)) for index in range(count))
        resident = self._status("VmHWM" if self._resets else "VmRSS")
        if resident is None:
            return None
        self._seen = max(self._seen, resident)
        return self._seen

    def _status(self, name: str) -> int | None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in (self._process / "status").read_text(encoding="utf-8").splitlines():
                if line.startswith(f"{name}:"):
                    return int(line.split()[1]) * 1024
        return None


def _give_back_freed() -> None:
    """Lets the C library return what loading has freed, which no allocator's peak counts.

    Quantizing while loading leaves the full-precision weights' room on the heap: 340 MB
    beside the 184 MB of weights of an int8 model with 151 million parameters.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def copy_bandwidth(torch: Any, device: Any, synchronize: Callable[[], None]) -> float | None:
    """Bytes read plus written per second: the best of several copies of a large buffer.

    The buffer is 1 GiB on an accelerator, or an eighth of what is free, and 256 MiB on a
    CPU, so that no cache holds it. None where there is no room for it.
    """
    size = 256 * _MIB
    if device.type == "cuda":
        size = min(1024 * _MIB, int(torch.cuda.mem_get_info(device)[0]) // 8)
    try:
        source = torch.ones(size, dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
    except (RuntimeError, MemoryError):
        return None
    best = float("inf")
    for _ in range(_COPIES):
        synchronize()
        began = time.perf_counter()
        target.copy_(source)
        synchronize()
        best = min(best, time.perf_counter() - began)
    return 2 * size / best
