"""What two version numbers, or two names of GPUs, have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.version import Version

_FAMILIES: tuple[tuple[str, frozenset[str]], ...] = (
    ("Volta", frozenset({"v100", "v100s"})),
    ("Turing", frozenset({"t4", "t4g", "2060", "2070", "2080"})),
    ("Ampere 8.0", frozenset({"a100", "a100x", "a800", "a30", "a30x"})),
    (
        "Ampere 8.6",
        frozenset({"a2", "a10", "a10g", "a10m", "a16", "a40", "a2000", "a4000", "a4500", "a5000"})
        | {"a5500", "a6000", "3050", "3060", "3070", "3080", "3090"},
    ),
    ("Ada", frozenset({"l2", "l4", "l20", "l40", "l40s", "l40g", "4060", "4070", "4080", "4090"})),
    ("Hopper", frozenset({"h100", "h200", "h800", "h20", "gh200"})),
    ("Blackwell 10.0", frozenset({"b100", "b200", "gb200"})),
    ("Blackwell 10.3", frozenset({"b300", "gb300"})),
    ("Blackwell 12.0", frozenset({"5060", "5070", "5080", "5090"})),
    ("CDNA 2", frozenset({"mi210", "mi250", "mi250x"})),
    ("CDNA 3", frozenset({"mi300x", "mi300a", "mi308x", "mi325x"})),
    ("CDNA 4", frozenset({"mi350x", "mi355x"})),
)
"""GPUs that run the same kernels: one compute capability or gfx name each."""


def minor_release(version: str) -> tuple[int, int, int] | None:
    """(epoch, major, minor) of a version as PEP 440 reads it; None if it is none.

    ``2.13.0+cpu`` gives (0, 2, 13), ``5.18.0.dev0`` gives (0, 5, 18), ``5`` (0, 5, 0).
    """
    try:
        release = Version(version)
    except ValueError:  # InvalidVersion, or more digits than Python turns into a number
        return None
    return release.epoch, release.major, release.minor


def same_minor(first: str | None, second: str | None) -> bool:
    """Whether two versions share their minor release; unreadable ones only when equal."""
    if first is None or second is None or first == second:
        return first == second
    release = minor_release(first)
    return release is not None and release == minor_release(second)


def normal_package(name: str) -> str:
    """A package name as it is compared: ``lm-eval`` and ``lm_eval`` are one."""
    return re.sub(r"[-_.]+", "_", name).lower()


def gpu_family(accelerator: str) -> str:
    """The family of a GPU by the words of its name; an unknown GPU is its own family.

    ``NVIDIA H100 80GB HBM3`` and ``NVIDIA H200`` are Hopper. ``RTX 6000 Ada`` and its
    like, whose number alone says nothing, are their own families.
    """
    words = re.split(r"[\s/-]+", accelerator.lower().replace("(", " ").replace(")", " "))
    for family, members in _FAMILIES:
        if any(word in members for word in words):
            return family
    return " ".join(word for word in words if word and not re.fullmatch(r"[0-9]+gi?b", word))


def changed_entries(
    old: Mapping[str, str], new: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    """Return what differs between two listings, such as of packages and their versions.

    Nothing where one is empty: an older version recorded none.
    """
    names = sorted({*old, *new}) if old and new else []
    both = [(name, old.get(name), new.get(name)) for name in names]
    return [row for row in both if row[1] != row[2]]
