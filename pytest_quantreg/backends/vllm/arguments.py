"""What vLLM is started with: the arguments of its ``LLM`` and the environment of its process."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from ...core.codes import EngineCode
from ...core.errors import WrongUse
from ...core.records.run import Json, ModelSpec
from ...core.schemes.names import resolve
from ...core.secret_values import is_secret_name
from ..checkpoint.tokenizer import check_length, prompt_args

EXTENSION = "pytest_quantreg.backends.vllm.worker_probe.Probe"

SEED = 1234
"""That of lm-eval's own vLLM model, so that sampled answers are the same."""

KV_CACHE_BYTES = 1 << 30
"""On a CPU without a word about it vLLM asks for most of the machine's memory."""

_OURS = ("batch_size", "max_length", "add_bos_token", "torch_dtype")

_OTHER_MODEL = (
    *("model", "tokenizer", "tokenizer_revision", "skip_tokenizer_init", "revision"),
    *("code_revision", "config_format", "hf_config_path", "hf_overrides", "load_format"),
    *("model_loader_extra_config", "model_class_overrides", "model_weights"),
    *("runner", "convert", "enable_lora", "enable_prompt_embeds", "weight_transfer_config"),
)
"""Arguments that load something else than the files that were checked."""

_OTHER_SCORES = (
    *("logprobs_mode", "max_logprobs", "logits_processors", "generation_config"),
    *("watermark_config", "kv_transfer_config", "ec_transfer_config"),
)
"""Arguments that change what is read from the model's answers, or whose cache it reads."""

_FILES_ONLY = {"config_format": "hf", "load_format": "safetensors"}
"""Left to itself, vLLM takes Mistral's own files (params.json, consolidated*.safetensors)
where a folder holds them too: other weights than those that were checked."""

_OF_PLUGIN = ("worker_cls", "worker_extension_cls", "data_parallel_size", "api_server_count")


def prompt_arguments(args: Mapping[str, Json]) -> dict[str, Json]:
    """Those that change what becomes of a prompt, under the names all engines share.

    vLLM's ``max_model_len`` is ``max_length`` here. Raises WrongUse when both are given, and
    for values that they cannot have.
    """
    arguments = prompt_args(args)
    if args.get("max_model_len") is not None:
        check_length("max_model_len", args["max_model_len"])
        if "max_length" in arguments:
            raise WrongUse(EngineCode.TWO_NAMES_OF_LENGTH)
        arguments["max_length"] = args["max_model_len"]
    return arguments


def engine_arguments(
    spec: ModelSpec, folder: str, known_names: Collection[str], *, cpu: bool, kv_space: bool
) -> dict[str, Any]:
    """The keywords of ``vllm.LLM`` for a prepared ``spec``.

    ``known_names`` are the engine arguments that this vLLM has; ``kv_space`` says that the
    environment names the size of the KV cache. Raises WrongUse for unknown ones, with the
    nearest, and for those that would load or score something else.
    """
    for name in spec.args:
        _check(name, known_names)
    _refuse_lossy_speculation(spec.args.get("speculative_config"))
    arguments = {name: value for name, value in spec.args.items() if name not in _OURS}
    if (length := prompt_arguments(spec.args).get("max_length")) is not None:
        arguments["max_model_len"] = length
    if "torch_dtype" in spec.args:
        arguments.setdefault("dtype", spec.args["torch_dtype"])
    if resolve(spec.scheme).kv == "fp8":
        arguments.setdefault("kv_cache_dtype", "fp8")
    if (
        cpu
        and not kv_space
        and not {"kv_cache_memory_bytes", "gpu_memory_utilization"} & {*arguments}
    ):
        arguments["kv_cache_memory_bytes"] = KV_CACHE_BYTES
    return {
        "seed": SEED,
        "trust_remote_code": False,
        **arguments,
        **_FILES_ONLY,
        "model": folder,
        "worker_extension_cls": EXTENSION,
    }


def environment(args: Mapping[str, Json], *, cpu: bool) -> dict[str, str]:
    """Variables that vLLM reads, for those that are not set: nothing of it is a secret."""
    variables = {
        # It would report what it runs on to its makers, and look for files on the hub.
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    if not cpu:
        return variables
    # As many threads as OMP_NUM_THREADS says; bound to cores, two engines share one.
    variables["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    if args.get("tensor_parallel_size", 1) == 1:
        # The engine in this very process: it starts sooner and ends with it.
        variables["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    if args.get("enforce_eager"):
        # Some of its functions are compiled all the same, which takes the first request 15 s.
        variables["TORCHDYNAMO_DISABLE"] = "1"
    return variables


def _refuse_lossy_speculation(speculation: Json) -> None:
    """Refuses answers of which the draft model wrote what the model under test would not."""
    method = speculation.get("rejection_sample_method") if isinstance(speculation, dict) else None
    if method == "synthetic":
        raise WrongUse(EngineCode.SYNTHETIC_ACCEPTANCE)


def _check(name: str, known_names: Collection[str]) -> None:
    if is_secret_name(name):
        # Without its value: this is printed, and arguments are stored.
        raise WrongUse(EngineCode.TOKEN_ON_COMMAND_LINE, name=name)
    if name in _OTHER_MODEL:
        raise WrongUse(EngineCode.LOADS_UNCHECKED_MODEL, name=name)
    if name in _OTHER_SCORES:
        raise WrongUse(EngineCode.CHANGES_SCORES, name=name)
    if name in _OF_PLUGIN:
        raise WrongUse(EngineCode.SET_BY_VLLM_BACKEND, name=name)
    if name in known_names or name in _OURS:
        return
    near = difflib.get_close_matches(name, known_names, n=3, cutoff=0.6)
    raise WrongUse(EngineCode.NO_SUCH_VLLM_ARGUMENT, name=name, near=tuple(near))
