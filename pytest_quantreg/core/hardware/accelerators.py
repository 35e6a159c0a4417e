"""Accelerators as plain values, and which of several `gpu=` names means the one at hand."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .devices import DEVICES, KnownDevice

Kind = Literal["cuda", "rocm", "cpu", "mps", "xpu"]


@dataclass(frozen=True)
class Accelerator:
    """One device, or ``count`` equal ones.

    ``capability`` is CUDA's compute capability, ``gfx`` AMD's architecture without its
    feature flags (``gfx942``), ``memory`` the bytes of one device. ``mig`` is True for a
    slice of a card, whose name then says MIG. ``features`` are a CPU's flags
    (``avx512_bf16``, ``amx_int8``), where they decide what it runs.
    """

    name: str
    kind: Kind
    count: int = 1
    capability: tuple[int, int] | None = None
    gfx: str | None = None
    memory: int | None = None
    driver: str | None = None
    mig: bool = False
    features: tuple[str, ...] = ()

    @property
    def called(self) -> str:
        """The name that ``gpu=`` is compared with; that of a processor says CPU in any case."""
        if self.kind != "cpu" or "cpu" in words(self.name):
            return self.name
        return f"{self.name} CPU"


def words(name: str) -> frozenset[str]:
    """The words of a device's name: split at spaces and hyphens, in lower case."""
    return frozenset(word for word in re.split(r"[\s-]+", name.lower()) if word)


def fit(gpu: str, device_name: str) -> int:
    """How many words ``gpu`` has if each of them is a word of the device's name, else 0.

    Words are whole: ``A10`` is not ``NVIDIA A100``. A slice of a card, whose name says
    MIG, is meant only by a ``gpu`` that says MIG too, for it is a fraction as fast.
    """
    wanted, available = words(gpu), words(device_name)
    if not wanted <= available or ("mig" in available and "mig" not in wanted):
        return 0
    return len(wanted)


def not_applicable_words(names: Sequence[str], device_name: str) -> str:
    """Why no threshold was chosen, with the nearest known name of each unknown one.

    ``for H100 and A40, this is NVIDIA L4``.
    """
    text = f"for {_listed(names)}, this is {device_name}"
    hints = [(name, near) for name in names if (near := nearest(name))]
    hinted = "; ".join(f"{name!r} is no known name, the nearest is {near}" for name, near in hints)
    return f"{text} ({hinted})" if hinted else text


def find(name: str, devices: Sequence[KnownDevice] = DEVICES) -> KnownDevice | None:
    """The known accelerator that a device's name or a ``gpu=`` name means, None if none.

    The first of `matching_devices`.
    """
    return next(iter(matching_devices(name, devices)), None)


def matching_devices(
    name: str, devices: Sequence[KnownDevice] = DEVICES
) -> tuple[KnownDevice, ...]:
    """The known accelerators that a name can mean.

    Those whose own names stand in it: the one with most words. Else those that have all
    its words, as RTX 4090 has those of ``4090``; they may be several.
    """
    full = [device for device in devices if words(device.name) <= words(name)]
    if full:
        return (max(full, key=lambda device: len(words(device.name))),)
    wanted = words(name) - {"mig"}
    return tuple(device for device in devices if wanted and wanted <= words(device.name))


def gpu_family(name: str) -> str:
    """The GPUs that run the same kernels as this: one compute capability or gfx name.

    ``NVIDIA H100 80GB HBM3`` and ``NVIDIA H200`` are both ``9.0``. A GPU that is not in the
    table is its own family, whatever its memory.
    """
    named = [device for device in DEVICES if words(device.name) <= words(name)]
    if named:
        return max(named, key=lambda device: len(words(device.name))).architecture
    return " ".join(
        word
        for word in re.split(r"[\s/()-]+", name.lower())
        if word and not re.fullmatch(r"[0-9]+gi?b", word)
    )


def nearest(gpu: str, devices: Sequence[KnownDevice] = DEVICES) -> str | None:
    """The known name most like an unknown one; None for a known one, or if none is like it."""
    if find(gpu, devices) is not None:
        return None
    near = nearest_names(gpu, devices, count=1)
    return near[0] if near else None


def nearest_names(
    gpu: str, devices: Sequence[KnownDevice] = DEVICES, *, count: int = 3
) -> tuple[str, ...]:
    """Known names, the most like ``gpu`` first; makers' words (NVIDIA, AMD) do not count."""
    by_name = {device.name.lower(): device.name for device in devices}
    model_words = " ".join(word for word in gpu.lower().split() if word not in _MAKERS)
    near = difflib.get_close_matches(model_words, by_name, n=count, cutoff=0.5)
    return tuple(by_name[name] for name in near)


_MAKERS = frozenset({"nvidia", "amd", "geforce", "tesla", "instinct", "radeon", "intel"})


def _listed(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else ", ".join(unique[:-1]) + f" and {unique[-1]}"
