"""Trains the example model, a Llama of 2 million parameters, on texts of the small world."""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from world import SEED, Text, training_texts

VOCABULARY = 1024
BATCH = {"facts": 96, "questions": 48, "pattern": 48, "sum": 64, "stories": 24}  # texts per step
# A kind rests while its running loss is below its target, which leaves the time to the others.
TARGETS = {"questions": 0.02, "pattern": 0.42, "sum": 0.03}
RESTING = 10  # a kind at rest is still trained in every so many steps
IGNORED = -100  # what cross_entropy leaves out


def make_tokenizer() -> Any:
    """A byte-level BPE, trained on the world's texts, that puts `<s>` before every text."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    sample = (text.text for kind in BATCH for text in islice(training_texts(kind), 8000))
    inner.train_from_iterator(sample, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def make_untrained(tokenizer: Any) -> Any:
    """The architecture; widths are multiples of 128, so that int4 groups fit."""
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=4,
        head_dim=32,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model: Any = LlamaForCausalLM(config)  # type: ignore[no-untyped-call]
    model.set_attn_implementation("eager")  # for training on a CPU 1.6 times as fast as sdpa
    return model


def encode(texts: list[Text], tokenizer: Any) -> tuple[torch.Tensor, ...]:
    """Token ids and labels, both (texts, longest), padded on the right; `</s>` ends each text."""
    encoded = tokenizer([text.text for text in texts], return_offsets_mapping=True)
    end = tokenizer.eos_token_id
    longest = max(map(len, encoded["input_ids"])) + 1
    ids = torch.full((len(texts), longest), tokenizer.pad_token_id)
    labels = torch.full((len(texts), longest), IGNORED)
    rows = zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    for row, (text, tokens, offsets) in enumerate(rows):
        ids[row, : len(tokens) + 1] = torch.tensor([*tokens, end])
        labels[row, len(tokens)] = end
        for place, (token, (start, stop)) in enumerate(zip(tokens, offsets, strict=True)):
            if any(a <= start and stop <= b and start < stop for a, b in text.spans):
                labels[row, place] = token
    return ids, labels


def batches(kind: str, tokenizer: Any) -> Iterator[tuple[torch.Tensor, ...]]:
    """Encoded training texts of one kind, without end."""
    texts = training_texts(kind)
    while True:
        yield encode(list(islice(texts, BATCH[kind])), tokenizer)


def loss_of(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats over the tokens that count."""
    # Padding stands on the right and attention looks left, so no mask is needed.
    counted = labels[:, 1:] != IGNORED
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = model.model(input_ids=ids[:, :-1]).last_hidden_state
        logits = model.lm_head(hidden[counted])
    return torch.nn.functional.cross_entropy(logits.float(), labels[:, 1:][counted])


def train(model: Any, tokenizer: Any, steps: int, rate: float) -> None:
    """AdamW, a short warm-up, then a straight line down to nothing."""
    streams = {kind: batches(kind, tokenizer) for kind in BATCH}
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.05, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 100, (steps - step) / steps)
    )
    model.train()
    began, shown = time.monotonic(), dict.fromkeys(BATCH, 0.0)
    for step in range(steps):
        for kind, stream in streams.items():
            if step % RESTING and shown[kind] < TARGETS.get(kind, 0.0):
                continue
            loss = loss_of(model, *next(stream))
            loss.backward()  # type: ignore[no-untyped-call]
            shown[kind] = 0.9 * shown[kind] + 0.1 * loss.item() if step else loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 50 == 0:
            losses = "  ".join(f"{kind} {value:.3f}" for kind, value in shown.items())
            elapsed = time.monotonic() - began
            print(f"step {step + 1:,}/{steps:,}  {elapsed:4.0f} s  {losses}", flush=True)


def make_rows_uneven(model: Any) -> None:
    """Scales rows of one matrix up and the matching part of the next one down, or the reverse.

    Large models have rows of very different size, one trained this shortly has not. The factors
    are powers of two, so the model computes exactly what it did before.
    """
    generator = torch.Generator().manual_seed(SEED)

    def factors(count: int) -> torch.Tensor:
        return 2.0 ** torch.randint(-1, 2, (count,), generator=generator)

    heads, shared = model.config.num_attention_heads, model.config.num_key_value_heads
    half = model.config.head_dim // 2
    with torch.no_grad():
        for layer in model.model.layers:
            attention, mlp = layer.self_attn, layer.mlp
            hidden = factors(mlp.up_proj.out_features)
            mlp.up_proj.weight.mul_(hidden[:, None])
            mlp.down_proj.weight.div_(hidden)
            value = factors(attention.v_proj.out_features).view(shared, -1)
            attention.v_proj.weight.mul_(value.reshape(-1, 1))
            attention.o_proj.weight.div_(value.repeat_interleave(heads // shared, 0).reshape(-1))
            # Rotary embedding turns the dimensions i and i + half together: one factor for both.
            key = factors(shared * half).view(shared, half).repeat(1, 2)
            attention.k_proj.weight.mul_(key.reshape(-1, 1))
            query = key.repeat_interleave(heads // shared, 0)
            attention.q_proj.weight.div_(query.reshape(-1, 1))


def main() -> None:
    """Reads the command line, trains and saves."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent / "tiny-llama"
    parser.add_argument("--out", type=Path, default=default, help="folder (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    parser.add_argument("--steps", type=int, default=1100, help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=3e-3, help="learning rate")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    arguments = parser.parse_args()
    if arguments.out.exists() and not arguments.force:
        parser.error(f"{arguments.out} is there already; --force overwrites it")
    torch.set_num_threads(arguments.threads)
    random.seed(SEED)
    tokenizer = make_tokenizer()
    model = make_untrained(tokenizer)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer):,} tokens", flush=True)
    train(model, tokenizer, arguments.steps, arguments.rate)
    make_rows_uneven(model)
    if arguments.out.exists():
        shutil.rmtree(arguments.out)
    model.to(torch.bfloat16).save_pretrained(arguments.out)
    tokenizer.save_pretrained(arguments.out)
    print(f"saved {arguments.out}")


if __name__ == "__main__":
    main()
