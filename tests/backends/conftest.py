"""Tiny random Llamas with a tokenizer of their own, and quantized copies of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.checkpoint.folder import check_weights, linear_shapes
from pytest_quantreg.backends.checkpoint.recipe import DATA_FREE, recipe
from pytest_quantreg.backends.quiet import quiet, quietly_imported
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.schemes.names import resolve

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)

MAKE_ALL = """
import json, sys
from pytest_quantreg.backends.checkpoint.quantize_process import main
for request in json.load(sys.stdin):
    main(request)
"""


def make_tokenizer(*, bos: bool = True) -> Any:
    """A byte-level BPE tokenizer that puts BOS first when it is told to."""
    tokenizers, transformers = quietly_imported("tokenizers", "transformers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<s>", "</s>", "<pad>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the quick brown fox jumps over the lazy dog "], trainer)
    if bos:
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 0)]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
    )


def make_llama(folder: Path, *, hidden: int = 128, tied: bool = False, seed: int = 0) -> Path:
    """Saves a random two-layer bfloat16 Llama and its tokenizer."""
    torch, transformers = quietly_imported("torch", "transformers")
    tokenizer = make_tokenizer()
    config = transformers.LlamaConfig(
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    with quiet():
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config).to(torch.bfloat16)
        # Weights as small as at the start make all logits alike; larger ones show effects.
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() == 2:
                    parameter.mul_(4)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model; tests that change files take a copy."""
    return make_llama(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def llama() -> Callable[..., Path]:
    """Makes more such models: ``llama(folder, hidden=64, tied=True, seed=1)``."""
    return make_llama


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to spoil."""
    return Path(shutil.copytree(tiny, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def made(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny model at every scheme that is made without data, by scheme."""
    target = tmp_path_factory.mktemp("made")
    shapes = tuple(linear_shapes(check_weights(tiny, "tiny")))
    requests = [
        {
            "source": str(tiny),
            "target": str(target / scheme),
            "dtype": "bfloat16",
            "recipe": recipe(resolve(scheme), shapes, "tiny"),
            "trust_remote_code": False,
        }
        for scheme in DATA_FREE
    ]
    subprocess.run(
        [sys.executable, "-c", MAKE_ALL],
        input=json.dumps(requests),
        text=True,
        check=True,
        capture_output=True,
    )
    for scheme in DATA_FREE:
        for path in tiny.iterdir():
            if path.name.startswith(("tokenizer", "chat", "generation")):
                shutil.copyfile(path, target / scheme / path.name)
    return {scheme: target / scheme for scheme in DATA_FREE}


@pytest.fixture
def backend(tmp_path: Path) -> TransformersBackend:
    """A backend with an empty cache of its own."""
    return TransformersBackend(cache_dir=tmp_path / "cache")


@pytest.fixture
def spec() -> Callable[..., ModelSpec]:
    """Makes specs: ``spec(folder, "w8a8-fp8", dtype="float32")``."""

    def make(folder: Path, scheme: str = "native", **args: Any) -> ModelSpec:
        return ModelSpec(str(folder), folder.name, scheme, "transformers", args=args)

    return make
