"""Writes a small Hugging Face Llama as an unquantized GGUF file; for tests, not for users.

Only what the example model needs: one safetensors file, byte-level BPE with single digits
(which llama.cpp calls ``starcoder``), a tied output layer.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

PARTS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
}
FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "f32": gguf.LlamaFileType.ALL_F32}

Array = npt.NDArray[np.float32]


def convert(folder: Path, target: Path, dtype: str = "f16", template: str | None = None) -> Path:
    """Writes ``folder`` as ``target`` in ``f16`` or ``f32``; norms are float32, as always."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(target, "llama")
    _shapes(writer, config)
    writer.add_file_type(FILE_TYPES[dtype])
    _tokenizer(writer, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8")), config)
    if template is not None:
        writer.add_chat_template(template)
    for name, values in tensors(folder / "model.safetensors").items():
        matrix = values.ndim == 2
        named = renamed(name)
        if ".attn_q." in named or ".attn_k." in named:
            heads = "num_attention_heads" if ".attn_q." in named else "num_key_value_heads"
            values = _interleaved(values, config[heads])
        writer.add_tensor(named, values.astype(np.float16) if matrix and dtype == "f16" else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def renamed(name: str) -> str:
    """``model.layers.0.mlp.up_proj.weight`` as llama.cpp calls it: ``blk.0.ffn_up.weight``."""
    if name in WHOLE:
        return WHOLE[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{PARTS[rest.removesuffix('.weight')]}.weight"


def tensors(path: Path) -> dict[str, Array]:
    """Every bfloat16 tensor of a safetensors file, as float32."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    arrays: dict[str, Array] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16", f"{name} is {entry['dtype']}"
        start, end = (8 + length + at for at in entry["data_offsets"])
        upper = np.frombuffer(raw[start:end], "<u2").astype(np.uint32) << 16
        arrays[name] = upper.view(np.float32).reshape(entry["shape"])
    return arrays


def _interleaved(values: Array, heads: int) -> Array:
    """Rows of queries and keys in the order in which llama.cpp rotates them: pairs side by side."""
    rows, columns = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def _shapes(writer: gguf.GGUFWriter, config: Mapping[str, Any]) -> None:
    writer.add_name("tiny-llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _tokenizer(
    writer: gguf.GGUFWriter, tokenizer: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    vocabulary: Mapping[str, int] = tokenizer["model"]["vocab"]
    special = {entry["id"]: entry["content"] for entry in tokenizer["added_tokens"]}
    by_id = {at: token for token, at in vocabulary.items()} | special
    size = config["vocab_size"]
    merges = [
        merge if isinstance(merge, str) else " ".join(merge)
        for merge in tokenizer["model"]["merges"]
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("starcoder")
    writer.add_token_list([by_id.get(at, f"[PAD{at}]") for at in range(size)])
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    unused = gguf.TokenType.UNUSED
    writer.add_token_types(
        [control if at in special else normal if at in by_id else unused for at in range(size)]
    )
    writer.add_token_merges(merges)
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_pad_token_id(config["pad_token_id"])
    writer.add_add_bos_token(True)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:4])
