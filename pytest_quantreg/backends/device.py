"""What the device and the host are called, have free, and how they are, asked of the system."""

from __future__ import annotations

import contextlib
import os
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.records.speed import DeviceState

_REASONS = (
    # nvmlClocksEventReason* of NVML: only those that hold the clocks down.
    (0x0000000000000004, "power cap"),
    (0x0000000000000008, "hardware slowdown"),
    (0x0000000000000020, "software thermal slowdown"),
    (0x0000000000000040, "hardware thermal slowdown"),
    (0x0000000000000080, "power brake"),
)


def cpu_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name, or its architecture where the system does not say."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    name = match.group(1).strip() if match else ""
    usable = name and name.lower() != "unknown"
    return name if usable else platform.processor() or platform.machine() or "cpu"


def nvidia_driver(version: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """The NVIDIA driver's version, None where it cannot be read."""
    try:
        match = re.search(r"Module.*?\s(\d+(?:\.\d+)+)\s", version.read_text(encoding="utf-8"))
    except OSError:
        return None
    return match.group(1) if match else None


def free_memory(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Bytes that a process may still take on this host, or in this container."""
    free = [_meminfo(proc / "meminfo"), _cgroup_memory_left(cgroup)]
    return min((size for size in free if size is not None), default=None)


def free_on_cards(torch: Any) -> tuple[int, ...]:
    """Free bytes of each CUDA device that torch sees."""
    try:
        return tuple(
            int(torch.cuda.mem_get_info(index)[0]) for index in range(torch.cuda.device_count())
        )
    except (AttributeError, AssertionError, RuntimeError):
        return ()


WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")


def weights_on_disk(folder: str) -> int:
    """Bytes of the weight files in a model's folder; 0 where there is none."""
    try:
        files = [path for path in Path(folder).iterdir() if path.suffix in WEIGHTS]
        return sum(path.stat().st_size for path in files)
    except OSError:
        return 0


def die_first(score: Path = Path("/proc/self/oom_score_adj")) -> None:
    """Lets the kernel choose this process, not that of the tests, when memory runs out."""
    with contextlib.suppress(OSError):
        score.write_text("1000", encoding="ascii")


def in_gib(size: int) -> str:
    """``1.25 GiB``, or MiB where that is less than a hundredth."""
    if size < 1 << 30:
        return f"{size / (1 << 20):.1f} MiB"
    return f"{size / (1 << 30):.2f} GiB"


def cpu_state(threads: int | None = None) -> DeviceState:
    """The load average of the last minute and the mean clock of the cores."""
    load = None
    with contextlib.suppress(OSError, AttributeError):
        load = os.getloadavg()[0]
    return DeviceState(clock_mhz=_clock(Path("/proc/cpuinfo")), threads=threads, load_average=load)


def card_state(uuid_or_index: str | int, nvml: Any = None) -> DeviceState:
    """Clocks, power limit, temperature and company of an NVIDIA card; all None without NVML."""
    if nvml is None:
        try:
            import pynvml as nvml  # type: ignore[import-untyped,no-redef,unused-ignore]
        except ImportError:
            return DeviceState()
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return DeviceState()
    try:
        return _read_card(uuid_or_index, nvml)
    finally:
        nvml.nvmlShutdown()


def _read_card(card: str | int, nvml: Any) -> DeviceState:
    def ask(question: Callable[[], Any]) -> Any:
        # What a driver or a slice of a card does not tell is an error of its own.
        with contextlib.suppress(nvml.NVMLError, AttributeError):
            return question()
        return None

    by_index = isinstance(card, int)
    find = nvml.nvmlDeviceGetHandleByIndex if by_index else nvml.nvmlDeviceGetHandleByUUID
    handle = ask(lambda: find(card))
    if handle is None:
        return DeviceState()
    power = ask(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    reasons = ask(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)) or 0
    others = ask(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return DeviceState(
        clock_mhz=ask(lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
        memory_clock_mhz=ask(
            lambda: float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM))
        ),
        power_limit_w=None if power is None else power / 1000,
        temperature_c=ask(
            lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        ),
        # In a container the ids are not ours to compare; whoever asks is among them.
        others=None if others is None else float(max(len(others) - 1, 0)),
        throttled=", ".join(words for bit, words in _REASONS if reasons & bit) or None,
    )


def _meminfo(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _cgroup_memory_left(cgroup: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        limit = (cgroup / "memory.max").read_text(encoding="utf-8").strip()
        used = int((cgroup / "memory.current").read_text(encoding="utf-8"))
        for line in (cgroup / "memory.stat").read_text(encoding="utf-8").splitlines():
            if line.startswith("inactive_file "):
                # Cached files that the kernel gives back before it kills.
                used -= int(line.split()[1])
        return None if limit == "max" else max(int(limit) - used, 0)
    return None


def _clock(cpuinfo: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        clocks = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
        return sum(clocks) / len(clocks) if clocks else None
    return None
