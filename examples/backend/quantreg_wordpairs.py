"""The backend `wordpairs`: pytest-quantreg runs the models of wordpairs.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from wordpairs import WordPairs, quantize

from pytest_quantreg.backends.simple import (
    SimpleBackend,
    SimpleEngine,
    digest,
    effective,
    machine,
    read,
)
from pytest_quantreg.core.engine import Say
from pytest_quantreg.core.record import ModelIdentity, ModelSpec

MAKES = {"w8a16-int8": (8, None), "w4a16-int4": (4, 128)}  # bits, numbers per scale


class WordPairsBackend(SimpleBackend):
    name = "wordpairs"
    packages = ("numpy",)

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        folder = Path(spec.ref)
        vocabulary = json.loads(read(folder / "vocabulary.json"))
        return ModelIdentity(
            name=spec.name,
            revision=None,
            architecture="WordPairs",
            vocab_size=257 + len(vocabulary["words"]),
            shapes={"names": len(vocabulary["names"])},
            dtype="float32",
            tokenizer_digest=digest(folder / "vocabulary.json"),
            template_digest=None,
            weights_digest=digest(folder / "weights.npz"),
        )

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        scheme: str | None = json.loads(read(Path(spec.ref) / "config.json"))["scheme"]
        return scheme

    def check_makes(self, scheme: str) -> None:
        if scheme not in MAKES:
            super().check_makes(scheme)

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        if not spec.quantize:
            return spec
        self.check_makes(spec.scheme)
        bits, group = MAKES[spec.scheme]

        def make(folder: Path) -> None:
            say(f"rounding {spec.name} to {spec.scheme}")
            quantize(Path(spec.ref), folder, spec.scheme, bits=bits, group=group)

        made = self.kept(f"{self.identify(spec).weights_digest[:12]}-{spec.scheme}", make)
        return replace(spec, ref=str(made), quantize=False)

    def load(self, spec: ModelSpec) -> SimpleEngine:
        self.software()
        scheme = self.stored_scheme(spec) or "fp32"
        return SimpleEngine(
            WordPairs(Path(spec.ref)), effective(scheme, layers=2, kernel="numpy"), machine()
        )
