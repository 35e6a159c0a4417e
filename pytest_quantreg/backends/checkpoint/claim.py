"""What config.json says of the quantized layers: which, as what, and which are left alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...core.errors import WrongUse
from ...core.inspection import Claim, Group
from ...core.schemes import Quantization, resolve
from .folder import read_json, unusable
from .stored import quantization, stored_scheme

MODELOPT = "hf_quant_config.json"

_LISTS = ("modules_to_not_convert", "llm_int8_skip_modules", "exclude_modules", "ignored_layers")
"""Where formats other than compressed-tensors keep the names of layers left alone."""


def with_quantization(config: Mapping[str, Any], folder: Path, name: str) -> Mapping[str, Any]:
    """``config`` with its ``quantization_config``, wherever a checkpoint keeps that.

    Models of several parts may have it in the part for text, ModelOpt in a file beside.
    """
    if config.get("quantization_config") or config.get("compression_config"):
        return config
    text = config.get("text_config")
    if isinstance(text, Mapping) and text.get("quantization_config"):
        return {**config, "quantization_config": text["quantization_config"]}
    if (folder / MODELOPT).is_file():
        stated = read_json(folder / MODELOPT, name)
        return {**config, "quantization_config": {**stated, "quant_method": "modelopt"}}
    return config


def claim_of(config: Mapping[str, Any], name: str) -> Claim:
    """What ``config`` claims; raises Refusal for a quantization_config of no known form."""
    stated = config.get("quantization_config") or config.get("compression_config")
    if not stated:
        return Claim(None)
    try:
        return _claim(config, stated)
    except (AttributeError, KeyError, TypeError, ValueError, re.error) as error:
        raise unusable(
            name,
            f"the quantization_config of config.json cannot be read: {error}",
            "compare it with that of the checkpoint as it was published",
        ) from error


def _claim(config: Mapping[str, Any], stated: Mapping[str, Any]) -> Claim:
    scheme = stored_scheme(config)
    method = str(stated.get("quant_method", "compressed-tensors")).lower()
    if method == "compressed-tensors":
        entries = [one for one in (stated.get("config_groups") or {}).values() if one]
        groups = tuple(
            Group(_texts(one.get("targets")), quantization(one.get("weights")))
            for one in entries
            if one.get("weights")
        )
        return Claim(scheme, method, groups, _texts(stated.get("ignore")))
    inner = stated.get("quantization", stated)
    lists = [inner[key] for key in _LISTS if inner.get(key)]
    # Without a list these formats leave out layers by conventions of their own.
    ignore = _texts([entry for entries in lists for entry in entries]) if lists else None
    groups = (Group(("Linear",), _weights(method, scheme, stated)),)
    return Claim(scheme, method, groups, ignore, exact=False)


def _weights(method: str, scheme: str | None, stated: Mapping[str, Any]) -> Quantization | None:
    if method in ("gptq", "awq", "auto-round"):
        bits = int(stated.get("bits", stated.get("w_bit", 4)))
        size = int(stated.get("group_size", stated.get("q_group_size", 128)) or 128)
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
    texts = tuple(str(entry) for entry in entries or ())
    for text in texts:
        if text.startswith("re:"):
            re.compile(text[3:])
    return texts
