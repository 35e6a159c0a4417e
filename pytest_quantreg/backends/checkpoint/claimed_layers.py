"""What config.json says of the quantized layers: which, as what, and which are left alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.codes import ModelCode
from ...core.errors import Refusal, WrongUse
from ...core.facts import Quoted
from ...core.hardware.kernel_rules import COMPRESSED_TENSORS
from ...core.schemes.inspection import Claim, Group
from ...core.schemes.names import Quantization, resolve
from .patterns import slow_pattern_of
from .stored_scheme import config_of, method_of, quantization, quantization_config_of, stored_scheme

_LISTS = ("modules_to_not_convert", "llm_int8_skip_modules", "exclude_modules", "ignored_layers")
"""Where formats other than compressed-tensors keep the names of layers left alone."""


def scheme_in_folder(folder: Path, name: str) -> str | None:
    """Return the scheme of a model folder, as `stored_scheme` names it. Raises Refusal."""
    return claim_of(config_of(folder, name), name).scheme


def claim_of(config: Mapping[str, Any], name: str) -> Claim:
    """Return what ``config`` claims; raises Refusal for a quantization_config of no known form."""
    quant_config = quantization_config_of(config)
    if not quant_config:
        return Claim(None)
    try:
        slow = slow_pattern_of(quant_config)
        if slow is None:
            return _claim(config, quant_config)
    except (
        *(ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError),
        re.error,
    ) as error:
        raise Refusal(
            ModelCode.UNREADABLE_QUANTIZATION_CONFIG, name=name, error=Quoted(str(error))
        ) from error
    raise Refusal(ModelCode.UNUSABLE_PATTERNS, name=name, cause=slow)


def _claim(config: Mapping[str, Any], quant_config: Mapping[str, Any]) -> Claim:
    scheme = stored_scheme(config)
    method = method_of(quant_config)
    if method == COMPRESSED_TENSORS:
        entries = [entry for entry in (quant_config.get("config_groups") or {}).values() if entry]
        groups = tuple(
            Group(_texts(entry.get("targets")), quantization(entry.get("weights")))
            for entry in entries
            if entry.get("weights")
        )
        return Claim(scheme, method, groups, _texts(quant_config.get("ignore")))
    inner = quant_config.get("quantization", quant_config)
    lists = [inner[key] for key in _LISTS if inner.get(key)]
    # Without a list these formats leave out layers by conventions of their own.
    ignore = _texts([entry for entries in lists for entry in entries]) if lists else None
    groups = (Group(("Linear",), _weights(method, scheme, quant_config)),)
    return Claim(scheme, method, groups, ignore, exact=False)


def _weights(
    method: str, scheme: str | None, quant_config: Mapping[str, Any]
) -> Quantization | None:
    if method in ("gptq", "awq", "auto-round"):
        bits = int(quant_config.get("bits", quant_config.get("w_bit", 4)))
        size = int(quant_config.get("group_size", quant_config.get("q_group_size", 128)) or 128)
        if size > 0:
            return Quantization("int", bits, "group", group_size=size)
        return Quantization("int", bits, "channel")
    try:
        weights = resolve(scheme or "").scheme.weights
    except WrongUse:
        return None
    # The usual size of groups is not what these files need have.
    return None if weights is None else replace(weights, group_size=None)


def _texts(entries: Any) -> tuple[str, ...]:
    return tuple(str(entry) for entry in entries or ())
