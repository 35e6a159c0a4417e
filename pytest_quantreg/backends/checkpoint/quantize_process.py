"""Quantizes one model with llm-compressor; run as a process of its own.

llm-compressor replaces log handlers, sets environment variables and keeps a session,
none of which belongs into somebody's test run. Its process gives the memory back too.
"""

from __future__ import annotations

import json
import sys
from typing import Any

NOTHING_TO_QUANTIZE = 3
"""Exit status for a model without linear layers that the scheme applies to."""


def main(request: dict[str, Any]) -> None:
    """Reads ``source``, applies ``recipe``, writes weights and config to ``target``."""
    import torch
    from llmcompressor.entrypoints.oneshot import oneshot
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from transformers import AutoModelForCausalLM

    trusted = bool(request["trust_remote_code"])
    model = AutoModelForCausalLM.from_pretrained(
        request["source"],
        dtype=request["dtype"],
        trust_remote_code=trusted,
        local_files_only=True,
    )
    recipe = QuantizationModifier(**request["recipe"])
    with torch.no_grad():
        oneshot(model=model, recipe=recipe, trust_remote_code_model=trusted)
    quantized = sum(hasattr(module, "quantization_scheme") for module in model.modules())
    if quantized == 0:
        raise SystemExit(NOTHING_TO_QUANTIZE)
    model.save_pretrained(request["target"], save_compressed=True)


def serve() -> None:
    """The whole of the process: one request on its standard input."""
    main(json.load(sys.stdin))
