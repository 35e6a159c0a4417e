"""Loads weights and refuses a model that is not wholly what its files promise."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...core.codes import EngineCode, ModelCode
from ...core.errors import Refusal, WrongUse
from ...core.facts import Quoted, Scheme
from ...core.printable import first_line, quoted_lines
from ...core.records.run import ModelSpec
from ..checkpoint.adapter import ARGUMENT as PEFT
from ..checkpoint.adapter import refuse_leftover, requested_adapter
from ..checkpoint.claimed_layers import scheme_in_folder
from ..checkpoint.folder import Tensor, check_custom_code, check_weights, read_config
from ..checkpoint.tokenizer import PROMPT_ARGS
from ..out_of_memory import is_out_of_memory
from ..packages import installed
from ..quiet import quiet, quietly_imported
from .weights import plain_parts


def need_peft() -> None:
    """Raise Refusal without the package that applies adapters."""
    if installed("peft") is None:
        raise Refusal(ModelCode.PEFT_NOT_INSTALLED)


def apply_adapter(model: Any, folder: Path, name: str) -> None:
    """Load the adapter into ``model``, every tensor of it. Raises Refusal."""
    try:
        with quiet():
            report = model.load_adapter(str(folder), adapter_kwargs={"local_files_only": True})
    except Exception as error:  # whatever peft and the quantizer's own layers raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise Refusal(
            ModelCode.ADAPTER_NOT_APPLIED,
            name=name,
            adapter=folder.name,
            error=Quoted(lines[0][:200]),
        ) from error
    if keys := report.missing_keys:
        raise Refusal(
            ModelCode.ADAPTER_LACKS_TENSORS,
            name=name,
            adapter=folder.name,
            count=len(keys),
            first=min(keys),
        )
    if keys := report.unexpected_keys:
        raise Refusal(
            ModelCode.ADAPTER_HAS_UNUSED_TENSORS,
            name=name,
            adapter=folder.name,
            count=len(keys),
            first=min(keys),
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
            raise Refusal(ModelCode.WEIGHTS_NOT_FINITE, name=name, tensor=key)


def _check_arguments(spec: ModelSpec, folder: Path, stored: str | None, transformers: Any) -> None:
    """Refuses arguments that change what the model is: from_pretrained puts them in its config.

    With fewer layers than its files hold it would be faster, and another model.
    """
    if other := next((key for key in _OTHER_WEIGHTS if key in spec.args), None):
        raise WrongUse(
            ModelCode.ARGUMENT_LOADS_OTHER_WEIGHTS,
            argument=other,
            value=str(spec.args[other]),
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
                ModelCode.ARGUMENT_CHANGES_MODEL,
                argument=key,
                value=str(spec.args[key]),
                stored=str(getattr(part, key)),
            )


def _check_is_quantized(stored: str | None, tensors: Mapping[str, Tensor], name: str) -> None:
    if stored is None:
        return
    scales = any("scale" in key for key in tensors)
    if not scales and {tensor.dtype for tensor in tensors.values()} <= _PLAIN_TYPES:
        raise Refusal(ModelCode.QUANTIZED_IN_CONFIG_ALONE, name=name, stored=stored)


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
            ModelCode.QUANTIZATION_ARGUMENT_REFUSED,
            name=spec.name,
            options=str(options),
            error=Quoted(first_line(error)),
            lines=tuple(map(Quoted, quoted_lines(error))),
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
            EngineCode.DOES_NOT_FIT_INTO_MEMORY,
            model=spec.name,
            scheme=Scheme(spec.scheme),
            error=Quoted(first[:200]),
        )
    if isinstance(error, TypeError) and "unexpected keyword" in first:
        return WrongUse(
            ModelCode.UNKNOWN_LOADING_ARGUMENT,
            name=spec.name,
            error=Quoted(first),
            nearest=_nearest_arguments(spec),
        )
    if isinstance(error, ImportError):
        return Refusal(
            ModelCode.FORMAT_NEEDS_PACKAGE,
            name=spec.name,
            scheme=stored or Scheme(spec.scheme),
            error=Quoted(first),
        )
    return Refusal(
        ModelCode.MODEL_NOT_LOADED,
        name=spec.name,
        kind=type(error).__name__,
        error=Quoted(first[:300]),
    )


def _nearest_arguments(spec: ModelSpec) -> tuple[str, ...]:
    """The known argument nearest to each unknown one."""
    known_names = (*_OF_RUNNING, *RESERVED)
    near = (get_close_matches(key, known_names, n=1) for key in spec.args if key not in known_names)
    return tuple(matches[0] for matches in near if matches)


def _check_report(report: Mapping[str, Any], name: str) -> None:
    missing = sorted(report.get("missing_keys") or ())
    if missing:
        raise Refusal(ModelCode.WEIGHTS_MISSING, name=name, count=len(missing), first=missing[0])
    left = sorted(report.get("unexpected_keys") or ())
    scales = [key for key in left if key.rsplit(".", 1)[-1].endswith(_LEFTOVERS)]
    if scales:
        raise Refusal(
            ModelCode.QUANTIZED_TENSORS_UNUSED, name=name, count=len(scales), first=scales[0]
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
