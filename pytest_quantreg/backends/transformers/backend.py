"""The transformers backend itself: each step handed to the file that knows how."""

from __future__ import annotations

from dataclasses import replace

from ...core.codes import ModelCode
from ...core.engine import Say
from ...core.errors import MissingExtra, WrongUse
from ...core.facts import Scheme
from ...core.records.run import ModelIdentity, ModelSpec, Software
from ...core.schemes.names import resolve
from ..checkpoint.adapter import ARGUMENT as PEFT
from ..checkpoint.checkpoint_backend import (
    CheckpointBackend,
    checked_tokenizer,
    fetch_files,
    trusted,
)
from ..checkpoint.hub import all_files, display_name
from ..checkpoint.identity import identify
from ..checkpoint.quantize import make_checkpoint, need_llmcompressor
from ..checkpoint.recipe import AT_LOAD, check
from ..packages import installed
from .engine import TransformersEngine
from .loading import device_kind, load_model

REQUIRED = ("torch", "transformers", "lm_eval", "accelerate")
ALSO = ("compressed-tensors", "tokenizers")
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


class TransformersBackend(CheckpointBackend):
    """Implements `pytest_quantreg.core.engine.Backend` with Hugging Face transformers.

    ``cache_dir`` keeps the checkpoints that are quantized on the fly.
    """

    name = "transformers"

    def software(self) -> Software:
        """Installed versions, read without importing anything."""
        found_versions = {package: installed(package) for package in REQUIRED + ALSO}
        for package in REQUIRED:
            if found_versions[package] is None:
                raise MissingExtra(
                    "transformers", needed_by="the transformers backend", package=package
                )
        versions = {
            package: number for package, number in found_versions.items() if number is not None
        }
        return Software(self.name, versions)

    def software_of(self, spec: ModelSpec) -> Software:
        """The same, with peft where it applies an adapter."""
        software, peft = self.software(), installed("peft")
        if PEFT not in spec.args or peft is None:
            return software
        return replace(software, versions={**software.versions, "peft": peft})

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """Config, tokenizer and digests; of hub ids the weights are not downloaded."""
        self.software()
        return identify(spec, self._digests)

    def device_kind(self, spec: ModelSpec) -> str | None:
        """What `load` puts it on: ``cpu``, ``cuda``, ``rocm``; None where an argument decides."""
        return device_kind(spec)

    def check_makes(self, scheme: str) -> None:
        """Raises WrongUse for a scheme that needs data, MissingExtra without its package."""
        choice = check("the model", scheme)
        if choice.scheme.name in AT_LOAD:
            _need_bitsandbytes(scheme)
        elif choice.is_quantized:
            need_llmcompressor(scheme)

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """Downloads weights, and makes the scheme from them when the spec says so.

        An unquantized scheme is made by loading in that type, the bitsandbytes ones
        while loading, and so is what an argument ``quantization_config`` asks
        transformers for; all of them leave no files.
        """
        at_load = spec.made_by_argument
        if spec.quantize and not at_load:
            self.check_makes(spec.scheme)
        local, files = fetch_files(spec, say)
        if not spec.quantize:
            # What is amiss with it is told of the checkpoint, not of its baseline.
            return replace(local, name=display_name(spec))
        if at_load:
            return replace(local, quantize=False)
        choice = resolve(spec.scheme)
        if PEFT in spec.args and choice.is_quantized and choice.scheme.name not in AT_LOAD:
            raise WrongUse(ModelCode.NOT_MADE_WITH_ADAPTER, scheme=Scheme(spec.scheme))
        if not choice.is_quantized:
            dtype = DTYPES.get(choice.scheme.name, "auto")
            return replace(local, quantize=False, args={"dtype": dtype, **spec.args})
        if choice.scheme.name in AT_LOAD:
            return local
        identity = identify(spec, self._digests)
        return make_checkpoint(local, files, identity, self._cache_dir, self._digests, say)

    def load(self, spec: ModelSpec) -> TransformersEngine:
        """The engine of a prepared spec; raises Refusal for weights that do not fit it."""
        self.software()
        folder = all_files(spec, trusted=trusted(spec)).folder
        tokenizer = checked_tokenizer(spec, folder, spec.name)
        model = load_model(spec, folder)
        return TransformersEngine(spec, model, tokenizer)


def _need_bitsandbytes(scheme: str) -> None:
    if installed("bitsandbytes") is None:
        raise MissingExtra("quantize", needed_by=f"the scheme {scheme}", package="bitsandbytes")
