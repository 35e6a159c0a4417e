"""A backend for benchmarks: transformers, with real work added to every step of some rounds."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytest_quantreg.backends import GROUP
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.records.speed import Load, Request

NAME = "planted"
SHARES = "slower_by_prompt"
"""Backend argument: prompt length -> share of its time by which each step takes longer."""


class PlantedBackend:
    """The transformers backend, whose engines can be slowed down."""

    name = NAME

    def __init__(self, *, cache_dir: Path) -> None:
        from pytest_quantreg.backends.transformers import TransformersBackend

        self._inner = TransformersBackend(cache_dir=cache_dir)

    def load(self, spec: ModelSpec) -> PlantedEngine:
        """Loads as ever; the shares are for us."""
        args = dict(spec.args)
        declared = args.pop(SHARES, None)
        assert isinstance(declared, dict)
        shares = {int(length): float(share) for length, share in declared.items()}  # type: ignore[arg-type]
        return PlantedEngine(self._inner.load(replace(spec, args=args)), shares)


class PlantedEngine:
    """Spins after every step for a share of what the step took, inside the model's forward.

    The times are taken as ever, by the engine itself, which knows nothing of it.
    """

    def __init__(self, inner: Any, shares: dict[int, float]) -> None:
        self._inner = inner
        self._shares = shares
        self._share = 0.0
        self._began = 0.0
        inner.model.register_forward_hook(self._spin)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def serve(self, load: Load) -> tuple[Request, ...]:
        """A round; how much slower depends on the length of its prompts."""
        self._share = self._shares[len(load.prompts[0])]
        self._began = time.perf_counter()
        answered: tuple[Request, ...] = self._inner.serve(load)
        return answered

    def _spin(self, *_: Any) -> None:
        now = time.perf_counter()
        # From the end of the step before: what happens between forwards slows down too.
        until = now + self._share * (now - self._began)
        while now < until:
            now = time.perf_counter()
        self._began = now


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Makes the backend known here and in worker processes, as a package that brings it would."""
    with TemporaryDirectory() as folder:
        metadata = Path(folder) / f"{NAME}-0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 0\n")
        (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{NAME} = planted:PlantedBackend\n")
        sys.path.append(folder)
        try:
            yield
        finally:
            sys.path.remove(folder)
