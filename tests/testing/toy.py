"""A sound toy backend over two random tables, timed on a clock of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_quantreg.backends.lockstep import serve_in_groups
from pytest_quantreg.backends.simple import (
    SimpleBackend,
    SimpleEngine,
    digest,
    effective,
    machine,
    read,
)
from pytest_quantreg.backends.simple.lm import SimpleLM
from pytest_quantreg.core.records.run import EffectiveScheme, ModelIdentity, ModelSpec
from pytest_quantreg.core.records.speed import DeviceState, Footprint, Load, Request

SIZE = 257


class Toy:
    """Bytes after bytes, from two tables; letters are likeliest."""

    start = end = 0
    context = 128

    def __init__(self, folder: Path) -> None:
        self._tables = np.load(folder / "tables.npy")

    def encode(self, text: str) -> list[int]:
        return [1 + byte for byte in text.encode()]

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(token - 1 for token in tokens if token).decode(errors="replace")

    def log_probs(self, tokens: Sequence[int]) -> npt.NDArray[np.floating[Any]]:
        now = np.asarray(tokens)
        scores = self._tables[0][now] + self._tables[1][np.roll(now, 1)]
        scores[0] = self._tables[0][now[0]]
        return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))


def write(folder: Path, *, quantized: bool) -> Path:
    """The files of a toy model."""
    tables = np.random.default_rng(0).normal(size=(2, SIZE, SIZE)) * 2
    tables[:, :, [1 + ord(letter) for letter in "abcdefghijklmnop "]] += 4
    folder.mkdir()
    np.save(folder / "tables.npy", np.rint(tables * 8) / 8 if quantized else tables)
    (folder / "scheme").write_text("w8a16-int8" if quantized else "")
    return folder


class ToyLM(SimpleLM):
    """Sound."""


class ToyEngine(SimpleEngine):
    """Sound, and timed on a clock of its own."""

    lm_kind = ToyLM

    def lm(self, batch_size: int) -> Any:
        assert self.model is not None
        return self.lm_kind(self, batch_size)

    def serve(self, load: Load) -> tuple[Request, ...]:
        now = [0.0]

        def generate(_: Sequence[tuple[int, ...]]) -> tuple[float, float]:
            now[0] += 0.01 * load.output_tokens
            return 0.01, 0.01 * load.output_tokens

        def sleep(seconds: float) -> None:
            now[0] += seconds

        return serve_in_groups(load, generate, lambda: now[0], sleep)

    def footprint(self) -> Footprint:
        return Footprint(loaded={"float64": 1000}, weights=1000)

    def forget_peak(self) -> None:
        pass

    def copy_bandwidth(self) -> float | None:
        return None

    def state(self) -> DeviceState:
        return DeviceState(threads=1)


class ToyBackend(SimpleBackend):
    """Sound."""

    name = "toy"
    packages = ("numpy",)
    engine_kind = ToyEngine

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        return ModelIdentity(
            name=spec.name,
            revision=None,
            architecture="Toy",
            vocab_size=SIZE,
            shapes={"tables": 2},
            dtype="float64",
            tokenizer_digest="0" * 64,
            template_digest=None,
            weights_digest=digest(Path(spec.ref) / "tables.npy"),
        )

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        return read(Path(spec.ref) / "scheme").decode() or None

    def load(self, spec: ModelSpec) -> ToyEngine:
        return self.engine_kind(Toy(Path(spec.ref)), self.runs_as(spec), machine())

    def runs_as(self, spec: ModelSpec) -> EffectiveScheme:
        return effective(self.stored_scheme(spec) or "fp32", layers=2, kernel="numpy")
