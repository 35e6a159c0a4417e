"""Quantizes the example model with llm-compressor, four times well and twice broken on purpose."""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from llmcompressor.entrypoints import oneshot
from llmcompressor.modifiers.gptq import GPTQModifier
from llmcompressor.modifiers.quantization import QuantizationModifier
from make_model import BATCH, make_untrained
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from world import SEED, training_texts

CALIBRATION_TEXTS = 512
SHIFTED_LAYER = "model.layers.0."
STATIC_INT8 = {
    "group_0": {
        "targets": ["Linear"],
        "weights": {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True},
        "input_activations": {
            "num_bits": 8,
            "type": "int",
            "strategy": "tensor",
            "symmetric": True,
            "dynamic": False,
        },
    }
}


def rtn(scheme: str) -> QuantizationModifier:
    """Rounding to nearest: needs no data."""
    return QuantizationModifier(targets="Linear", scheme=scheme, ignore=["lm_head"])


def gptq(scheme: str) -> GPTQModifier:
    """GPTQ: rounds so that the outputs on calibration texts change least."""
    return GPTQModifier(targets="Linear", scheme=scheme, ignore=["lm_head"])


def static_int8() -> QuantizationModifier:
    """INT8 with one activation scale per layer, measured in advance."""
    return QuantizationModifier(config_groups=STATIC_INT8, ignore=["lm_head"])


def calibration(tokenizer: Any) -> Dataset:
    """Texts of every kind that the model was trained on, one text a row."""
    each = CALIBRATION_TEXTS // len(BATCH) + 1
    texts = [text.text for kind in BATCH for text in islice(training_texts(kind), each)]
    random.Random(SEED).shuffle(texts)
    rows = [tokenizer(text) for text in texts[:CALIBRATION_TEXTS]]
    return Dataset.from_list(
        [{name: row[name] for name in ("input_ids", "attention_mask")} for row in rows]
    )


def quantize(source: Path, out: Path, recipe: Any, *, calibrate: bool = False) -> None:
    """Writes `source` quantized by `recipe`, with its tokenizer, into `out`."""
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(source)
    data: dict[str, Any] = {}
    if calibrate:
        data = {
            "dataset": calibration(tokenizer),
            "num_calibration_samples": CALIBRATION_TEXTS,
            "shuffle_calibration_samples": False,
            "max_seq_length": 128,
        }
    oneshot(model=model, recipe=recipe, **data)
    model.save_pretrained(out, save_compressed=True)
    for path in source.glob("tokenizer*.json"):  # as they are, so that the digests stay equal
        shutil.copyfile(path, out / path.name)


def change_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Rewrites the folder's weights after `change` has edited them in place."""
    path = folder / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def shifted_scales(source: Path, out: Path) -> None:
    """Sound FP8, but in one layer each row has the scale of the row before it."""
    quantize(source, out, rtn("FP8_DYNAMIC"))

    def shift(tensors: dict[str, torch.Tensor]) -> None:
        for name in tensors:
            if name.startswith(SHIFTED_LAYER) and name.endswith("weight_scale"):
                tensors[name] = tensors[name].roll(1, dims=0).contiguous()

    change_tensors(out, shift)


def foreign_calibration(source: Path, out: Path) -> None:
    """Static INT8 whose activation scales were measured on a model with untrained weights."""
    quantize(source, out, static_int8(), calibrate=True)
    with tempfile.TemporaryDirectory() as folder:
        untrained, foreign = Path(folder, "untrained"), Path(folder, "foreign")
        tokenizer = AutoTokenizer.from_pretrained(source)
        make_untrained(tokenizer).to(torch.bfloat16).save_pretrained(untrained)
        tokenizer.save_pretrained(untrained)
        quantize(untrained, foreign, static_int8(), calibrate=True)
        scales = load_file(foreign / "model.safetensors")

    def take(tensors: dict[str, torch.Tensor]) -> None:
        for name in tensors:
            if name.endswith("input_scale"):
                tensors[name] = scales[name]

    change_tensors(out, take)


def makers() -> dict[str, Callable[[Path, Path], None]]:
    """What makes each checkpoint, by the name of its folder."""
    return {
        "w8a8-fp8": lambda source, out: quantize(source, out, rtn("FP8_DYNAMIC")),
        "w8a8-int8": lambda source, out: quantize(source, out, rtn("INT8")),
        "w4a16-int4-rtn": lambda source, out: quantize(source, out, rtn("W4A16")),
        "w4a16-int4-gptq": lambda source, out: quantize(source, out, gptq("W4A16"), calibrate=True),
        "broken-w8a8-fp8-shifted-scales": shifted_scales,
        "broken-w8a8-int8-foreign-calibration": foreign_calibration,
    }


def main() -> None:
    """Reads the command line and makes the checkpoints it names."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=here / "tiny-llama", help="what to quantize")
    parser.add_argument("--out", type=Path, default=here / "checkpoints", help="folder for all")
    parser.add_argument("--only", choices=list(makers()), action="append", help="repeatable")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    chosen = {name: make for name, make in makers().items() if name in (arguments.only or makers())}
    present = [name for name in chosen if (arguments.out / name).exists()]
    if present and not arguments.force:
        parser.error(f"{arguments.out / present[0]} is there already; --force overwrites it")
    for number, (name, make) in enumerate(chosen.items(), 1):
        out = arguments.out / name
        shutil.rmtree(out, ignore_errors=True)
        print(f"{number}/{len(chosen)} {name}", flush=True)
        make(arguments.model, out)
        size = sum(path.stat().st_size for path in out.iterdir())
        print(f"    saved, {size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
