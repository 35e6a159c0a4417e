"""Finds the accelerators of this machine, and the engines that are installed."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import platform
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.hardware.accelerators import Accelerator, words
from ..core.hardware.kernels import ENGINES
from ..core.hardware.native_dtypes import FLAGS

PROC = Path("/proc")

Importer = Callable[[str], Any]
"""Gives a module by name, or None where it is absent or broken."""


def imported(name: str) -> Any:
    """The module ``name``; None where it is not installed or fails as it is imported."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except Exception:
        # A library that does not fit its driver raises whatever it likes.
        return None


def detect(importer: Importer = imported, proc: Path = PROC) -> Accelerator:
    """The accelerator that a model would run on: the first GPU, else the processor.

    ``count`` says how many equal ones there are. NVML is asked first, through the package
    nvidia-ml-py: unlike torch it takes no memory of the card. It knows every card of the
    machine, also those that CUDA_VISIBLE_DEVICES hides.
    """
    return all_devices(importer, proc)[0]


def all_devices(importer: Importer = imported, proc: Path = PROC) -> tuple[Accelerator, ...]:
    """Every accelerator, equal ones counted, the GPUs first and the processor last."""
    cards = _from_nvml(importer("pynvml"))
    if not cards:
        cards = _from_torch(importer("torch"))
    return (*_with_counts(cards), processor(proc))


def processor(proc: Path = PROC) -> Accelerator:
    """This machine's processor, the memory beside it, and the flags that matter here."""
    cpuinfo = _read(proc / "cpuinfo")
    model_name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    name = model_name.group(1).strip() if model_name else ""
    if not name or name.lower() == "unknown":
        name = platform.processor() or platform.machine() or "cpu"
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    present_flags = set(flags.group(1).split()) if flags else set()
    total = re.search(r"^MemTotal:\s*(\d+) kB$", _read(proc / "meminfo"), re.MULTILINE)
    return Accelerator(
        name,
        "cpu",
        memory=1024 * int(total.group(1)) if total else None,
        features=tuple(flag for flag in FLAGS if flag in present_flags),
    )


def installed_engines(
    version: Callable[[str], str] = importlib.metadata.version,
) -> Mapping[str, str]:
    """Engine -> version, of those the kernel tables know; read from packages' metadata."""
    versions: dict[str, str] = {}
    for engine in ENGINES:
        for package in engine.packages:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                versions.setdefault(engine.name, version(package))
    return versions


def is_installed(package: str) -> bool:
    """Whether a distribution is installed, without importing it."""
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _from_nvml(nvml: Any) -> list[Accelerator]:
    """NVIDIA's cards, or the slices of those that are cut up; none without a driver."""
    try:
        nvml.nvmlInit()
    except Exception:
        # No package (None), no driver, or a driver of another version: no card to speak of.
        return []
    try:
        driver = _text(_query(nvml, "nvmlSystemGetDriverVersion"))
        count = _query(nvml, "nvmlDeviceGetCount") or 0
        cards = [_query(nvml, "nvmlDeviceGetHandleByIndex", at) for at in range(count)]
        return [
            device
            for card in cards
            if card is not None
            for device in _card_or_slices(nvml, card, driver)
        ]
    finally:
        _query(nvml, "nvmlShutdown")


def _card_or_slices(nvml: Any, card: Any, driver: str | None) -> Iterator[Accelerator]:
    whole = _card(nvml, card, driver)
    if whole is None:
        return
    slices = [_card(nvml, piece, driver, whole) for piece in _slices(nvml, card)]
    yield from [slice_ for slice_ in slices if slice_ is not None] or [whole]


def _slices(nvml: Any, card: Any) -> Iterator[Any]:
    mode = _query(nvml, "nvmlDeviceGetMigMode", card)
    if not mode or not mode[0]:
        return
    for at in range(_query(nvml, "nvmlDeviceGetMaxMigDeviceCount", card) or 0):
        piece = _query(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", card, at)
        if piece is not None:
            yield piece


def _card(
    nvml: Any, card: Any, driver: str | None, whole: Accelerator | None = None
) -> Accelerator | None:
    name = _text(_query(nvml, "nvmlDeviceGetName", card)) or (whole.name if whole else None)
    if name is None:
        return None
    capability = _query(nvml, "nvmlDeviceGetCudaComputeCapability", card)
    memory = _query(nvml, "nvmlDeviceGetMemoryInfo", card)
    if whole is not None and "mig" not in words(name):
        name = f"{name} MIG"
    return Accelerator(
        name,
        "cuda",
        capability=tuple(capability) if capability else (whole.capability if whole else None),
        memory=int(memory.total) if memory is not None else None,
        driver=driver,
        mig="mig" in words(name),
    )


def _from_torch(torch: Any) -> list[Accelerator]:
    if torch is None:
        return []
    hip = getattr(getattr(torch, "version", None), "hip", None)
    cuda, xpu = getattr(torch, "cuda", None), getattr(torch, "xpu", None)
    if _query(cuda, "is_available"):
        return _torch_cards(cuda, hip)
    if _query(xpu, "is_available"):
        return [_xpu_card(xpu, at) for at in range(_query(xpu, "device_count") or 0)]
    if _query(getattr(getattr(torch, "backends", None), "mps", None), "is_available"):
        return [Accelerator(f"Apple {platform.processor() or platform.machine()} GPU", "mps")]
    return []


def _torch_cards(cuda: Any, hip: str | None) -> list[Accelerator]:
    cards = []
    for at in range(_query(cuda, "device_count") or 0):
        properties = _query(cuda, "get_device_properties", at)
        if properties is None:
            continue
        name, memory = str(properties.name), int(properties.total_memory)
        if hip:
            # gfx942:sramecc+:xnack- : what follows the name are settings of the card.
            gfx = str(getattr(properties, "gcnArchName", "")).partition(":")[0] or None
            cards.append(Accelerator(name, "rocm", gfx=gfx, memory=memory))
        else:
            capability = (int(properties.major), int(properties.minor))
            mig = "mig" in words(name)
            cards.append(Accelerator(name, "cuda", capability=capability, memory=memory, mig=mig))
    return cards


def _xpu_card(xpu: Any, at: int) -> Accelerator:
    properties = _query(xpu, "get_device_properties", at)
    name = str(getattr(properties, "name", "")) or "Intel GPU"
    return Accelerator(name, "xpu", memory=getattr(properties, "total_memory", None))


def _with_counts(cards: Sequence[Accelerator]) -> tuple[Accelerator, ...]:
    return tuple(replace(card, count=cards.count(card)) for card in dict.fromkeys(cards))


def _query(library: Any, function: str, *arguments: Any) -> Any:
    """The answer, or None: what a driver does not tell is an error of its own kind."""
    try:
        return getattr(library, function)(*arguments)
    except Exception:
        return None


def _text(value: Any) -> str | None:
    # Old versions of the bindings give bytes.
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return None if value is None else str(value)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
