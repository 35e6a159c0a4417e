"""One row of the kernel tables: on which devices an engine runs which schemes, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .accelerators import Accelerator

Mode = Literal[
    "native", "weight-only fallback", "emulated", "no kernel", "full precision", "not known"
]
"""As `EffectiveScheme.mode`, with ``no kernel`` (it will not load) and ``not known``."""

Capability = tuple[int, int]
Release = tuple[int, int]

UNNAMED = ""
"""What a fallback runs as where no scheme has a name for it."""


@dataclass(frozen=True)
class Where:
    """A set of devices of one kind, or all of them; what is None or empty does not restrict.

    ``first`` and ``last`` are compute capabilities, both included. ``gfx`` are beginnings
    of AMD's names. ``flag`` is a CPU flag that must be there.
    """

    kind: str | None = None
    first: Capability | None = None
    last: Capability | None = None
    gfx: tuple[str, ...] = ()
    flag: str | None = None

    def holds(self, device: Accelerator) -> bool:
        """Whether ``device`` is one of them; a GPU of unknown architecture is in none."""
        if self.kind is None:
            return True
        if device.kind != self.kind:
            return False
        if self.kind == "cuda":
            return device.capability is not None and self._spans(device.capability)
        if self.kind == "rocm":
            return device.gfx is not None and device.gfx.startswith(self.gfx or "")
        return self.flag is None or self.flag in device.features

    def _spans(self, capability: Capability) -> bool:
        above = self.first is None or self.first <= capability
        return above and (self.last is None or capability <= self.last)


COMPRESSED_TENSORS = "compressed-tensors"


@dataclass(frozen=True)
class Form:
    """What of a checkpoint matters to engines beside its scheme.

    ``method`` is the ``quant_method`` of its config; what is made here, and what nobody
    knows better, is of `COMPRESSED_TENSORS`. ``static`` is whether its files hold scales
    of activations.
    """

    method: str = COMPRESSED_TENSORS
    static: bool = False


@dataclass(frozen=True)
class Rule:
    """What an engine does with ``schemes`` on the devices of ``where``.

    ``runs_as`` is the scheme that it amounts to where that is not the one asked for.
    ``needs`` are packages without which it does not load, with spaces between them.
    ``releases`` narrows the releases of the engine's table: from the first, before the
    second. ``methods`` narrows the files to those of a ``quant_method``, ``static`` to
    those with scales of activations. ``measured`` rows were tried, on a CPU; the others
    were read where ``source`` says.
    """

    schemes: tuple[str, ...]
    where: Where
    mode: Mode
    kernel: str
    source: str
    why: str = ""
    runs_as: str | None = None
    needs: str | None = None
    releases: tuple[Release, Release] | None = None
    measured: bool = False
    methods: tuple[str, ...] = ()
    static: bool = False

    def takes(self, form: Form) -> bool:
        """Whether it is about files of this form."""
        return (not self.methods or form.method in self.methods) and self.static <= form.static


@dataclass(frozen=True)
class Engine:
    """The rules of one engine; the first that holds decides.

    ``packages`` are the distributions that bring it, ``releases`` those the table was
    made for: from the first, before the second.
    """

    name: str
    packages: tuple[str, ...]
    releases: tuple[Release, Release]
    rules: tuple[Rule, ...]

    @property
    def newest(self) -> str:
        """The newest release of the table, ``0.33``."""
        major, minor = self.releases[1]
        return f"{major}.{minor - 1}"

    @property
    def known_releases(self) -> str:
        """The releases of the table, ``0.32 to 0.33``."""
        first = "{}.{}".format(*self.releases[0])
        return first if first == self.newest else f"{first} to {self.newest}"


def cuda(first: Capability | None = None, last: Capability | None = None) -> Where:
    """NVIDIA's cards of these compute capabilities, both ends included."""
    return Where("cuda", first, last)


def rocm(*gfx: str) -> Where:
    """AMD's cards whose architecture begins so; all without a name."""
    return Where("rocm", gfx=gfx)


def cpu(flag: str | None = None) -> Where:
    """Processors, or those with a flag."""
    return Where("cpu", flag=flag)


def native(
    schemes: str,
    where: Where,
    kernel: str,
    source: str,
    why: str = "",
    *,
    needs: str | None = None,
    runs_as: str | None = None,
    measured: bool = False,
    methods: str = "",
) -> Rule:
    """A kernel computes what the scheme says, in the types it says."""
    return Rule(
        tuple(schemes.split()),
        where,
        "native",
        kernel,
        source,
        why,
        runs_as,
        needs=needs,
        measured=measured,
        methods=tuple(methods.split()),
    )


def fallback(
    schemes: str,
    where: Where,
    kernel: str,
    source: str,
    why: str,
    *,
    runs_as: str,
    releases: tuple[Release, Release] | None = None,
) -> Rule:
    """Weights stay quantized, activations do not."""
    names = tuple(schemes.split())
    mode: Mode = "weight-only fallback"
    return Rule(names, where, mode, kernel, source, why, runs_as, releases=releases)


def emulated(
    schemes: str,
    where: Where,
    kernel: str,
    source: str,
    why: str,
    *,
    needs: str | None = None,
    measured: bool = False,
    methods: str = "",
) -> Rule:
    """Weights are unpacked and computed in full precision."""
    return Rule(
        tuple(schemes.split()),
        where,
        "emulated",
        kernel,
        source,
        why,
        needs=needs,
        measured=measured,
        methods=tuple(methods.split()),
    )


def no_kernel(
    schemes: str,
    where: Where,
    source: str,
    why: str,
    *,
    measured: bool = False,
    methods: str = "",
    static: bool = False,
) -> Rule:
    """The engine does not load it there."""
    return Rule(
        tuple(schemes.split()),
        where,
        "no kernel",
        "",
        source,
        why,
        measured=measured,
        methods=tuple(methods.split()),
        static=static,
    )


def not_known(
    schemes: str,
    where: Where,
    source: str,
    why: str,
    *,
    needs: str | None = None,
    methods: str = "",
) -> Rule:
    """The source does not settle it; ``why`` says what it depends on."""
    return Rule(
        tuple(schemes.split()),
        where,
        "not known",
        "",
        source,
        why,
        needs=needs,
        methods=tuple(methods.split()),
    )
