"""Toy backends and engines that are wrong in one way each, but answer rightly."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pytest_quantreg.backends.simple import effective
from pytest_quantreg.core.engine import ChatFormatter, Say
from pytest_quantreg.core.records.run import (
    EffectiveScheme,
    Machine,
    ModelIdentity,
    ModelSpec,
    Software,
)
from pytest_quantreg.core.records.speed import Footprint, Load, Request

from .toy import ToyBackend, ToyEngine

# -- wrong words about the model ---------------------------------------------------------


class PathInIdentity(ToyBackend):
    def identify(self, spec: ModelSpec) -> ModelIdentity:
        return replace(super().identify(spec), architecture=f"Toy in {spec.ref}")


class DigestOfPath(ToyBackend):
    def identify(self, spec: ModelSpec) -> ModelIdentity:
        identity = super().identify(spec)
        return replace(identity, weights_digest=f"{abs(hash(spec.ref)):064x}")


class DigestOfSize(ToyBackend):
    def identify(self, spec: ModelSpec) -> ModelIdentity:
        size = (Path(spec.ref) / "tables.npy").stat().st_size + len(spec.scheme)
        return replace(super().identify(spec), weights_digest=f"{size:064x}")


class DigestOfTime(ToyBackend):
    def identify(self, spec: ModelSpec) -> ModelIdentity:
        return replace(super().identify(spec), tokenizer_digest=f"{time.time_ns():064x}")


class BareError(ToyBackend):
    def identify(self, spec: ModelSpec) -> ModelIdentity:
        os.stat(Path(spec.ref) / "tables.npy")
        return super().identify(spec)


class BareSoftware(ToyBackend):
    def software(self) -> Software:
        return Software("toy", {"lm_eval": version("lm_eval")})


class NoScorer(ToyBackend):
    def software(self) -> Software:
        return Software("toy", {"numpy": np.__version__})


class MakesAll(ToyBackend):
    def check_makes(self, scheme: str) -> None:
        pass


class StoresNothing(ToyBackend):
    def stored_scheme(self, spec: ModelSpec) -> str | None:
        return None


class PreparesAnew(ToyBackend):
    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        return replace(spec, args={**spec.args, "made": time.time_ns()})


class ForgetsQuantized(ToyBackend):
    def runs_as(self, spec: ModelSpec) -> EffectiveScheme:
        return effective("fp32", layers=2, kernel="numpy")


class ClaimsQuantized(ToyBackend):
    def runs_as(self, spec: ModelSpec) -> EffectiveScheme:
        return effective("w8a16-int8", layers=2, kernel="numpy")


class Shouts(ToyBackend):
    name = "My Toy"


class ArchitectureOfScheme(ToyBackend):
    def identify(self, spec: ModelSpec) -> ModelIdentity:
        return replace(super().identify(spec), architecture=self.stored_scheme(spec) or "plain")


class ShortDigest(ToyBackend):
    def identify(self, spec: ModelSpec) -> ModelIdentity:
        return replace(super().identify(spec), tokenizer_digest="bytes")


class HidesTemplate(ToyBackend):
    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        return lambda messages, add_generation_prompt=True: str(messages)


class LoadsAtRandom(ToyBackend):
    loads = 0

    def load(self, spec: ModelSpec) -> ToyEngine:
        engine = super().load(spec)
        LoadsAtRandom.loads += 1
        engine.model._tables *= -((-1) ** LoadsAtRandom.loads)
        return engine


# -- wrong engines -----------------------------------------------------------------------


class AllOutOfMemory(ToyEngine):
    def is_out_of_memory(self, error: BaseException) -> bool:
        return True


class NamesHost(ToyEngine):
    @property
    def machine(self) -> Machine:
        return Machine("cpu", f"processor of {os.uname().nodename}")

    @machine.setter
    def machine(self, value: Machine) -> None:
        pass


class NeverCloses(ToyEngine):
    def close(self) -> None:
        pass


class Hoards(ToyEngine):
    def close(self) -> None:
        self.kept = self._model
        super().close()


class ServesLess(ToyEngine):
    def serve(self, load: Load) -> tuple[Request, ...]:
        return tuple(replace(request, output_tokens=1) for request in super().serve(load))


class ServesAllAtOnce(ToyEngine):
    def serve(self, load: Load) -> tuple[Request, ...]:
        return super().serve(replace(load, in_flight=len(load.prompts)))


class ServesEarly(ToyEngine):
    def serve(self, load: Load) -> tuple[Request, ...]:
        return super().serve(replace(load, arrivals=None))


class WeighsNothing(ToyEngine):
    def footprint(self) -> Footprint:
        return Footprint(weights=0)
