"""What `quantreg hardware` prints: devices, what they compute, and what engines run on them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..core.errors import WrongUse
from ..core.hardware.accelerators import Accelerator, find, meant, nearest_names, words
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
    columns = [Column(one, installed[one.name]) for one in ENGINES if one.name in installed]
    parts = [_device(one) for one in devices]
    if columns:
        parts.append(_kernels(devices[0], columns, has))
    absent = [one.name for one in ENGINES if one.name not in installed]
    if absent:
        parts.append(_wrapped(f"Not installed: {', '.join(absent)}. {_OTHERS}", indent=0))
    return _page(parts)


_OTHERS = "For another accelerator, with all engines: quantreg hardware --gpu NAME"


def named_page(name: str, installed: Mapping[str, str], has: IsInstalled) -> str:
    """The same for an accelerator that need not be here, with the engines that are not, too.

    Raises WrongUse for a name that the table lacks, with the nearest ones, and for one
    that means several.
    """
    known = the_one(name)
    device = accelerator_of(known)
    columns = [
        Column(one, installed.get(one.name, one.newest), one.name in installed) for one in ENGINES
    ]
    return _page([_device(device, known), _kernels(device, columns, has)])


def accelerator_of(known: KnownDevice) -> Accelerator:
    """A device of the table as if it had been found here; memory in bytes, from GB."""
    return Accelerator(
        known.name,
        "rocm" if known.capability is None else "cuda",
        capability=known.capability,
        gfx=known.gfx,
        memory=None if known.memory is None else int(known.memory * 10**9),
    )


def the_one(name: str) -> KnownDevice:
    """The known accelerator that ``name`` means. Raises WrongUse for none, or several."""
    found = meant(name)
    if not found:
        near = nearest_names(name)
        hint = f"nearest: {', '.join(near)}" if near else "write it like H100, RTX 4090 or MI300X"
        raise WrongUse(f"--gpu={name}: no known accelerator; {hint}")
    if len({(one.capability, one.gfx) for one in found}) > 1:
        several = ", ".join(one.name for one in found[:MANY])
        more = " and others" if len(found) > MANY else ""
        raise WrongUse(f"--gpu={name} can mean several: {several}{more}")
    return found[0]


def _device(device: Accelerator, known: KnownDevice | None = None) -> list[str]:
    count = f"{device.count} x " if device.count > 1 else ""
    lines = [f"{count}{device.name} ({_KINDS[device.kind]})"]
    if device.capability is not None:
        lines += _said("capability", "{}.{}".format(*device.capability))
    if device.gfx is not None:
        lines += _said("architecture", device.gfx)
    if device.memory is not None:
        lines += _said("memory", _memory(device, known))
    elif known is not None:
        lines += _versions(known)
    if known is not None and known.bandwidth is not None:
        lines += _said("bandwidth", f"{known.bandwidth:,.0f} GB/s ({known.figures})")
    if device.driver is not None:
        lines += _said("driver", device.driver)
    if device.mig:
        lines += _said("slice", "meant only by a gpu= that says MIG")
    if device.features:
        lines += _said("flags", " ".join(device.features))
    lines += _natively(device)
    if known is None and device.kind != "cpu":
        lines += _said("gpu=", _meant(device))
    return lines


_KINDS: Mapping[str, str] = {
    "cuda": "NVIDIA GPU",
    "rocm": "AMD GPU",
    "cpu": "processor",
    "mps": "Apple GPU",
    "xpu": "Intel GPU",
}


def _natively(device: Accelerator) -> list[str]:
    has = silicon(device)
    if has is None:
        return _said("natively", "not in the tables: neither capability nor flags are known")
    lacks = [number for number in NUMBERS if not has.has(number)]
    text = ", ".join(has.numbers) or "none of the short types"
    if lacks:
        text += f"; not {', '.join(lacks)}"
    lines = _said("natively", text)
    if has.remark:
        lines += _said("", has.remark)
    return lines + _said("source", has.source)


def _meant(device: Accelerator) -> str:
    known = find(device.name)
    if known is None:
        return "any words of the name above"
    short = f"{known.name} MIG" if device.mig and "mig" not in words(known.name) else known.name
    return f'"{short}", or any other words of the name above'


def _memory(device: Accelerator, known: KnownDevice | None) -> str:
    if known is not None:
        return f"{known.memory:g} GB"
    return f"{(device.memory or 0) / 2**30:.1f} GiB"


def _versions(known: KnownDevice) -> list[str]:
    """What cards of one name differ in, as far as the table knows."""
    others = [
        f"{one.memory:g} GB ({one.name})"
        for one in DEVICES
        if one.memory is not None and words(known.name) < words(one.name)
    ]
    return _said("memory", ", ".join(others)) if others else []


def _kernels(device: Accelerator, columns: Sequence[Column], has: IsInstalled) -> list[str]:
    schemes = [one.name for one in SCHEMES if one.is_quantized]
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
    about: dict[str, list[str]] = {}
    for scheme, choice in choices.items():
        if why := _why(choice, has):
            about.setdefault(why, []).append(scheme)
    lines = []
    for why, schemes in about.items():
        named = ", ".join(schemes) if len(schemes) <= MANY else "most schemes"
        lines += _wrapped(f"  {named}: {why}", indent=4)
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


def _said(label: str, text: str) -> list[str]:
    indent = " " * LABEL
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"  {label:<{LABEL - 2}}", subsequent_indent=indent
    )


def _wrapped(text: str, indent: int = 2) -> list[str]:
    later = " " * indent
    return textwrap.wrap(text, WIDTH, subsequent_indent=later, break_on_hyphens=False)


def _page(parts: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(part) for part in parts)
