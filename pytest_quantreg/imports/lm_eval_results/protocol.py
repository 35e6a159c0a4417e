"""How lm-eval put a task to a model, as far as its results file says."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ...core.comparison.partial_comparability import NO_INSTRUCTION, NOT_GIVEN
from ...core.records.run import Json
from ...core.redact_settings import seal
from ..foreign_files import number_of, object_of, text_of, whole_of
from .model_names import MAIN, comparable_names

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Where a function lay in memory: another number in each process."""

NOT_ASKED = frozenset(
    {"task", "task_alias", "tag", "group", "group_alias", "dataset_path", "dataset_name"}
    | {"dataset_kwargs", "metadata", "num_fewshot", "generation_kwargs", "repeats", "output_type"}
    | {"should_decontaminate", "doc_to_decontamination_query", "unsafe_code", "custom_dataset"}
)
"""Of a task's file: where its data lies, and what is compared by itself."""

THOUGHTS = ("enable_thinking", "think_end_token", "chat_template_args")
PROMPT_ARGUMENTS = ("add_bos_token", "prefix_token_id")

WEIGHTS = frozenset(
    {"revision", "subfolder", "quantization", "quantization_config", "kv_cache_dtype", "gguf_file"}
    | {"load_in_4bit", "load_in_8bit", "llm_int8_threshold", "autogptq", "gptqmodel"}
    | {"peft", "delta", "lora_local_path", "torchao_config", "load_format", "hf_overrides"}
)
"""Arguments that make other weights of the same name; so do those that begin with ``bnb_``."""

QUANTIZES = frozenset({"load_in_4bit", "load_in_8bit", "quantization", "quantization_config"})
_HOW_PREFIXES = ("bnb_", "llm_int8_")
_EMPTY_VALUES = frozenset({"", ".", "{}", "auto", "false", "none", "null"})
_PLAIN_LOAD_FORMATS = frozenset({"hf", "pt", "safetensors", "fastsafetensors"})
"""Values of ``load_format`` that say only how files are read."""

ENGINE = "lm-eval-"
"""What the engine's name begins with where lm-eval asked; which of its models follows."""

NO_NAME = "unnamed model"
"""Of a model that no file names."""

PATH = re.compile(r"^(/|\\\\|[A-Za-z]:[\\/]|~|\.{1,2}([\\/]|$))")
"""What the name of a model that lies in a folder begins with."""


def protocol_fields(
    document: Mapping[str, Any], task: str, config: Mapping[str, Any], *, is_group: bool
) -> tuple[dict[str, Json], dict[str, str]]:
    """What must be equal to compare, as far as it is known, and words for digests."""
    settings = object_of(document.get("config"))
    arguments = arguments_of(document)
    fields: dict[str, Json] = {
        "software.backend": engine_of(document),
        "protocol.task": task,
        "protocol.output_type": text_of(config.get("output_type")),
        "protocol.num_fewshot": _num_fewshot(document, task, config),
        "protocol.task_version": _version(document, task),
        "protocol.repeats": whole_of(config.get("repeats")),
        "protocol.seed": whole_of(settings.get("fewshot_seed")),
        "version.transformers": text_of(document.get("transformers_version")),
        "version.lm_eval": text_of(document.get("lm_eval_version")),
        "model.dtype": _dtype(settings, arguments),
        "imported.max_length": whole_of(document.get("max_length")),
        "imported.special_tokens": _special_tokens(document),
        "batch_size": _batch_size(settings.get("batch_size")),
    }
    if not is_group:
        fields["protocol.total_items"] = whole_of(
            object_of(object_of(document.get("n-samples")).get(task)).get("original")
        )
    fields["items.digests"] = text_of(object_of(document.get("task_hashes")).get(task))
    if config.get("output_type") == "generate_until":
        fields["protocol.gen_kwargs"] = _generation_arguments(config, settings)
    for name in THOUGHTS:
        fields[f"imported.{name}"] = _plain(arguments.get(name, NOT_GIVEN))
    for name in PROMPT_ARGUMENTS:
        fields[f"imported.{name}"] = _plain(arguments.get(name, NOT_GIVEN))
    fields.update(machine_of(document))
    known_fields: dict[str, Json] = {
        name: value for name, value in fields.items() if value is not None
    }
    words = _add_chat_fields(document, known_fields)
    return known_fields, words


def config_of(config: Mapping[str, Any]) -> dict[str, Json]:
    """A task's file as far as it decides prompts and scores, without what says nothing."""
    return {
        name: _plain(value)
        for name, value in config.items()
        if name not in NOT_ASKED and value not in (None, "", [], {})
    }


def arguments_of(document: Mapping[str, Any]) -> dict[str, Json]:
    """``model_args``, an object or ``a=1,b=2``."""
    model_args = object_of(document.get("config")).get("model_args")
    if isinstance(model_args, dict):
        return dict(model_args)
    return pairs_of(model_args) if isinstance(model_args, str) else {}


def pairs_of(text: str) -> dict[str, Json]:
    """``a=1,b=text`` as an object; a part without ``=`` belongs to the value before it."""
    pairs: dict[str, Json] = {}
    last = ""
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals:
            last = name.strip()
            pairs[last] = _value(value.strip())
        elif last and part:
            pairs[last] = f"{pairs[last]},{part}"
    return pairs


def model_of(document: Mapping[str, Any]) -> str:
    """The model's name; of one that lies in a folder the folder's own name."""
    arguments = arguments_of(document)
    names = [
        document.get("model_name"),
        *(arguments.get(name) for name in ("pretrained", "model", "path", "engine")),
    ]
    name = next((name for name in names if isinstance(name, str) and name.strip()), NO_NAME)
    return public_name(name)


def weights_of(document: Mapping[str, Any]) -> dict[str, Json]:
    """The arguments that decide which weights were loaded; without those that say nothing."""
    weights: dict[str, Json] = {
        name: value
        for name, value in arguments_of(document).items()
        if (name in WEIGHTS or name.startswith("bnb_")) and not _says_nothing(name, value)
    }
    if QUANTIZES.isdisjoint(weights):  # how, where nothing says that
        weights = {
            name: value for name, value in weights.items() if not name.startswith(_HOW_PREFIXES)
        }
    revision = comparable_names(_named_model(document))[1]
    if revision is not None:
        weights.setdefault("revision", revision)
    if weights.get("revision") == MAIN:
        del weights["revision"]
    return weights


def _says_nothing(name: str, value: Json) -> bool:
    """Whether an argument leaves the weights as they are."""
    if isinstance(value, str):
        text = value.strip().casefold()
        return text in _EMPTY_VALUES or (name == "load_format" and text in _PLAIN_LOAD_FORMATS)
    return value is None or value is False or value in ({}, [])


def places_of(document: Mapping[str, Any]) -> frozenset[str]:
    """Digests of what the model's place may be called; two models of one place share one."""
    return frozenset(map(seal, comparable_names(_named_model(document))[0]))


def _named_model(document: Mapping[str, Any]) -> str:
    """The model as the command line of lm-eval named it; empty where nobody says."""
    arguments = arguments_of(document)
    names = (arguments.get("pretrained"), arguments.get("model"), document.get("model_name"))
    return next((name for name in names if isinstance(name, str) and name.strip()), "")


def cache_of(document: Mapping[str, Any]) -> str | None:
    """Stands for the place of ``--use_cache``, without saying it; None where there was none."""
    return _digest(object_of(document.get("config")).get("use_cache"))


def _digest(text: object) -> str | None:
    if not isinstance(text, str) or not text:
        return None
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def public_name(name: str) -> str:
    """A hub id as it is; of a path, or of more parts than a hub id has, only the last part."""
    name = "".join(char for char in name if char.isprintable()).strip()
    parts = [part for part in re.split(r"[\\/]+", name) if part not in ("", ".", "..", "~")]
    if not parts:
        return NO_NAME
    plain = not PATH.match(name) and len(parts) <= 2 and "\\" not in name
    return "/".join(parts) if plain else parts[-1]


def engine_of(document: Mapping[str, Any]) -> str:
    """``lm-eval-vllm``: which of lm-eval's models asked."""
    name = document.get("model_source") or object_of(document.get("config")).get("model")
    text = name if isinstance(name, str) and re.fullmatch(r"[\w.-]{1,60}", name) else "unknown"
    return f"{ENGINE}{_SAME_ENGINE.get(text, text)}"


_SAME_ENGINE = {"huggingface": "hf", "hf-auto": "hf"}


_ENVIRONMENT_PATTERNS = {
    "machine.family": r"GPU 0: ([^\n(]{1,80})",
    "machine.driver": r"Nvidia driver version: ([0-9.]{1,20})",
    "version.torch": r"PyTorch version: ([0-9]+[\w.+]{1,30})",
}


def machine_of(document: Mapping[str, Any]) -> dict[str, Json]:
    """The kind of device, and the GPU, driver and torch in the text about the environment.

    lm-eval writes down no version of vLLM, but each of those is built for one of torch.
    """
    device = object_of(document.get("config")).get("device")
    machine: dict[str, Json] = {}
    if isinstance(device, str) and device:
        machine["machine.kind"] = device.partition(":")[0]
    about = document.get("pretty_env_info")
    for name, pattern in _ENVIRONMENT_PATTERNS.items():
        match = re.search(pattern, about) if isinstance(about, str) else None
        if match:
            machine[name] = match[1].strip()
    return machine


def _add_chat_fields(document: Mapping[str, Any], fields: dict[str, Json]) -> dict[str, str]:
    """Adds the chat template and the system instruction; returns words for their digests."""
    words: dict[str, str] = {}
    if "chat_template_sha" in document or "chat_template" in document:
        template = document.get("chat_template_sha") or document.get("chat_template")
        fields["protocol.chat_template"] = "on" if template else "off"
        sha = document.get("chat_template_sha")
        if isinstance(sha, str):
            fields["protocol.template_digest"] = sha
        multiturn = document.get("fewshot_as_multiturn")
        if template and isinstance(multiturn, bool):
            fields["protocol.fewshot_as_multiturn"] = multiturn
    if "system_instruction_sha" in document or "system_instruction" in document:
        text = document.get("system_instruction")
        sha = document.get("system_instruction_sha")
        if not isinstance(sha, str) and isinstance(text, str) and text:
            sha = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        name = "protocol.system_instruction_digest"
        fields[name] = sha if isinstance(sha, str) else NO_INSTRUCTION
        excerpt = " ".join(text.split())[:50] if isinstance(text, str) else ""
        words[name] = f"system instruction {excerpt!r}" if excerpt else "no system instruction"
        if fields[name] == NO_INSTRUCTION:
            words[name] = "no system instruction"
    return words


def _generation_arguments(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Json:
    """The task's arguments and those of the command line, which win."""
    gen_kwargs = settings.get("gen_kwargs")
    overrides = pairs_of(gen_kwargs) if isinstance(gen_kwargs, str) else object_of(gen_kwargs)
    merged = {**object_of(config.get("generation_kwargs")), **overrides}
    return _integral_numbers(_plain(merged))


def _num_fewshot(document: Mapping[str, Any], task: str, config: Mapping[str, Any]) -> int | None:
    count = whole_of(object_of(document.get("n-shot")).get(task))
    return count if count is not None else whole_of(config.get("num_fewshot"))


def _version(document: Mapping[str, Any], task: str) -> str | None:
    version = object_of(document.get("versions")).get(task)
    number = number_of(version)
    if version == "Yaml":  # lm-eval 0.4.0, whatever the version is
        return None
    return f"{number:g}" if number is not None else text_of(version)


def _dtype(settings: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    dtype = settings.get("model_dtype") or arguments.get("dtype")
    if not isinstance(dtype, str) or dtype in ("auto", "None", ""):
        return None
    name = dtype.removeprefix("torch.")
    return {"bf16": "bfloat16", "half": "float16", "fp16": "float16"}.get(name, name)


def _batch_size(size: object) -> Json:
    """A number where it is one, ``auto`` or ``auto:4`` where it is not."""
    text = str(size) if isinstance(size, str | int) else ""
    return int(text) if text.isdigit() and len(text) < 7 else text_of(text)


def _special_tokens(document: Mapping[str, Any]) -> Json:
    names = ("tokenizer_eos_token", "tokenizer_bos_token")
    token_lists = [document[name] for name in names if isinstance(document.get(name), list)]
    # Before lm-eval 0.4.5 ids are numbers, later text.
    texts = [[None if part is None else str(part) for part in tokens] for tokens in token_lists]
    return _plain(texts) if len(token_lists) == len(names) else None


def _plain(value: Any) -> Json:
    """Without addresses in memory, names in order."""
    text = json.dumps(value, sort_keys=True)
    plain: Json = json.loads(ADDRESS.sub("", text))
    return plain


def _integral_numbers(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _integral_numbers(inner) for name, inner in value.items()}
    return [_integral_numbers(inner) for inner in value] if isinstance(value, list) else value


_FRACTION = re.compile(
    r"-?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:e-?[0-9]{1,3})?|-?[0-9]+e-?[0-9]{1,3}", re.IGNORECASE
)


def _value(text: str) -> Json:
    """A number or truth value as JSON and Python write it, else the text."""
    words: dict[str, Json] = {"True": True, "False": False, "None": None}
    if text in words:
        return words[text]
    try:
        return float(text) if _FRACTION.fullmatch(text) else int(text)
    except ValueError:
        return text
