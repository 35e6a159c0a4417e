"""Words of models, checkpoints and what they claim to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...core.codes import ModelCode
from ...core.facts import Fact
from .template import Lines, Table

_GIVE_CHECKPOINT = "give a checkpoint: --quant-checkpoint={scheme:name}=REF"
_GIVE_INSTEAD = "give a checkpoint instead: --quant-checkpoint={scheme:name}=REF"
_AS_PUBLISHED = "compare it with that of the checkpoint as it was published"
_CHECK_PATH = "check the path"
_COPY_FILE = "copy or download the file again"
_COPY_MODEL = "copy or download the model again"
_RUN_GGUF = "give the file itself, with --quant-backend=llamacpp"


def _not_cached(facts: Mapping[str, Fact]) -> Lines:
    """The command that downloads what `quantreg inspect` was to read."""
    command = "hf download {ref}" + (" --revision {revision}" if facts["revision"] else "")
    return "{name}: its weights are not in the local hub cache, and inspect downloads none", command


def _gguf_version(facts: Mapping[str, Fact]) -> Lines:
    """A version whose lower half is empty was written in the other byte order."""
    version = facts["version"]
    swapped = isinstance(version, int) and version & 0xFFFF == 0
    order = " (byte order of another machine)" if swapped else ""
    return (
        "{name}: {file} is of GGUF version {version}" + order + ", and {known:and} are read",
        "convert the model again with a newer llama.cpp",
    )


def _of_some(one: str, several: str | None = None) -> Callable[[Mapping[str, Fact]], Lines]:
    """A line about ``{names}``, of which ``more`` are only counted."""

    def choose(facts: Mapping[str, Fact]) -> Lines:
        names, many = facts["names"], several or one
        if facts["more"]:
            return many.replace("{names}", "{names} and {more} more")
        return one if isinstance(names, tuple) and len(names) == 1 else many

    return choose


_SCHEMES: Table = {
    ModelCode.UNKNOWN_SCHEME: (
        "unknown scheme {scheme!r}",
        "nearest: {nearest}",
        "known: {known}",
        "with -rtn, -gptq, -awq, -smoothquant and +kv-fp8 behind them; `quantreg schemes` "
        "describes them",
    ),
    ModelCode.UNKNOWN_SCHEME_SUFFIX: (
        "scheme {scheme!r}: {suffix!r} is not known after '+'",
        "known: +kv-fp8",
    ),
    ModelCode.METHOD_DOES_NOT_FIT: (
        "scheme {scheme!r}: {base} does not go with the method {method}",
        "leave it out: {base}",
    ),
    ModelCode.SCHEME_FOR_GGUF: (
        "scheme {scheme}: this is for GGUF files, which llama.cpp makes and runs",
        "use its backend, with a GGUF file as the model: --quant-backend=llamacpp",
    ),
    ModelCode.NEEDS_CALIBRATION: (
        "scheme {scheme}: {method} needs calibration data, so it is not made here",
        _GIVE_CHECKPOINT,
        "or round to nearest: --quant-scheme={base}",
    ),
    ModelCode.KV_NEEDS_CALIBRATION: (
        "scheme {scheme}: the scales of a quantized KV cache need calibration data",
        _GIVE_CHECKPOINT,
    ),
    ModelCode.NOT_MADE_HERE: (
        "scheme {scheme}: it cannot be made here from {name}",
        _GIVE_CHECKPOINT,
        "made without data: {makeable}",
    ),
    ModelCode.NOT_MADE_BY_BACKEND: (
        "scheme {scheme}: the {backend} backend cannot make it",
        _GIVE_CHECKPOINT,
    ),
    ModelCode.NOT_MADE_WITH_ADAPTER: (
        "{scheme} is not made on the fly of a model with an adapter (--quant-backend-arg=peft=...)",
        "merge the adapter first, or give --quant-checkpoint={scheme:name}=REF",
    ),
    ModelCode.QUANTIZES_NOTHING: "scheme {scheme} quantizes nothing",
    ModelCode.WIDTH_NOT_DIVISIBLE: (
        "scheme {scheme} works in {granularity}s of {size} values, and {name} has layers whose "
        "width that does not divide",
        "choose a scheme per channel: w8a8-fp8, w8a8-int8, w8a16-int8",
    ),
    ModelCode.QUANTIZED_ALREADY: (
        "{name} is quantized already ({stored}), so {scheme} is not made from it",
        "give it as the checkpoint: --quant-checkpoint={scheme:name}={ref}",
    ),
    ModelCode.MODEL_CACHE_NOT_WRITABLE: (
        "the cache of quantized models {folder} cannot be written: {error}",
        _GIVE_INSTEAD,
    ),
    ModelCode.MAKING_OUT_OF_MEMORY: (
        "making {scheme} of {name} failed: out of memory",
        _GIVE_INSTEAD,
    ),
    ModelCode.MAKING_FAILED: ("making {scheme} of {name} failed: {error}", _GIVE_INSTEAD),
    ModelCode.MAKING_EXITED: (
        "making {scheme} of {name} failed: exit status {status}",
        _GIVE_INSTEAD,
    ),
    ModelCode.NOTHING_TO_QUANTIZE: (
        "making {scheme} of {name} failed: the model has no linear layers that the scheme applies "
        "to",
        _GIVE_INSTEAD,
    ),
}

_ARGUMENTS: Table = {
    ModelCode.ARGUMENT_NOT_DTYPE: (
        "--quant-backend-arg={argument}={value}: not a dtype that models are run in",
        "known: {known}",
    ),
    ModelCode.ARGUMENT_LOADS_OTHER_WEIGHTS: (
        "--quant-backend-arg={argument}={value}: this would load other weights than those that "
        "were checked",
        "name the folder that holds them with --quant-model or --quant-checkpoint",
    ),
    ModelCode.ARGUMENT_CHANGES_MODEL: (
        "--quant-backend-arg={argument}={value}: this is part of the model ({argument} is {stored} "
        "in its config.json), not of how it is run",
        "gate a checkpoint whose own config.json says so, or leave it out",
    ),
    ModelCode.UNKNOWN_LOADING_ARGUMENT: (
        "{name}: from_pretrained does not take what was given: {error}",
        "did you mean {nearest:each}?",
        "check --quant-backend-arg",
    ),
    ModelCode.QUANTIZATION_ARGUMENT_REFUSED: (
        "{name}: quantization_config {options} is not understood: {error}",
        "{lines:each}",
        "check --quant-backend-arg quantization_config='{{\"quant_method\": ...}}'",
    ),
}

_FOLDERS: Table = {
    ModelCode.NO_MODEL_FOLDER: ("{name}: there is no folder {folder}", _CHECK_PATH),
    ModelCode.CHECKPOINT_IS_FILE: (
        "{name}: a file, not a checkpoint",
        "give its folder: {folder}",
    ),
    ModelCode.CHECKPOINT_IS_GGUF_FILE: (
        "{name}: this is a GGUF file, which llama.cpp runs",
        _RUN_GGUF,
    ),
    ModelCode.CHECKPOINT_IS_GGUF_FOLDER: (
        "{name}: a folder with GGUF files alone",
        "give one of the files itself",
    ),
    ModelCode.UNREADABLE_FILE: ("{name}: {file} cannot be read: {error}", _CHECK_PATH),
    ModelCode.UNREADABLE_JSON: ("{name}: {file} cannot be read: {error}", _COPY_MODEL),
    ModelCode.CORRUPT_JSON: ("{name}: {file} cannot be read: it {damage}", _COPY_MODEL),
    ModelCode.JSON_NOT_AN_OBJECT: "{name}: {file} is not a JSON object",
    ModelCode.NOT_A_REGULAR_FILE: "is not a file",
    ModelCode.FILE_TOO_LARGE: "has {size:,} bytes where at most {most:,} can be right",
    ModelCode.HALF_CHARACTERS: "holds text that is not valid Unicode",
    ModelCode.NOT_THIS_BACKENDS_MODEL: (
        "{name}: {file} cannot be read: {error}",
        "is this the folder of a model of this backend?",
    ),
    ModelCode.NO_CONFIG: (
        "{name}: no config.json in {folder}",
        "give the folder that save_pretrained wrote",
    ),
    ModelCode.IMPOSSIBLE_COUNT: (
        "{name}: config.json says {key} = {count:,}, which no model has",
        "compare it with that of the model as it was published",
    ),
    ModelCode.CONFIG_REFUSED: (
        "{name}: config.json is not usable: {error}",
        "is model_type {model_type!r} known to this transformers ({version})?",
    ),
    ModelCode.NOT_CAUSAL: (
        "{name}: {model_type} is not a decoder-only language model",
        "the transformers backend runs what AutoModelForCausalLM loads",
    ),
    ModelCode.NEEDS_OWN_CODE: (
        "{name}: needs Python code that comes with the model, and such code is not run unasked",
        "read it, then allow it: --quant-backend-arg trust_remote_code=true",
    ),
    ModelCode.UNREADABLE_QUANTIZATION_CONFIG: (
        "{name}: the quantization_config of config.json cannot be read: {error}",
        _AS_PUBLISHED,
    ),
    ModelCode.UNUSABLE_PATTERNS: (
        "{name}: the quantization_config of config.json cannot be used: {cause}",
        _AS_PUBLISHED,
    ),
    ModelCode.PATTERN_TOO_LONG: "the pattern {start!r}... has {length:,} characters",
    ModelCode.SLOW_PATTERN: (
        "the pattern {pattern!r} may take forever on some names: it repeats what can match in "
        "several ways"
    ),
    ModelCode.SLOW_ON_LONGEST_NAME: "the pattern {pattern!r} may take forever on its longest name",
    ModelCode.SLOW_ON_ALL_NAMES: (
        "its patterns take more than {seconds:g} s on {names:,} names, the last {pattern!r}"
    ),
    ModelCode.NO_TOKENIZER: (
        "{name}: no tokenizer in {folder}",
        "copy tokenizer.json and tokenizer_config.json of the original model into it",
    ),
    ModelCode.TOKENIZER_NOT_LOADED: (
        "{name}: its tokenizer cannot be loaded: {error}",
        "copy the tokenizer files of the original model again",
    ),
    ModelCode.BOS_NOT_ADDED: (
        "{name}: add_bos_token is set, but encoded prompts do not begin with {token}",
        "give tokenizer.json a post-processor that adds it,",
        "or say that none is wanted: --quant-backend-arg add_bos_token=false",
    ),
    ModelCode.NO_SUCH_CHAT_TEMPLATE: (
        "{name} has no chat template {template!r}",
        "choose one: apply_chat_template=NAME with NAME among {templates}",
    ),
}

_WEIGHTS: Table = {
    ModelCode.NO_WEIGHTS: ("{name}: no weights in {folder}", "it should hold model.safetensors"),
    ModelCode.GGUF_IN_FOLDER: ("{name}: holds GGUF weights, which llama.cpp runs", _RUN_GGUF),
    ModelCode.PICKLED_BIN: (
        "{name}: holds pickled weights (.bin), which can run code when loaded",
        "convert once: AutoModelForCausalLM.from_pretrained(...).save_pretrained(FOLDER)",
    ),
    ModelCode.PICKLED_PTH: (
        "{name}: holds pickled weights (.pth), which can run code when loaded",
        "convert it to the safetensors layout of transformers",
    ),
    ModelCode.TWO_SETS_OF_WEIGHTS: (
        "{name}: holds two sets of weights: {single}, and the shards of {index}",
        "engines differ in which they load: keep one of them in the folder",
    ),
    ModelCode.NO_WEIGHT_MAP: ("{name}: {index} has no weight_map", "download the model again"),
    ModelCode.SHARD_MISSING: (
        "{name}: {index} names {file}, which is not in the folder",
        "copy or download the missing files",
    ),
    ModelCode.TENSOR_IN_SEVERAL_SHARDS: (
        "{name}: {tensor} is in several of its shards, last in {file}",
        _COPY_MODEL,
    ),
    ModelCode.SHARDS_LACK_TENSORS: (
        "{name}: the shards lack {count} tensors of the index, {first} first",
        _COPY_MODEL,
    ),
    ModelCode.TORN_FILE: ("{name}: {file} is torn: {damage}", _COPY_FILE),
    ModelCode.HEADER_CUT_OFF: "its header is cut off",
    ModelCode.HEADER_UNREADABLE: "its header is not readable",
    ModelCode.HEADER_TOO_LONG: "its header has more than {most:,} bytes",
    ModelCode.OTHER_FILE_SIZE: "it has {size:,} bytes and should have {expected:,}",
    ModelCode.OTHER_TENSOR_SIZE: "{tensor} is not as long as its shape and type say",
    ModelCode.QUANTIZED_IN_CONFIG_ALONE: (
        "{name}: config.json says {stored}, but nothing in its weights is quantized: every tensor "
        "is plain and none is a scale",
        "save the quantized weights, not the original ones, beside this config.json",
    ),
    ModelCode.WEIGHTS_MISSING: (
        "{name}: {count} weights are not in the files, {first} first; they would be random",
        "is config.json that of another model, or is a file missing?",
    ),
    ModelCode.QUANTIZED_TENSORS_UNUSED: (
        "{name}: {count} tensors of quantized weights go unused, {first} first",
        "config.json lacks the quantization_config they were saved with",
    ),
    ModelCode.WEIGHTS_NOT_FINITE: (
        "{name}: {tensor} holds NaN or infinity",
        "quantize or download the checkpoint again",
    ),
    ModelCode.FORMAT_NEEDS_PACKAGE: (
        "{name} holds {scheme}, which needs a package: {error}",
        "install that package",
    ),
    ModelCode.MODEL_NOT_LOADED: (
        "{name}: transformers cannot load it: {kind}: {error}",
        "check the checkpoint, and --quant-backend-arg if any was given",
    ),
}

_HUB: Table = {
    ModelCode.NO_SAFETENSORS_ON_HUB: (
        "{ref} on the hub has no safetensors weights",
        "choose a repository with model.safetensors, or convert it to a folder",
    ),
    ModelCode.GATED_REPOSITORY: (
        "{at} is gated and this account or token has no access",
        "ask for access at https://huggingface.co/{ref}, then `hf auth login`, or set HF_TOKEN",
    ),
    ModelCode.NO_SUCH_REVISION: ("{at}: no such revision", "check what follows the @"),
    ModelCode.NO_SUCH_REPOSITORY: (
        "{at} is neither a folder here nor a repository that this token can see",
        "check the name; for a private one `hf auth login`, or set HF_TOKEN",
    ),
    ModelCode.NOT_A_HUB_ID: (
        "{at!r} is neither a folder here nor a hub id",
        "give a folder that exists or ORG/NAME",
    ),
    ModelCode.REVISION_NOT_CACHED: (
        "{at} is not in the local hub cache, and the hub cannot be reached",
        "go online once, unset HF_HUB_OFFLINE, or give a folder",
    ),
    ModelCode.REPOSITORY_NOT_CACHED: (
        "{at} is no folder here, and not in the local hub cache, and the hub cannot be reached",
        "go online once, unset HF_HUB_OFFLINE, or give a folder",
    ),
    ModelCode.WEIGHTS_NOT_CACHED: _not_cached,
    ModelCode.HUB_FAILED: "{at} cannot be fetched: {error}",
}

_ADAPTERS: Table = {
    ModelCode.ADAPTER_BESIDE_WEIGHTS: (
        "{file} lies beside the weights: transformers applies that adapter where peft is "
        "installed, and other engines do not"
    ),
    ModelCode.LEFTOVER_ADAPTER: (
        "{name}: {cause}",
        "if it is a leftover, delete it with its weights (adapter_model.*)",
        "if it belongs to the model, merge it (merge_and_unload of peft) or move both files",
        "to a folder of their own and name that: --quant-backend-arg peft=FOLDER "
        "(transformers backend)",
    ),
    ModelCode.NO_ADAPTER_IN_FOLDER: (
        "--quant-backend-arg=peft={adapter}: no local folder with {files:and}",
        "give the folder that save_pretrained of peft wrote; download one from the hub with: "
        "hf download ORG/NAME --local-dir FOLDER",
    ),
    ModelCode.ADAPTER_NOT_LORA: (
        "--quant-backend-arg=peft={adapter}: an adapter of type {kind}; only LORA is supported",
        "merge it into the weights, and gate the merged model",
    ),
    ModelCode.ADAPTER_NOT_APPLIED: (
        "{name}: the adapter {adapter} cannot be applied: {error}",
        "give one that was trained on this model; where the format of its weights takes no "
        "adapter, merge it before quantizing",
    ),
    ModelCode.ADAPTER_LACKS_TENSORS: (
        "{name}: the adapter {adapter} lacks {count} tensors, {first} first",
        "give the adapter that was trained on this model",
    ),
    ModelCode.ADAPTER_HAS_UNUSED_TENSORS: (
        "{name}: the adapter {adapter} has unused {count} tensors, {first} first",
        "give the adapter that was trained on this model",
    ),
    ModelCode.PEFT_NOT_INSTALLED: (
        "--quant-backend-arg=peft=FOLDER needs the package peft, which is not installed",
        "install it with: pip install peft",
    ),
}

_GGUF: Table = {
    ModelCode.GGUF_IN_NAMED_FOLDER: (
        "{name} is a folder, and a model of llama.cpp is a file",
        "name one of its files: {name}/NAME.gguf ({files})",
    ),
    ModelCode.FOLDER_WITHOUT_GGUF: (
        "{name} is a folder without GGUF files, and llama.cpp reads nothing else",
        "convert a full-precision model once, with the script of llama.cpp's repository:",
        "python convert_hf_to_gguf.py {name} --outtype f16 --outfile {name}-f16.gguf",
        "and give the file: --quant-model={name}-f16.gguf",
    ),
    ModelCode.NO_SUCH_GGUF: ("{name}: there is no such file", _CHECK_PATH),
    ModelCode.GGUF_NOT_DOWNLOADED: (
        "{ref} is no file here, and the llamacpp backend downloads none",
        "download it: hf download ORG/NAME FILE.gguf --local-dir . and give the file",
    ),
    ModelCode.NOT_THE_FIRST_PART: (
        "{name} is not the first of {count} parts",
        "give the first: {stem}-00001-of-{count:05}.gguf",
    ),
    ModelCode.PART_MISSING: ("{name}: {part} is missing", "download all of its parts"),
    ModelCode.PARTS_RENAMED: (
        "{name}: it is the first of {count} parts, and its name does not say so",
        "give all parts the names they had: NAME-00001-of-{count:05}.gguf",
    ),
    ModelCode.TENSOR_TWICE: ("{name}: a tensor stands in it twice", "download its parts again"),
    ModelCode.NO_ARCHITECTURE: (
        "{name}: it names no architecture",
        "is it an adapter or a vocabulary alone?",
    ),
    ModelCode.GGUF_NOT_A_MODEL: (
        "{name}: it holds no model but: {kind}",
        "give the model's own file",
    ),
    ModelCode.NO_TENSORS: ("{name}: it holds no tensors", "a vocabulary alone is no model"),
    ModelCode.NO_TOKENIZER_IN_GGUF: ("{name}: it holds no tokenizer", "convert the model again"),
    ModelCode.UNREADABLE_GGUF: ("{name}: it cannot be read: {error}", _CHECK_PATH),
    ModelCode.EMPTY_GGUF: ("{name}: {file} is empty", _COPY_FILE),
    ModelCode.NOT_GGUF: (
        "{name}: {file} is no GGUF file",
        "give a file that llama.cpp's convert_hf_to_gguf.py or llama-quantize has written",
    ),
    ModelCode.GGUF_VERSION: _gguf_version,
    ModelCode.UNKNOWN_TENSOR_TYPE: (
        "{name}: {file}: {tensor} is of type {type}, which the installed gguf does not know",
        "pip install --upgrade gguf llama-cpp-python",
    ),
    ModelCode.TOO_MANY_ENTRIES: "it counts {tensors:,} tensors and {fields:,} fields",
    ModelCode.ROWS_NOT_IN_BLOCKS: "{tensor} has rows of {width} values in blocks of {values}",
    ModelCode.DATA_CUT_OFF: "the data of {tensor} end {missing:,} bytes after the file",
    ModelCode.TOO_MANY_DIMENSIONS: "{tensor} has {dimensions} dimensions",
    ModelCode.FIELD_NESTED_TOO_DEEPLY: "arrays in it are nested too deeply",
    ModelCode.UNKNOWN_FIELD_TYPE: "a field of unknown type {type}",
    ModelCode.FIELD_NAME_NOT_TEXT: "the name of a field is not UTF-8 text",
    ModelCode.TENSOR_NAME_NOT_TEXT: "the name of a tensor is not UTF-8 text",
}

_CONTRADICTIONS: Table = {
    ModelCode.CONTRADICTS_ITSELF: (
        "{name} contradicts itself: {first}",
        "and {others:each}",
        "and {more} more",
        "all that its files hold: quantreg inspect {ref}",
        "quantize or download it again; no model was loaded",
    ),
    ModelCode.PLAIN_THROUGHOUT: (
        "config.json says {scheme}, but none of the {layers} linear layers is quantized: they are "
        "{held}"
    ),
    ModelCode.QUANTIZED_WITHOUT_CLAIM: _of_some(
        "config.json says nothing of quantization, but {names} is quantized; an engine would take "
        "the numbers for weights",
        "config.json says nothing of quantization, but {names} are quantized; an engine would take "
        "the numbers for weights",
    ),
    ModelCode.PLAIN_NOT_IGNORED: _of_some(
        "{names} is not quantized, and the ignore list of config.json does not name it",
        "{names} are not quantized, and the ignore list of config.json does not name them",
    ),
    ModelCode.IGNORED_AND_QUANTIZED: _of_some(
        "{names} is quantized, and the ignore list of config.json names it",
        "{names} are quantized, and the ignore list of config.json names them",
    ),
    ModelCode.LAYERS_HELD_OTHERWISE: "{difference} ({layers} layers, {first} first)",
    ModelCode.OTHER_NUMBER_TYPE: "config.json says {declared} weights, the tensors are {dtype}",
    ModelCode.OTHER_BITS: "config.json says {declared} weights, the tensors are of {bits} bits",
    ModelCode.OTHER_GROUP_SIZE: (
        "config.json says groups of {declared}, the scales are for groups of {held}"
    ),
    ModelCode.NO_SCALES: _of_some(
        "{names} is quantized, but the files hold no scales for it",
        "{names} are quantized, but the files hold no scales for them",
    ),
    ModelCode.SCALES_NOT_FINITE: _of_some("scales are NaN or infinite: {names}"),
    ModelCode.SCALES_ALL_ZERO: _of_some("scales are all zero: {names}"),
    ModelCode.SCALES_ALL_ONE: _of_some(
        "weight scales are all one, as if nothing had been scaled: {names}"
    ),
    ModelCode.OTHER_FILE_TYPE: "general.file_type says {declared}, but {difference}",
    ModelCode.GGUF_LAYERS_QUANTIZED: "layers are quantized: {types}",
    ModelCode.GGUF_LAYERS_PLAIN: "none of the layers is quantized: they are {held}",
    ModelCode.GGUF_LAYERS_OTHER_TYPES: "the layers are {types}",
    ModelCode.SHARE_OF_TYPE: "{type} ({share:.0%})",
}

WORDS: Table = {
    **_SCHEMES,
    **_ARGUMENTS,
    **_FOLDERS,
    **_WEIGHTS,
    **_HUB,
    **_ADAPTERS,
    **_GGUF,
    **_CONTRADICTIONS,
}
