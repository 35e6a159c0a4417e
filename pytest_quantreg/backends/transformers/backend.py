"""The transformers backend itself: each step handed to the file that knows how."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...core.engine import ChatFormatter, Say
from ...core.errors import MissingExtra
from ...core.inspection import Checkpoint
from ...core.record import ModelIdentity, ModelSpec, Software
from ...core.schemes import resolve
from ..checkpoint.claim import stored_in
from ..checkpoint.hub import all_files, is_folder, shown, small_files, weights_are_here
from ..checkpoint.identity import FileDigests, identify
from ..checkpoint.quantize import made, need_llmcompressor
from ..checkpoint.recipe import AT_LOAD, check
from ..checkpoint.tokenizer import chat_formatter, check_bos, load_tokenizer
from .engine import TransformersEngine
from .loading import device_kind, load_model

REQUIRED = ("torch", "transformers", "lm_eval", "accelerate")
ALSO = ("compressed-tensors", "tokenizers")
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


class TransformersBackend:
    """Implements `pytest_quantreg.core.engine.Backend` with Hugging Face transformers.

    ``cache_dir`` keeps the checkpoints that are quantized on the fly.
    """

    name = "transformers"

    def __init__(self, *, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._digests = FileDigests()

    def software(self) -> Software:
        """Installed versions, read without importing anything."""
        found = {package: _installed(package) for package in REQUIRED + ALSO}
        for package in REQUIRED:
            if found[package] is None:
                raise MissingExtra(
                    "transformers", needed_by="the transformers backend", package=package
                )
        versions = {package: number for package, number in found.items() if number is not None}
        return Software(self.name, versions)

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """Config, tokenizer and digests; of hub ids the weights are not downloaded."""
        self.software()
        return identify(spec, self._digests)

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """What quantization_config in config.json says."""
        files = small_files(spec, trusted=_trusted(spec))
        return stored_in(files.folder, shown(spec))

    def inspect(self, spec: ModelSpec) -> Checkpoint | None:
        """What the files hold, without loading them; None while weights are on the hub."""
        # Scales are read with numpy, which naming a backend need not import.
        from ..checkpoint.headers import inspect_spec

        return inspect_spec(spec)

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

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        """Renders chats as HFLM does; None without a template."""
        self.software()
        files = small_files(spec, trusted=_trusted(spec))
        tokenizer = load_tokenizer(files.folder, shown(spec), trusted=_trusted(spec))
        return chat_formatter(tokenizer, template, shown(spec))

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """Downloads weights, and makes the scheme from them when the spec says so.

        An unquantized scheme is made by loading in that type, the bitsandbytes ones
        while loading, and so is what an argument ``quantization_config`` asks
        transformers for; all of them leave no files.
        """
        at_load = spec.made_by_argument
        if spec.quantize and not at_load:
            self.check_makes(spec.scheme)
        here = small_files(spec, trusted=_trusted(spec))
        if not weights_are_here(here, shown(spec)):
            say(f"downloading {spec.ref}")
        files = all_files(spec, trusted=_trusted(spec))
        local = spec if is_folder(spec) else replace(spec, ref=str(files.folder), revision=None)
        if not spec.quantize:
            # What is amiss with it is told of the checkpoint, not of its baseline.
            return replace(local, name=shown(spec))
        if at_load:
            return replace(local, quantize=False)
        choice = resolve(spec.scheme)
        if not choice.is_quantized:
            dtype = DTYPES.get(choice.scheme.name, "auto")
            return replace(local, quantize=False, args={"dtype": dtype, **spec.args})
        if choice.scheme.name in AT_LOAD:
            return local
        identity = identify(spec, self._digests)
        return made(local, files, identity, self._cache_dir, self._digests, say)

    def load(self, spec: ModelSpec) -> TransformersEngine:
        """The engine of a prepared spec; raises Refusal for weights that do not fit it."""
        self.software()
        folder = all_files(spec, trusted=_trusted(spec)).folder
        tokenizer = load_tokenizer(folder, spec.name, trusted=_trusted(spec))
        wanted = spec.args.get("add_bos_token")
        check_bos(tokenizer, spec.name, wanted if isinstance(wanted, bool) else None)
        model = load_model(spec, folder)
        return TransformersEngine(spec, model, tokenizer)


def _trusted(spec: ModelSpec) -> bool:
    return bool(spec.args.get("trust_remote_code", False))


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _need_bitsandbytes(scheme: str) -> None:
    if _installed("bitsandbytes") is None:
        raise MissingExtra("quantize", needed_by=f"the scheme {scheme}", package="bitsandbytes")
