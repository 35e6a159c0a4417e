"""Makes the models that `pytest examples/speed` times: seconds, 460 MB, none of it committed.

A Llama of 156 million random weights in bf16, large enough to be bound by its bytes (speed does
not depend on what weights say, so nothing is trained), and copies of it and of tiny-llama in
int8, weights and activations, that run with torchao's kernels.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path

import torch
import transformers

HERE = Path(__file__).parent
TINY = HERE.parent / "tiny-llama"
RANDOM = HERE / "random-llama"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def main() -> None:
    """Writes what is not there yet."""
    # Of torchao, about kernels for cards and about torch's own insides; and bars for seconds.
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    transformers.utils.logging.disable_progress_bar()
    if not RANDOM.exists():
        model = random_model()
        save(model, RANDOM)
        print(f"{RANDOM.name}: {model.num_parameters():,} random weights, bf16")
    for source in (RANDOM, TINY):
        target = HERE / f"{source.name}-int8"
        if not target.exists():
            save(in_int8(source), target)
            print(f"{target.name}: {source.name} in int8")


def random_model() -> transformers.PreTrainedModel:
    """Of the same vocabulary as tiny-llama, whose tokenizer it takes."""
    small = transformers.AutoConfig.from_pretrained(TINY)
    config = transformers.LlamaConfig(
        vocab_size=small.vocab_size,
        hidden_size=1024,
        intermediate_size=2816,
        num_hidden_layers=12,
        num_attention_heads=16,
        num_key_value_heads=16,
        max_position_embeddings=4096,
        bos_token_id=small.bos_token_id,
        eos_token_id=small.eos_token_id,
    )
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(config).to(torch.bfloat16)


def in_int8(source: Path) -> transformers.PreTrainedModel:
    """Weights per channel, activations per token."""
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig

    config = transformers.TorchAoConfig(Int8DynamicActivationInt8WeightConfig(version=2))
    return transformers.AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.bfloat16, quantization_config=config
    )


def save(model: transformers.PreTrainedModel, folder: Path) -> None:
    """Beside the tokenizer that both models share."""
    model.save_pretrained(folder)
    for name in TOKENIZER:
        shutil.copy(TINY / name, folder / name)


if __name__ == "__main__":
    main()
