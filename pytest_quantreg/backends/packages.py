"""Which packages are installed, read from their metadata without importing anything."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed(package: str) -> str | None:
    """The version of a package, None where it is absent."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
