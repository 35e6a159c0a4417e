"""Small GGUF files for tests: made by the writer of the package gguf, with any types of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

HIDDEN, FEED, LAYERS = 256, 512, 2
TOKENS = ("<s>", "</s>", *"abcdefgh")

MATRICES: Mapping[str, tuple[int, int]] = {
    "attn_q": (HIDDEN, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN),
    "ffn_up": (FEED, HIDDEN),
    "ffn_down": (HIDDEN, FEED),
}


def write_gguf(
    path: Path,
    types: Mapping[str, str] | str = "F16",
    *,
    file_type: int | None = 1,
    scale: float = 0.01,
    fields: Mapping[str, Any] | None = None,
    template: str | None = None,
) -> Path:
    """A model of two layers, whose matrices are of ``types``: one for all, or by their names.

    ``scale`` is that of every block. ``fields`` replaces or adds tokenizer fields of text.
    """
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(4)
    writer.add_context_length(64)
    if file_type is not None:
        writer.add_uint32("general.file_type", file_type)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(TOKENS))
    writer.add_token_types([3, 3, *([1] * (len(TOKENS) - 2))])
    writer.add_token_merges(["a b", "c d"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    if template is not None:
        writer.add_chat_template(template)
    for name, value in (fields or {}).items():
        writer.add_string(name, value)
    _add(writer, "token_embd.weight", (len(TOKENS), HIDDEN), "F16", scale)
    _add(writer, "output_norm.weight", (HIDDEN,), "F32", scale)
    for layer in range(LAYERS):
        _add(writer, f"blk.{layer}.attn_norm.weight", (HIDDEN,), "F32", scale)
        for name, shape in MATRICES.items():
            kind = types if isinstance(types, str) else types.get(name, "F16")
            _add(writer, f"blk.{layer}.{name}.weight", shape, kind, scale)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


_SCALE_AT = {"Q8_0": 0, "Q4_K": 0, "Q6_K": 208, "Q4_0": 0}


def _add(
    writer: gguf.GGUFWriter, name: str, shape: tuple[int, ...], kind: str, scale: float
) -> None:
    number = gguf.GGMLQuantizationType[kind]
    if kind in ("F32", "F16"):
        values: npt.NDArray[Any] = np.full(shape, 0.5, np.float32 if kind == "F32" else np.float16)
        writer.add_tensor(name, values)
        return
    values_of, size = gguf.GGML_QUANT_SIZES[number]
    rows = np.full((shape[0], shape[1] // values_of, size), 7, np.uint8)
    at = _SCALE_AT[kind]
    rows[:, :, at : at + 2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    writer.add_tensor(name, rows.reshape(shape[0], -1), raw_dtype=number)
