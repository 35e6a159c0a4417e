"""The engine arguments that llama.cpp is given, checked before anything is loaded."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ...core.codes import EngineCode
from ...core.errors import WrongUse
from ...core.facts import Problem, Scheme
from ...core.records.run import Json, ModelSpec
from ...core.schemes.names import resolve

LARGEST_CONTEXT = 4096
"""Tokens of a prompt with its answer, unless ``n_ctx`` says more or the model has fewer."""

KV_TYPES: Mapping[str, int] = {
    "f32": 0,
    "f16": 1,
    "bf16": 30,
    "q8_0": 8,
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "iq4_nl": 20,
}
"""Types of the KV cache, and ggml's numbers for them."""

KV_BITS: Mapping[str, float] = {
    "f32": 32,
    "f16": 16,
    "bf16": 16,
    "q8_0": 8.5,
    "q4_0": 4.5,
    "q4_1": 5,
    "q5_0": 5.5,
    "q5_1": 6,
    "iq4_nl": 4.5,
}
"""Bits of one value of the cache, scales included."""

_SPLIT_MODES = {"none": 0, "layer": 1, "row": 2}
_FLASH = {"auto": -1, False: 0, True: 1}


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclass(frozen=True)
class Argument:
    """What one argument may be: the rule that an error states, and its check."""

    rule: Problem
    check: Callable[[Any], bool]


def _count(least: int) -> Argument:
    return Argument(Problem(EngineCode.MUST_BE_WHOLE_NUMBER, {"least": least}), _whole(least))


def _one_of(names: Collection[str]) -> Argument:
    rule = Problem(EngineCode.MUST_BE_ONE_OF, {"choices": tuple(names)})
    return Argument(rule, lambda value: isinstance(value, str) and value in names)


_BOOL = Argument(Problem(EngineCode.MUST_BE_BOOLEAN, {}), lambda value: isinstance(value, bool))
_COUNT = _count(1)
_KV = _one_of(KV_TYPES)

ARGUMENTS: Mapping[str, Argument] = {
    "batch_size": _COUNT,
    "add_bos_token": _BOOL,
    "n_ctx": _COUNT,
    "n_batch": _COUNT,
    "n_ubatch": _COUNT,
    "n_threads": _COUNT,
    "n_threads_batch": _COUNT,
    "n_gpu_layers": Argument(Problem(EngineCode.MUST_BE_LAYERS, {}), _whole(-1)),
    "main_gpu": _count(0),
    "split_mode": _one_of(_SPLIT_MODES),
    "type_k": _KV,
    "type_v": _KV,
    "flash_attn": Argument(
        Problem(EngineCode.MUST_BE_FLASH_ATTENTION, {}),
        lambda value: value == "auto" or isinstance(value, bool),
    ),
    "offload_kqv": _BOOL,
    "op_offload": _BOOL,
    "swa_full": _BOOL,
    "use_mmap": _BOOL,
    "use_mlock": _BOOL,
    "use_extra_bufts": _BOOL,
    "check_tensors": _BOOL,
}

_OF_THE_MODEL = ("rope_", "yarn_", "kv_overrides", "lora", "control_vector")
"""Beginnings of arguments that would make it another model than its file says."""


def check_arguments(spec: ModelSpec) -> None:
    """Raises WrongUse for an argument that is unknown or of another kind, with the nearest."""
    for name, value in spec.args.items():
        if name.startswith(_OF_THE_MODEL):
            raise WrongUse(EngineCode.PART_OF_GGUF_MODEL, name=name, value=str(value))
        if name not in ARGUMENTS:
            near = difflib.get_close_matches(name, ARGUMENTS, n=1)
            raise WrongUse(
                EngineCode.NO_SUCH_LLAMACPP_ARGUMENT,
                name=name,
                value=str(value),
                near=tuple(near),
                known=tuple(sorted(ARGUMENTS)),
            )
        if not ARGUMENTS[name].check(value):
            rule = ARGUMENTS[name].rule
            raise WrongUse(EngineCode.BAD_ENGINE_ARGUMENT, name=name, value=str(value), rule=rule)
    _check_cache(spec)


def _check_cache(spec: ModelSpec) -> None:
    if resolve(spec.scheme).kv is not None:
        raise no_fp8_cache(spec.scheme)
    flash, values = spec.args.get("flash_attn"), str(spec.args.get("type_v", "f16"))
    if flash is False and values not in ("f32", "f16", "bf16"):
        raise WrongUse(EngineCode.FLASH_ATTENTION_IS_OFF, type=values)


def no_fp8_cache(scheme: str) -> WrongUse:
    """Return the error of a scheme with an fp8 KV cache."""
    return WrongUse(
        EngineCode.NO_FP8_CACHE_IN_LLAMACPP, scheme=Scheme(scheme), types=tuple(KV_TYPES)
    )


def set_model(parameters: Any, args: Mapping[str, Json]) -> None:
    """Writes the arguments into llama.cpp's ``llama_model_params``."""
    # Where llama.cpp was built for a device, it is used, as by the other engines.
    layers = args.get("n_gpu_layers", -1)
    parameters.n_gpu_layers = 0x7FFFFFFF if layers == -1 else layers
    parameters.main_gpu = args.get("main_gpu", 0)
    parameters.split_mode = _SPLIT_MODES[str(args.get("split_mode", "layer"))]
    mapped, locked = args.get("use_mmap", True), args.get("use_mlock", False)
    # LLAMA_LOAD_MODE_NONE, _MMAP, _MLOCK, _MMAP_MLOCK of llama.h.
    parameters.load_mode = int(bool(mapped)) + 2 * int(bool(locked))
    parameters.use_extra_bufts = args.get("use_extra_bufts", True)
    # Reads all weights once more, and refuses those that are NaN or infinite.
    parameters.check_tensors = args.get("check_tensors", True)


def set_context(parameters: Any, args: Mapping[str, Json], threads: int) -> None:
    """Writes them into ``llama_context_params``; sizes are the caller's."""
    parameters.n_threads = args.get("n_threads", threads)
    parameters.n_threads_batch = args.get("n_threads_batch", parameters.n_threads)
    parameters.n_batch = args.get("n_batch", 512)
    parameters.n_ubatch = min(int(str(args.get("n_ubatch", 512))), parameters.n_batch)
    parameters.flash_attn_type = _FLASH[args.get("flash_attn", "auto")]
    parameters.type_k = KV_TYPES[str(args.get("type_k", "f16"))]
    parameters.type_v = KV_TYPES[str(args.get("type_v", "f16"))]
    parameters.offload_kqv = args.get("offload_kqv", True)
    parameters.op_offload = args.get("op_offload", True)
    parameters.swa_full = args.get("swa_full", True)
    parameters.kv_unified = True
    parameters.no_perf = True
