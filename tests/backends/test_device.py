"""What is free and how a device is, read from files and NVML that the test makes up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.backends.device import (
    card_state,
    cpu_state,
    die_first,
    free_memory,
    free_on_cards,
    in_gib,
    weights_on_disk,
)
from pytest_quantreg.core.records.speed import DeviceState


class NvmlError(Exception):
    """What NVML raises."""


class Nvml:
    """A card at 1,500 MHz with two processes; ``missing`` questions are not supported."""

    NVMLError = NvmlError
    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0

    def __init__(self, *missing: str, reasons: int = 0) -> None:
        self.missing, self.reasons, self.open = missing, reasons, 0

    def __getattribute__(self, name: str) -> Any:
        missing = object.__getattribute__(self, "__dict__").get("missing", ())
        if name in missing:

            def refuse(*_: Any) -> Any:
                raise NvmlError(name)

            return refuse
        return object.__getattribute__(self, name)

    def nvmlInit(self) -> None:
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid != "GPU-1":
            raise NvmlError("not found")
        return uuid

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return f"GPU-{index}"

    def nvmlDeviceGetClockInfo(self, handle: str, kind: int) -> int:
        return {1: 1500, 2: 9000}[kind]

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: str) -> int:
        return 350_000

    def nvmlDeviceGetTemperature(self, handle: str, kind: int) -> int:
        return 61

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: str) -> int:
        return self.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[Any]:
        return [SimpleNamespace(pid=1), SimpleNamespace(pid=2)]


def test_a_card_tells_how_it_is() -> None:
    """Clocks, watts, degrees, one process beside ours, and why its clocks are held."""
    nvml = Nvml(reasons=0x4 | 0x40)
    assert card_state("GPU-1", nvml) == DeviceState(
        1500.0, 9000.0, 350.0, 61.0, 1.0, "power cap, hardware thermal slowdown"
    )
    assert card_state(1, Nvml()).throttled is None
    assert nvml.open == 0


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        ("nvmlDeviceGetEnforcedPowerLimit", "power_limit_w"),
        ("nvmlDeviceGetClockInfo", "clock_mhz"),
        ("nvmlDeviceGetComputeRunningProcesses", "others"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
    ],
)
def test_a_card_that_does_not_tell_everything(missing: str, lost: str) -> None:
    """A question that the driver does not answer leaves its value out, and no other."""
    state = card_state("GPU-1", Nvml(missing))
    assert getattr(state, lost) is None
    names = ["clock_mhz", "power_limit_w", "others", "temperature_c"]
    assert [name for name in names if getattr(state, name) is None] == [lost]


def test_no_driver_and_no_such_card() -> None:
    """Where NVML does not start or knows no such card nothing is told, and nothing fails."""
    nvml = Nvml()
    assert card_state("GPU-9", nvml) == DeviceState()
    assert card_state("GPU-1", Nvml("nvmlInit")) == DeviceState()
    assert nvml.open == 0


def test_a_processor_tells_its_load() -> None:
    """The load average of the last minute, and the threads that the engine computes with."""
    state = cpu_state(3)
    assert state.load_average is not None
    assert state.load_average >= 0
    assert state.threads == 3
    # Other processes are counted on a card only.
    assert (state.others, state.temperature_c) == (None, None)
    assert cpu_state().threads is None


def test_the_size_of_weight_files(tmp_path: Path) -> None:
    """Files of weights count, all else and other folders do not; 0 for what is no folder."""
    (tmp_path / "one.safetensors").write_bytes(bytes(5))
    (tmp_path / "two.gguf").write_bytes(bytes(7))
    (tmp_path / "config.json").write_bytes(bytes(100))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "three.bin").write_bytes(bytes(100))
    assert weights_on_disk(str(tmp_path)) == 12
    assert weights_on_disk("org/model-on-a-hub") == 0
    assert weights_on_disk(str(tmp_path / "config.json")) == 0


def test_a_worker_is_chosen_first_when_memory_runs_out(tmp_path: Path) -> None:
    """It asks to be; where the kernel has no such file nothing happens."""
    die_first(tmp_path / "score")
    assert (tmp_path / "score").read_text() == "1000"
    die_first(tmp_path / "no such folder" / "score")


def test_free_memory_is_the_smaller_of_host_and_container(tmp_path: Path) -> None:
    """MemAvailable counts, or what a container's limit leaves, cached files not counted."""
    proc, group = tmp_path / "proc", tmp_path / "group"
    proc.mkdir()
    group.mkdir()
    assert free_memory(proc, group) is None
    (proc / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   1000 kB\n")
    assert free_memory(proc, group) == 1000 * 1024
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("600\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 100\n")
    assert free_memory(proc, group) == 1000 * 1024
    (group / "memory.max").write_text("900\n")
    assert free_memory(proc, group) == 400
    (group / "memory.max").write_text("300\n")
    assert free_memory(proc, group) == 0


def test_free_memory_of_cards() -> None:
    """Each card's free bytes; none where torch cannot ask."""
    cuda = SimpleNamespace(device_count=lambda: 2, mem_get_info=lambda index: (index + 5, 99))
    assert free_on_cards(SimpleNamespace(cuda=cuda)) == (5, 6)
    assert free_on_cards(SimpleNamespace()) == ()


def test_sizes_in_words() -> None:
    """GiB, and MiB below one."""
    assert in_gib(3 << 29) == "1.50 GiB"
    assert in_gib(3 << 20) == "3.0 MiB"
