"""What `quantreg hardware` prints: devices, what they compute, and what engines run on them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..core.codes import CommandCode
from ..core.errors import WrongUse
from ..core.hardware.accelerators import Accelerator, find, matching_devices, nearest_names, words
from ..core.hardware.devices import DEVICES, KnownDevice
from ..core.hardware.kernel_rules import Engine
from ..core.hardware.kernels import ENGINES, KernelChoice, runs_as
from ..core.hardware.native_dtypes import NUMBERS, silicon
from ..core.schemes.names import SCHEMES

WIDTH = 80
LABEL = 16
COLUMN = 15

_SHORT: Mapping[str, str] = {
    "weight-only fallback": "weight-only",
    "not known": "?",
    "no kernel": "-",
}

_LEGEND = (
    "native       computed in the scheme's own types",
    "weight-only  weights stay quantized, activations are not",
    "emulated     unpacked and computed in 16 bits: no speed or memory gates",
    "-            no kernel, it will not load          ?  not settled by the table",
    "*            tried out; the others were read in sources and documentation",
)


MANY = 4
"""A reason that holds for more schemes than this is given without naming them."""

IsInstalled: TypeAlias = Callable[[str], bool]
"""Whether a distribution is installed."""


@dataclass(frozen=True)
class Column:
    """One engine, and its version where it is installed, else the newest of its table."""

    engine: Engine
    version: str
    installed: bool = True

    @property
    def head(self) -> str:
        """``0.33.0``, or what a table speaks for that is not here."""
        return self.version.partition("+")[0] if self.installed else f"({self.version}, absent)"


def hardware_page(
    devices: Sequence[Accelerator], installed: Mapping[str, str], has: IsInstalled
) -> str:
    """What is said of the devices of this machine, and of the engines on the first of them.

    ``installed`` maps engines to versions, ``has`` knows packages.
    """
    columns = [
        Column(engine, installed[engine.name]) for engine in ENGINES if engine.name in installed
    ]
    parts = [_device(device) for device in devices]
    if columns:
        parts.append(_kernels(devices[0], columns, has))
    absent = [engine.name for engine in ENGINES if engine.name not in installed]
    if absent:
        parts.append(_wrapped(f"Not installed: {', '.join(absent)}. {_OTHERS}", indent=0))
    return _page(parts)


_OTHERS = "For another accelerator, with all engines: quantreg hardware --gpu NAME"


def named_page(name: str, installed: Mapping[str, str], has: IsInstalled) -> str:
    """The same for an accelerator that need not be here, with the engines that are not, too.

    Raises WrongUse for a name that the table lacks, with the nearest ones, and for one
    that means several.
    """
    known_device = known_accelerator(name)
    device = accelerator_of(known_device)
    columns = [
        Column(engine, installed.get(engine.name, engine.newest), engine.name in installed)
        for engine in ENGINES
    ]
    return _page([_device(device, known_device), _kernels(device, columns, has)])


def accelerator_of(known_device: KnownDevice) -> Accelerator:
    """A device of the table as if it had been found here; memory in bytes, from GB."""
    return Accelerator(
        known_device.name,
        "rocm" if known_device.capability is None else "cuda",
        capability=known_device.capability,
        gfx=known_device.gfx,
        memory=None if known_device.memory is None else int(known_device.memory * 10**9),
    )


def known_accelerator(name: str) -> KnownDevice:
    """The known accelerator that ``name`` means. Raises WrongUse for none, or several."""
    matches = matching_devices(name)
    if not matches:
        near = nearest_names(name)
        if not near:
            raise WrongUse(CommandCode.NO_NEAR_GPU, name=name)
        raise WrongUse(CommandCode.NO_KNOWN_GPU, name=name, near=tuple(near))
    if len({(match.capability, match.gfx) for match in matches}) > 1:
        devices = tuple(match.name for match in matches[:MANY])
        if len(matches) > MANY:
            raise WrongUse(CommandCode.MANY_GPUS, name=name, devices=devices)
        raise WrongUse(CommandCode.SEVERAL_GPUS, name=name, devices=devices)
    return matches[0]


def _device(device: Accelerator, known_device: KnownDevice | None = None) -> list[str]:
    count = f"{device.count} x " if device.count > 1 else ""
    lines = [f"{count}{device.name} ({_KINDS[device.kind]})"]
    if device.capability is not None:
        lines += _labelled("capability", "{}.{}".format(*device.capability))
    if device.gfx is not None:
        lines += _labelled("architecture", device.gfx)
    if device.memory is not None:
        lines += _labelled("memory", _memory(device, known_device))
    elif known_device is not None:
        lines += _memory_sizes(known_device)
    if known_device is not None and known_device.bandwidth is not None:
        lines += _labelled(
            "bandwidth", f"{known_device.bandwidth:,.0f} GB/s ({known_device.figures})"
        )
    if device.driver is not None:
        lines += _labelled("driver", device.driver)
    if device.mig:
        lines += _labelled("slice", "meant only by a gpu= that says MIG")
    if device.features:
        lines += _labelled("flags", " ".join(device.features))
    lines += _native_dtypes(device)
    if known_device is None and device.kind != "cpu":
        lines += _labelled("gpu=", _gpu_option(device))
    return lines


_KINDS: Mapping[str, str] = {
    "cuda": "NVIDIA GPU",
    "rocm": "AMD GPU",
    "cpu": "processor",
    "mps": "Apple GPU",
    "xpu": "Intel GPU",
}


def _native_dtypes(device: Accelerator) -> list[str]:
    native = silicon(device)
    if native is None:
        return _labelled("natively", "not in the tables: neither capability nor flags are known")
    lacks = [number for number in NUMBERS if not native.has(number)]
    text = ", ".join(native.numbers) or "none of the short types"
    if lacks:
        text += f"; not {', '.join(lacks)}"
    lines = _labelled("natively", text)
    if native.remark:
        lines += _labelled("", native.remark)
    return lines + _labelled("source", native.source)


def _gpu_option(device: Accelerator) -> str:
    known_device = find(device.name)
    if known_device is None:
        return "any words of the name above"
    short = (
        f"{known_device.name} MIG"
        if device.mig and "mig" not in words(known_device.name)
        else known_device.name
    )
    return f'"{short}", or any other words of the name above'


def _memory(device: Accelerator, known_device: KnownDevice | None) -> str:
    if known_device is not None:
        return f"{known_device.memory:g} GB"
    return f"{(device.memory or 0) / 2**30:.1f} GiB"


def _memory_sizes(known_device: KnownDevice) -> list[str]:
    """List the memory sizes sold under one name, as far as the table has them."""
    others = [
        f"{device.memory:g} GB ({device.name})"
        for device in DEVICES
        if device.memory is not None and words(known_device.name) < words(device.name)
    ]
    return _labelled("memory", ", ".join(others)) if others else []


def _kernels(device: Accelerator, columns: Sequence[Column], has: IsInstalled) -> list[str]:
    schemes = [scheme.name for scheme in SCHEMES if scheme.is_quantized]
    lines = [*_wrapped(f"What has a kernel on {device.name}:"), ""]
    lines += [_cells("", [column.engine.name for column in columns])]
    lines += [_cells("scheme", [column.head for column in columns])]
    chosen = {
        column.engine.name: {
            scheme: runs_as(scheme, column.engine.name, column.version, device)
            for scheme in schemes
        }
        for column in columns
    }
    lines += [
        _cells(scheme, [_cell(choices[scheme]) for choices in chosen.values()])
        for scheme in schemes
    ]
    lines += ["", *_LEGEND]
    for engine, choices in chosen.items():
        lines += _notes(engine, choices, has)
    return lines


def _cell(choice: KernelChoice) -> str:
    return _SHORT.get(choice.mode, choice.mode) + ("*" if choice.measured else "")


def _cells(first: str, cells: Sequence[str]) -> str:
    return (f"{first:<{LABEL}}" + "".join(f"{cell:<{COLUMN}}" for cell in cells)).rstrip()


def _notes(engine: str, choices: Mapping[str, KernelChoice], has: IsInstalled) -> list[str]:
    """Each reason once, with the schemes that it is about."""
    schemes_by_reason: dict[str, list[str]] = {}
    for scheme, choice in choices.items():
        if why := _why(choice, has):
            schemes_by_reason.setdefault(why, []).append(scheme)
    lines = []
    for why, schemes in schemes_by_reason.items():
        label = ", ".join(schemes) if len(schemes) <= MANY else "most schemes"
        lines += _wrapped(f"  {label}: {why}", indent=4)
    return ["", engine, *lines] if lines else []


def _why(choice: KernelChoice, has: IsInstalled) -> str:
    # Without a source no row of the table spoke: the question mark says that already,
    # unless it is about the engine's version.
    parts = [choice.why] if choice.source or "made for" in choice.why else []
    if choice.mode == "weight-only fallback" and choice.runs_as is not None:
        parts.append(f"runs as {choice.runs_as}")
    if choice.needs is not None and not has(choice.needs):
        parts.append(f"needs {choice.needs}, which is not installed")
    return "; ".join(part for part in parts if part)


def _labelled(label: str, text: str) -> list[str]:
    indent = " " * LABEL
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"  {label:<{LABEL - 2}}", subsequent_indent=indent
    )


def _wrapped(text: str, indent: int = 2) -> list[str]:
    later = " " * indent
    return textwrap.wrap(text, WIDTH, subsequent_indent=later, break_on_hyphens=False)


def _page(parts: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(part) for part in parts)
