"""The vLLM backend itself: each step handed to the file that knows how."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType

from ...core.engine import ChatFormatter, Say
from ...core.errors import WrongUse
from ...core.inspection import Checkpoint
from ...core.record import Json, ModelIdentity, ModelSpec, Software
from ...core.schemes import SchemeChoice, resolve
from ..checkpoint.claim import stored_in
from ..checkpoint.folder import INDEX, check_custom_code, check_weights, read_config, unusable
from ..checkpoint.hub import all_files, is_folder, shown, small_files, weights_are_here
from ..checkpoint.identity import FileDigests, identify
from ..checkpoint.quantize import made
from ..checkpoint.recipe import AT_LOAD, check
from ..checkpoint.tokenizer import chat_formatter, check_bos, load_tokenizer
from ..quiet import quietly_imported
from .arguments import engine_arguments, environment, prompt_arguments
from .engine import SleepingVllmEngine, VllmEngine
from .failures import not_started
from .installed import for_cpu, installed, software

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}

ONLINE: Mapping[str, str] = MappingProxyType(
    {"w8a8-fp8": "fp8_per_channel", "w8a8-fp8-block": "fp8_per_block", "w8a8-mxfp8": "mxfp8"}
)
"""Schemes that vLLM makes of full-precision weights while it loads them, by its own names."""

IN_FLIGHT = 256
"""Requests handed over at a time where the device has room for that many."""


class VllmBackend:
    """Implements `pytest_quantreg.core.engine.Backend` with vLLM's offline engine.

    ``cache_dir`` keeps the checkpoints that are quantized on the fly.
    """

    name = "vllm"
    own_process = True

    def __init__(self, *, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._digests = FileDigests()

    @property
    def batch_size(self) -> int:
        """How many requests are handed over at a time, unless somebody says."""
        return 32 if for_cpu() else IN_FLIGHT

    @property
    def exclusive(self) -> bool:
        """Whether it takes the whole device, as it does wherever that is not the host."""
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

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """What the folder says of its quantization."""
        files = small_files(spec, trusted=_trusted(spec))
        return stored_in(files.folder, shown(spec))

    def inspect(self, spec: ModelSpec) -> Checkpoint | None:
        """What the files hold, without loading them; None while weights are on the hub."""
        # Scales are read with numpy, which naming a backend need not import.
        from ..checkpoint.headers import inspect_spec

        return inspect_spec(spec)

    def device_kind(self, spec: ModelSpec) -> str | None:  # noqa: ARG002
        """``cpu`` for a build that runs on nothing else."""
        return "cpu" if for_cpu() else None

    def check_makes(self, scheme: str) -> None:
        """Raises WrongUse for a scheme that neither vLLM nor llm-compressor makes here."""
        choice = resolve(scheme)
        if not choice.scheme.is_quantized or _online(choice):
            return
        if choice.scheme.name in AT_LOAD:
            raise WrongUse(
                f"scheme {scheme}: vLLM does not make it; bitsandbytes left it with 0.28",
                help="use the transformers backend: --quant-backend transformers",
            )
        if choice.kv is not None:
            raise WrongUse(
                f"scheme {scheme}: vLLM quantizes the KV cache, but does not make "
                f"{scheme.partition('+')[0]}",
                help=(
                    f"give a checkpoint of that: --quant-checkpoint={scheme}=REF",
                    f"vLLM makes these while loading: {', '.join(ONLINE)}",
                ),
            )
        check("the model", scheme)
        if installed("llmcompressor") is None:
            raise WrongUse(
                f"scheme {scheme}: vLLM does not make it, and llm-compressor, which would, is not "
                "installed (it may want other versions than this vLLM)",
                help=(
                    "make it where `pip install llmcompressor` fits, with its `oneshot`, and give",
                    f"the folder: --quant-checkpoint={scheme}=FOLDER",
                    f"vLLM makes these while loading: {', '.join(ONLINE)}",
                ),
            )

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        """Renders chats with the model's template; None without one."""
        self.software()
        files = small_files(spec, trusted=_trusted(spec))
        tokenizer = load_tokenizer(files.folder, shown(spec), trusted=_trusted(spec))
        return chat_formatter(tokenizer, template, shown(spec))

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """Downloads weights, and says how the scheme is made from them when the spec asks.

        fp8 is made by vLLM while it loads, an unquantized scheme by loading in that type;
        both leave no files. The others are made by llm-compressor where it is installed.
        """
        if spec.quantize and not spec.made_by_argument:
            self.check_makes(spec.scheme)
        here = small_files(spec, trusted=_trusted(spec))
        if not weights_are_here(here, shown(spec)):
            say(f"downloading {spec.ref}")
        files = all_files(spec, trusted=_trusted(spec))
        local = spec if is_folder(spec) else replace(spec, ref=str(files.folder), revision=None)
        identity = self.identify(local)
        # vLLM's own "auto" turns float32 into 16 bits.
        ready = replace(local, args=_with_dtype(spec.args, identity.dtype))
        if not spec.quantize:
            return replace(ready, name=shown(spec))
        if spec.made_by_argument:
            return replace(ready, quantize=False)
        choice = resolve(spec.scheme)
        if choice.scheme.name in DTYPES:
            args = _with_dtype(spec.args, DTYPES[choice.scheme.name])
            return replace(local, quantize=False, args=args)
        if (online := _online(choice)) is not None:
            say(f"{spec.name}: vLLM makes {spec.scheme} while it loads ({online})")
            return replace(ready, quantize=False, args={**ready.args, "quantization": online})
        return made(ready, files, identity, self._cache_dir, self._digests, say)

    def load(self, spec: ModelSpec) -> VllmEngine:
        """The engine of a prepared spec, in this process.

        Raises Refusal for a model with which vLLM does not start, WrongUse for arguments
        that it does not have.
        """
        self.software()
        folder = all_files(spec, trusted=_trusted(spec)).folder
        check_custom_code(folder, read_config(folder, spec.name), spec.name, _trusted(spec))
        tensors = check_weights(folder, spec.name)
        refuse_unchecked_files(folder, spec.name)
        tokenizer = load_tokenizer(folder, spec.name, trusted=_trusted(spec))
        wanted = spec.args.get("add_bos_token")
        check_bos(tokenizer, spec.name, wanted if isinstance(wanted, bool) else None)
        scales = any(key.endswith(("k_scale", "v_scale", "kv_scale")) for key in tensors)
        kind = SleepingVllmEngine if spec.args.get("enable_sleep_mode") else VllmEngine
        try:
            return kind(spec, _started(spec, folder), folder, kv_scales=scales)
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
    raise unusable(
        name,
        f"vLLM would load {others[0]} over model.safetensors, which alone was checked",
        "keep one of them in the folder",
    )


def _started(spec: ModelSpec, folder: Path) -> object:
    cpu = for_cpu()
    for name, value in environment(spec.args, cpu=cpu).items():
        os.environ.setdefault(name, value)
    vllm, arguments = quietly_imported("vllm", "vllm.engine.arg_utils")
    known = [entry.name for entry in fields(arguments.EngineArgs)]
    space = bool(os.environ.get("VLLM_CPU_KVCACHE_SPACE"))
    found: object = vllm.LLM(**engine_arguments(spec, str(folder), known, cpu=cpu, kv_space=space))
    return found


def _with_dtype(args: Mapping[str, Json], dtype: str) -> dict[str, Json]:
    rest = {key: value for key, value in args.items() if key != "torch_dtype"}
    return {**rest, "dtype": dtype}


def _online(choice: SchemeChoice) -> str | None:
    """What vLLM calls the scheme; None where it does not make it by rounding to nearest."""
    if choice.method not in (None, "rtn"):
        return None
    return ONLINE.get(choice.scheme.name)


def _trusted(spec: ModelSpec) -> bool:
    return bool(spec.args.get("trust_remote_code", False))
