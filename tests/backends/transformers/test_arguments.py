"""Arguments of from_pretrained: those that say how a model is run, and those that change it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.backends.quiet import quiet, quietly_imported
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.backends.transformers.engine import machine
from pytest_quantreg.backends.transformers.loading import _check_arguments
from pytest_quantreg.core.errors import Category, WrongUse
from pytest_quantreg.core.records.run import Machine, ModelSpec
from pytest_quantreg.report.words import words_of

from ...wording import refused, wrong_use

Spec = Callable[..., ModelSpec]


@pytest.mark.parametrize(
    ("name", "value", "own"),
    [
        ("num_hidden_layers", 1, "2"),
        ("num_hidden_layers", "1", "2"),
        ("max_position_embeddings", 64, "128"),
        ("tie_word_embeddings", True, "False"),
        ("hidden_act", "relu", "silu"),
        ("rms_norm_eps", 0.001, "1e-06"),
        ("rope_parameters", {"rope_type": "default", "rope_theta": 5.0}, "{"),
        # A second name, under which config.json does not hold it.
        ("rope_scaling", {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}, "{"),
    ],
)
def test_what_changes_the_model_is_wrong_use(
    backend: TransformersBackend, tiny: Path, spec: Spec, name: str, value: Any, own: str
) -> None:
    """A model of fewer layers is faster and another model; the message has both values."""
    with pytest.raises(WrongUse) as caught:
        backend.load(spec(tiny, **{name: value}))
    assert words_of(caught.value.problem).what.startswith(
        f"--quant-backend-arg={name}={value}: this is part of the model ({name} is {own}"
    )
    assert "config.json" in words_of(caught.value.problem).help[0]


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("max_length", "abc", "a whole number of tokens"),
        ("max_length", 1, "a whole number of tokens"),
        ("add_bos_token", "yes", "true or false"),
    ],
)
def test_values_that_prompts_cannot_have(
    backend: TransformersBackend, tiny: Path, spec: Spec, name: str, value: Any, allowed: str
) -> None:
    """They are told as such when the model is identified, not as another tokenizer."""
    with wrong_use(f"{name}={value}: allowed is {allowed}"):
        backend.identify(spec(tiny, **{name: value}))


def test_a_misspelt_argument(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """The nearest argument that there is stands first in the help."""
    with wrong_use("unexpected keyword argument 'dtyp'") as caught:
        backend.load(spec(tiny, dtyp="float32"))
    assert words_of(caught.value.problem).help[0] == "did you mean dtype?"


def test_a_second_name_of_another_architecture(
    backend: TransformersBackend, tiny: Path, copy: Path, spec: Spec
) -> None:
    """GPT-2 calls its layers n_layer and takes num_hidden_layers for it: both are refused."""
    torch, transformers = quietly_imported("torch", "transformers")
    config = transformers.GPT2Config(
        vocab_size=300, n_positions=64, n_embd=32, n_layer=2, n_head=2, bos_token_id=0
    )
    (copy / "model.safetensors").unlink()
    with quiet():
        transformers.GPT2LMHeadModel(config).to(torch.bfloat16).save_pretrained(copy)
    for name in ("n_layer", "num_hidden_layers"):
        with wrong_use(f"{name} is 2 in its config"):
            backend.load(spec(copy, **{name: 1}))
    engine = backend.load(spec(copy, n_layer=2))
    assert len(engine.model.transformer.h) == 2


@pytest.mark.parametrize(
    "args",
    [
        {"dtype": "float32"},
        {"torch_dtype": "float32"},
        {"attn_implementation": "eager"},
        {"device_map": "cpu"},
        {"use_cache": False},
        {"low_cpu_mem_usage": True},
        # What config.json says anyway changes nothing.
        {"num_hidden_layers": 2, "rms_norm_eps": 1e-06},
        # Of the evaluation, not of the model.
        {"max_length": 32, "batch_size": 2},
    ],
)
def test_how_a_model_is_run_may_be_said(
    backend: TransformersBackend, tiny: Path, spec: Spec, args: dict[str, Any]
) -> None:
    """The model is the same, layer for layer."""
    engine = backend.load(spec(tiny, **args))
    assert len(engine.model.model.layers) == 2
    engine.close()


def test_unknown_arguments_are_named(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """What neither config nor from_pretrained knows is wrong use too."""
    with wrong_use(r"does not take what was given: .*'fast_please'"):
        backend.load(spec(tiny, fast_please=True))


@pytest.mark.parametrize("args", [{}, {"low_cpu_mem_usage": True}])
def test_a_config_that_nobody_knows_is_refused(
    backend: TransformersBackend, copy: Path, spec: Spec, args: dict[str, Any]
) -> None:
    """With arguments or without: one refusal, never an error of transformers itself."""
    path = copy / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "nonsense"}))
    with refused("transformers cannot load it: ValueError") as caught:
        backend.load(spec(copy, **args))
    assert caught.value.category is Category.UNUSABLE_MODEL


@pytest.mark.parametrize(("hip", "kind"), [("6.3.42", "rocm"), (None, "cuda")])
def test_an_accelerator_is_called_by_its_maker(
    monkeypatch: pytest.MonkeyPatch, hip: str | None, kind: str
) -> None:
    """torch says cuda of AMD's cards too; their driver is the version of HIP."""
    (torch,) = quietly_imported("torch")
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some Card")
    cards = [SimpleNamespace(device=torch.device("cuda", number)) for number in (0, 1, 1)]
    device = machine(SimpleNamespace(parameters=lambda: cards))
    assert (device.kind, device.accelerator, device.count) == (kind, "Some Card", 2)
    if hip:
        assert device == Machine("rocm", "Some Card", 2, "6.3.42")


@pytest.mark.parametrize(
    "name",
    [
        *("variant", "subfolder", "gguf_file", "state_dict", "config", "use_safetensors"),
        *("key_mapping", "adapter_kwargs", "ignore_mismatched_sizes"),
    ],
)
def test_arguments_that_load_other_weights(name: str) -> None:
    """What from_pretrained would read elsewhere was neither digested nor checked."""
    spec = ModelSpec("/nowhere", "m", "bf16", "transformers", args={name: "other"})
    with wrong_use("other weights than those that were checked"):
        _check_arguments(spec, Path("/nowhere"), None, None)
