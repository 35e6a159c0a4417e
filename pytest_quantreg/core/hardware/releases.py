"""What two version numbers, or two listings of packages, have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.version import Version


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


def changed_entries(
    old: Mapping[str, str], new: Mapping[str, str]
) -> list[tuple[str, str | None, str | None]]:
    """Return what differs between two listings, such as of packages and their versions.

    Nothing where one is empty: an older version recorded none.
    """
    names = sorted({*old, *new}) if old and new else []
    both = [(name, old.get(name), new.get(name)) for name in names]
    return [row for row in both if row[1] != row[2]]
