"""Loads weights and refuses a model that is not wholly what its files promise."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...core.errors import Category, Refusal, WrongUse
from ...core.printable import first_line, quoted_lines
from ...core.records.run import ModelSpec
from ..checkpoint.adapter import ARGUMENT as PEFT
from ..checkpoint.adapter import refuse_leftover, requested_adapter
from ..checkpoint.claimed_layers import scheme_in_folder
from ..checkpoint.folder import Tensor, check_custom_code, check_weights, read_config, unusable
from ..checkpoint.tokenizer import PROMPT_ARGS
from ..out_of_memory import is_out_of_memory
from ..packages import installed
from ..quiet import quiet, quietly_imported
from .weights import plain_parts


def need_peft() -> None:
    """Raise Refusal without the package that applies adapters."""
    if installed("peft") is None:
        raise Refusal(
            Category.MISSING_EXTRA,
            "--quant-backend-arg=peft=FOLDER needs the package peft, which is not installed",
            help="install it with: pip install peft",
        )


def apply_adapter(model: Any, folder: Path, name: str) -> None:
    """Load the adapter into ``model``, every tensor of it. Raises Refusal."""
    try:
        with quiet():
            report = model.load_adapter(str(folder), adapter_kwargs={"local_files_only": True})
    except Exception as error:  # whatever peft and the quantizer's own layers raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise unusable(
            name,
            f"the adapter {folder.name} cannot be applied: {lines[0][:200]}",
            "give one that was trained on this model; where the format of its weights takes no "
            "adapter, merge it before quantizing",
        ) from error
    for problem, keys in (("lacks", report.missing_keys), ("has unused", report.unexpected_keys)):
        if keys:
            raise unusable(
                name,
                f"the adapter {folder.name} {problem} {len(keys)} tensors, {min(keys)} first",
                "give the adapter that was trained on this model",
            )


RESERVED = ("batch_size", PEFT, *PROMPT_ARGS)
"""Arguments of the evaluation or of this backend, not of from_pretrained."""

_PLAIN_TYPES = {"F64", "F32", "F16", "BF16", "I64", "BOOL"}
_OF_RUNNING = (
    *("dtype", "torch_dtype", "device_map", "attn_implementation", "use_cache"),
    *("quantization_config", "trust_remote_code", "max_memory", "offload_folder"),
)
"""Arguments that config.json may name too and that only say how a model is run."""
_OTHER_WEIGHTS = (
    *("variant", "subfolder", "gguf_file", "state_dict", "config", "use_safetensors"),
    *("key_mapping", "adapter_name", "adapter_kwargs", "ignore_mismatched_sizes"),
)
_LEFTOVERS = ("scale", "zero_point", "packed", "qweight", "qzeros", "g_idx", "absmax")


def load_model(spec: ModelSpec, folder: Path) -> Any:
    """The model in evaluation mode, on its device, every weight from the files.

    Raises Refusal for weights that are missing, left over, not finite or too large, and
    WrongUse for arguments that from_pretrained does not know.
    """
    raw = read_config(folder, spec.name)
    trusted = bool(spec.args.get("trust_remote_code", False))
    check_custom_code(folder, raw, spec.name, trusted)
    refuse_leftover(folder, spec.name)
    adapter = requested_adapter(spec)
    if adapter is not None:
        need_peft()
    stored = scheme_in_folder(folder, spec.name)
    _check_is_quantized(stored, check_weights(folder, spec.name), spec.name)
    torch, transformers = quietly_imported("torch", "transformers")
    _check_arguments(spec, folder, stored, transformers)
    arguments = _arguments(spec, torch, transformers)
    try:
        with quiet(), torch.no_grad():
            model, report = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder), output_loading_info=True, local_files_only=True, **arguments
            )
    except Exception as error:  # whatever the format's own loader raises
        raise _not_loaded(spec, stored, error) from error
    _check_report(report, spec.name)
    if adapter is not None:
        apply_adapter(model, adapter, spec.name)
    check_finite(model, spec.name)
    model.eval()
    model.requires_grad_(False)
    _be_greedy(model, transformers)
    return model


def device_kind(spec: ModelSpec) -> str | None:
    """The kind of device that `load_model` puts a model on; None where transformers chooses."""
    device_map = spec.args.get("device_map")
    if device_map is not None:
        return "cpu" if device_map in ("cpu", {"": "cpu"}) else None
    (torch,) = quietly_imported("torch")
    if not torch.cuda.is_available():
        return "cpu"
    return "rocm" if torch.version.hip else "cuda"


def check_finite(model: Any, name: str) -> None:
    """Refuses a model with NaN or infinity in a loaded tensor."""
    import torch

    for key, tensor in [*model.named_parameters(), *model.named_buffers()]:
        # Subclasses that hold quantized weights answer few questions; their parts do.
        if not all(_finite(part.detach(), torch) for part in plain_parts(tensor)):
            raise unusable(
                name,
                f"{key} holds NaN or infinity",
                "quantize or download the checkpoint again",
            )


def _check_arguments(spec: ModelSpec, folder: Path, stored: str | None, transformers: Any) -> None:
    """Refuses arguments that change what the model is: from_pretrained puts them in its config.

    With fewer layers than its files hold it would be faster, and another model.
    """
    if other := next((key for key in _OTHER_WEIGHTS if key in spec.args), None):
        raise WrongUse(
            f"--quant-backend-arg={other}={spec.args[other]}: this would load other weights than "
            "those that were checked",
            help="name the folder that holds them with --quant-model or --quant-checkpoint",
        )
    named = [key for key in spec.args if key not in (*RESERVED, *_OF_RUNNING)]
    if not named:
        return
    try:
        with quiet():
            config = transformers.AutoConfig.from_pretrained(
                str(folder),
                local_files_only=True,
                trust_remote_code=bool(spec.args.get("trust_remote_code", False)),
            )
    except Exception as error:  # whatever a config that nobody knows raises
        raise _not_loaded(spec, stored, error) from error
    # By attribute, as from_pretrained does: some have a second name (n_layer, rope_scaling).
    for key, part in itertools.product(named, (config, config.get_text_config())):
        if hasattr(part, key) and getattr(part, key) != spec.args[key]:
            raise WrongUse(
                f"--quant-backend-arg={key}={spec.args[key]}: this is part of the model "
                f"({key} is {getattr(part, key)} in its config.json), not of how it is run",
                help="gate a checkpoint whose own config.json says so, or leave it out",
            )


def _check_is_quantized(stored: str | None, tensors: Mapping[str, Tensor], name: str) -> None:
    if stored is None:
        return
    scales = any("scale" in key for key in tensors)
    if not scales and {tensor.dtype for tensor in tensors.values()} <= _PLAIN_TYPES:
        raise Refusal(
            Category.SUSPICIOUS,
            f"{name}: config.json says {stored}, but nothing in its weights is quantized: "
            "every tensor is plain and none is a scale",
            help="save the quantized weights, not the original ones, beside this config.json",
        )


def _arguments(spec: ModelSpec, torch: Any, transformers: Any) -> dict[str, Any]:
    passed = {key: value for key, value in spec.args.items() if key not in RESERVED}
    dtype = passed.pop("torch_dtype", "auto")
    arguments: dict[str, Any] = {"dtype": dtype, "trust_remote_code": False, **passed}
    if "device_map" not in passed:
        arguments["device_map"] = "cuda" if torch.cuda.is_available() else "cpu"
    if isinstance(passed.get("quantization_config"), dict):
        # Options are JSON; transformers takes its own classes only.
        arguments["quantization_config"] = _quantization(passed["quantization_config"], spec)
    if spec.quantize:
        arguments["quantization_config"] = _bitsandbytes(spec, torch, transformers)
    return arguments


def _quantization(options: Any, spec: ModelSpec) -> Any:
    (auto,) = quietly_imported("transformers.quantizers.auto")
    try:
        return auto.AutoQuantizationConfig.from_dict(options)
    except (ValueError, TypeError) as error:
        raise WrongUse(
            f"{spec.name}: quantization_config {options} is not understood: {first_line(error)}",
            help=(
                *quoted_lines(error),
                "check --quant-backend-arg quantization_config='{\"quant_method\": ...}'",
            ),
        ) from error


def _bitsandbytes(spec: ModelSpec, torch: Any, transformers: Any) -> Any:
    if spec.scheme.startswith("bnb-int8"):
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    dtype = str(spec.args.get("dtype", "bfloat16"))
    compute = getattr(torch, dtype if dtype != "auto" else "bfloat16")
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=compute
    )


def _not_loaded(spec: ModelSpec, stored: str | None, error: Exception) -> Exception:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    if is_out_of_memory(error):
        return Refusal(
            Category.OUT_OF_MEMORY,
            f"{spec.name} {spec.scheme} does not fit into memory",
            help=(
                "free the device, or spread the model: --quant-backend-arg device_map=auto",
                f"what was said: {first[:200]}",
            ),
        )
    if isinstance(error, TypeError) and "unexpected keyword" in first:
        return WrongUse(
            f"{spec.name}: from_pretrained does not take what was given: {first}",
            help=(*_suggestions(spec), "check --quant-backend-arg"),
        )
    if isinstance(error, ImportError):
        return Refusal(
            Category.MISSING_EXTRA,
            f"{spec.name} holds {stored or spec.scheme}, which needs a package: {first}",
            help="install that package",
        )
    return unusable(
        spec.name,
        f"transformers cannot load it: {type(error).__name__}: {first[:300]}",
        "check the checkpoint, and --quant-backend-arg if any was given",
    )


def _suggestions(spec: ModelSpec) -> tuple[str, ...]:
    known_names = (*_OF_RUNNING, *RESERVED)
    near = (get_close_matches(key, known_names, n=1) for key in spec.args if key not in known_names)
    return tuple(f"did you mean {matches[0]}?" for matches in near if matches)


def _check_report(report: Mapping[str, Any], name: str) -> None:
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        raise unusable(
            name,
            f"{len(missing)} weights are not in the files, {missing[0]} first; "
            "they would be random",
            "is config.json that of another model, or is a file missing?",
        )
    left = sorted(report.get("unexpected_keys") or ())
    scales = [key for key in left if key.rsplit(".", 1)[-1].endswith(_LEFTOVERS)]
    if scales:
        raise unusable(
            name,
            f"{len(scales)} tensors of quantized weights go unused, {scales[0]} first",
            "config.json lacks the quantization_config they were saved with",
        )


def _be_greedy(model: Any, transformers: Any) -> None:
    """Forgets sampling and penalties of the checkpoint; lm-eval says what a task needs.

    A repetition_penalty in generation_config.json acts on greedy decoding too, and a
    quantized copy often lacks that file.
    """
    original = getattr(model, "generation_config", None)
    ends = {key: getattr(original, key, None) for key in ("bos_token_id", "eos_token_id")}
    with quiet():
        model.generation_config = transformers.GenerationConfig(
            pad_token_id=getattr(original, "pad_token_id", None), **ends
        )


def _finite(tensor: Any, torch: Any) -> bool:
    name = str(tensor.dtype)
    if "float8" in name:
        return _finite_float8(tensor, name, torch)
    if not tensor.dtype.is_floating_point or tensor.numel() == 0 or tensor.is_meta:
        return True
    low, high = torch.aminmax(tensor)
    return bool(torch.isfinite(low)) and bool(torch.isfinite(high))


def _finite_float8(tensor: Any, name: str, torch: Any) -> bool:
    # No comparison exists for these types; e4m3fn has one NaN pattern and no infinity,
    # e5m2 has both from 0x7c up.
    bits = tensor.view(torch.uint8) & 0x7F
    if "e4m3fn" in name and "fnuz" not in name:
        return not bool((bits == 0x7F).any())
    if "e5m2" in name and "fnuz" not in name:
        return not bool((bits >= 0x7C).any())
    return True
