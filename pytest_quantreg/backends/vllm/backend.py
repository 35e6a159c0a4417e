"""The vLLM backend itself: each step handed to the file that knows how."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType

from ...core.codes import EngineCode
from ...core.engine import Say
from ...core.errors import Refusal, WrongUse
from ...core.facts import Scheme
from ...core.records.run import Json, ModelIdentity, ModelSpec, Software
from ...core.schemes.names import SchemeChoice, resolve
from ..checkpoint.adapter import refuse_leftover
from ..checkpoint.checkpoint_backend import (
    CheckpointBackend,
    checked_tokenizer,
    fetch_files,
    trusted,
)
from ..checkpoint.folder import INDEX, check_custom_code, check_weights, read_config
from ..checkpoint.hub import all_files, display_name
from ..checkpoint.identity import identify
from ..checkpoint.quantize import make_checkpoint
from ..checkpoint.recipe import AT_LOAD, check
from ..packages import installed
from ..quiet import quietly_imported
from .arguments import engine_arguments, environment, prompt_arguments
from .engine import SleepingVllmEngine, VllmEngine
from .failures import not_started
from .version import for_cpu, software

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}

ONLINE: Mapping[str, str] = MappingProxyType(
    {"w8a8-fp8": "fp8_per_channel", "w8a8-fp8-block": "fp8_per_block", "w8a8-mxfp8": "mxfp8"}
)
"""Schemes that vLLM makes of full-precision weights while it loads them, by its own names."""

IN_FLIGHT = 256
"""Requests handed over at a time where the device has room for that many."""


class VllmBackend(CheckpointBackend):
    """Implements `pytest_quantreg.core.engine.Backend` with vLLM's offline engine.

    ``cache_dir`` keeps the checkpoints that are quantized on the fly.
    """

    name = "vllm"
    own_process = True

    @property
    def batch_size(self) -> int:
        """How many requests are handed over at a time, unless somebody says."""
        return 32 if for_cpu() else IN_FLIGHT

    @property
    def exclusive(self) -> bool:
        """Return whether it takes the whole device, as it does wherever that is not the host."""
        return not for_cpu()

    def software(self) -> Software:
        """Installed versions, read without importing anything."""
        return software(self.name)

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """Config, tokenizer and digests; of hub ids the weights are not downloaded."""
        self.software()
        others = {key: value for key, value in spec.args.items() if key != "max_model_len"}
        args = {**others, **prompt_arguments(spec.args)}
        return identify(replace(spec, args=args), self._digests)

    def device_kind(self, spec: ModelSpec) -> str | None:  # noqa: ARG002
        """``cpu`` for a build that runs on nothing else."""
        return "cpu" if for_cpu() else None

    def check_makes(self, scheme: str) -> None:
        """Raises WrongUse for a scheme that neither vLLM nor llm-compressor makes here."""
        choice = resolve(scheme)
        if not choice.scheme.is_quantized or _online(choice):
            return
        if choice.scheme.name in AT_LOAD:
            raise WrongUse(EngineCode.BITSANDBYTES_LEFT_VLLM, scheme=Scheme(scheme))
        if choice.kv is not None:
            raise WrongUse(
                EngineCode.MADE_WITHOUT_KV_CACHE,
                scheme=Scheme(scheme),
                weights=scheme.partition("+")[0],
                online=tuple(ONLINE),
            )
        check("the model", scheme)
        if installed("llmcompressor") is None:
            raise WrongUse(
                EngineCode.LLMCOMPRESSOR_MISSING, scheme=Scheme(scheme), online=tuple(ONLINE)
            )

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """Downloads weights, and says how the scheme is made from them when the spec asks.

        fp8 is made by vLLM while it loads, an unquantized scheme by loading in that type;
        both leave no files. The others are made by llm-compressor where it is installed.
        """
        if spec.quantize and not spec.made_by_argument:
            self.check_makes(spec.scheme)
        local, files = fetch_files(spec, say)
        identity = self.identify(local)
        # vLLM's own "auto" turns float32 into 16 bits.
        ready = replace(local, args=_with_dtype(spec.args, identity.dtype))
        if not spec.quantize:
            return replace(ready, name=display_name(spec))
        if spec.made_by_argument:
            return replace(ready, quantize=False)
        choice = resolve(spec.scheme)
        if choice.scheme.name in DTYPES:
            args = _with_dtype(spec.args, DTYPES[choice.scheme.name])
            return replace(local, quantize=False, args=args)
        if (online := _online(choice)) is not None:
            say(f"{spec.name}: vLLM makes {spec.scheme} while it loads ({online})")
            return replace(ready, quantize=False, args={**ready.args, "quantization": online})
        return make_checkpoint(ready, files, identity, self._cache_dir, self._digests, say)

    def load(self, spec: ModelSpec) -> VllmEngine:
        """The engine of a prepared spec, in this process.

        Raises Refusal for a model with which vLLM does not start, WrongUse for arguments
        that it does not have.
        """
        self.software()
        folder = all_files(spec, trusted=trusted(spec)).folder
        check_custom_code(folder, read_config(folder, spec.name), spec.name, trusted(spec))
        refuse_leftover(folder, spec.name)
        tensors = check_weights(folder, spec.name)
        refuse_unchecked_files(folder, spec.name)
        checked_tokenizer(spec, folder, spec.name)
        scales = any(key.endswith(("k_scale", "v_scale", "kv_scale")) for key in tensors)
        kind = SleepingVllmEngine if spec.args.get("enable_sleep_mode") else VllmEngine
        try:
            return kind(spec, _start_llm(spec, folder), folder, kv_scales=scales)
        except Exception as error:  # vLLM raises whatever the layer below does
            raise not_started(spec, error) from error


def refuse_unchecked_files(folder: Path, name: str) -> None:
    """Refuses files that vLLM would load beside those that were checked.

    Without an index it takes every safetensors file of the folder, the last over the first.
    """
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if (folder / INDEX).is_file() or len(others) < 2:
        return
    others.remove("model.safetensors")
    raise Refusal(EngineCode.LOADS_UNCHECKED_FILE, model=name, file=others[0])


def _start_llm(spec: ModelSpec, folder: Path) -> object:
    cpu = for_cpu()
    for name, value in environment(spec.args, cpu=cpu).items():
        os.environ.setdefault(name, value)
    vllm, arguments = quietly_imported("vllm", "vllm.engine.arg_utils")
    known_names = [entry.name for entry in fields(arguments.EngineArgs)]
    space = bool(os.environ.get("VLLM_CPU_KVCACHE_SPACE"))
    llm: object = vllm.LLM(
        **engine_arguments(spec, str(folder), known_names, cpu=cpu, kv_space=space)
    )
    return llm


def _with_dtype(args: Mapping[str, Json], dtype: str) -> dict[str, Json]:
    rest = {key: value for key, value in args.items() if key != "torch_dtype"}
    return {**rest, "dtype": dtype}


def _online(choice: SchemeChoice) -> str | None:
    """Return vLLM's name of the scheme; None where it does not make it by rounding to nearest."""
    if choice.method not in (None, "rtn"):
        return None
    return ONLINE.get(choice.scheme.name)
