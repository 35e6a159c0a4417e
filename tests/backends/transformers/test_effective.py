"""What loaded modules amount to, for every scheme that can be made here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_quantreg.backends.checkpoint.recipe import DATA_FREE
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.run import EffectiveScheme, ModelSpec

from ...wording import refused

Spec = Callable[..., ModelSpec]

FP8 = "fp8 e4m3 per channel"
INT8 = "int8 per channel"
INT4 = "int4 in groups of 128"
EXPECTED = {
    "w8a8-fp8": (FP8, "fp8 e4m3 per token, dynamic"),
    "w8a16-fp8": (FP8, "bfloat16"),
    "w8a8-fp8-block": ("fp8 e4m3 in blocks of 128", "fp8 e4m3 in groups of 128, dynamic"),
    "w8a8-int8": (INT8, "int8 per token, dynamic"),
    "w8a16-int8": (INT8, "bfloat16"),
    "w4a16-int4": (INT4, "bfloat16"),
    "w4a8-int8": (INT4, "int8 per token, dynamic"),
    "w4a8-fp8": (INT4, "fp8 e4m3 per token, dynamic"),
    "w8a8-mxfp8": ("mxfp8 in groups of 32", "mxfp8 in groups of 32, dynamic"),
    "w4a16-nvfp4": ("nvfp4 in groups of 16", "bfloat16"),
    "w4a16-mxfp4": ("mxfp4 in groups of 32", "bfloat16"),
    "w4a4-mxfp4": ("mxfp4 in groups of 32", "mxfp4 in groups of 32, dynamic"),
}


@pytest.mark.parametrize("scheme", DATA_FREE)
def test_reads_each_scheme_back(
    backend: TransformersBackend, made: dict[str, Path], spec: Spec, scheme: str
) -> None:
    """Files and loaded modules both say the scheme, emulated, in 14 of 15 layers, and it runs."""
    import torch

    checkpoint = spec(made[scheme], scheme)
    assert backend.stored_scheme(checkpoint) == scheme
    engine = backend.load(checkpoint)
    weights, activations = EXPECTED[scheme]
    assert engine.effective == EffectiveScheme(
        scheme=scheme,
        weights=weights,
        activations=activations,
        kv_cache="bfloat16",
        kernel="bfloat16 matmul after unpacking",
        mode="emulated",
        quantized_layers=14,
        linear_layers=15,
    )
    with torch.no_grad():
        logits = engine.model(torch.arange(3, 20)[None]).logits
    assert bool(torch.isfinite(logits).all())


def test_full_precision_has_nothing_quantized(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """A plain model is bf16 throughout, and another dtype shows as that."""
    assert backend.stored_scheme(spec(tiny)) is None
    effective = backend.load(spec(tiny)).effective
    assert (effective.scheme, effective.mode) == ("bf16", "full precision")
    assert (effective.quantized_layers, effective.linear_layers) == (0, 15)
    wide = backend.load(spec(tiny, dtype="float32")).effective
    assert (wide.scheme, wide.weights) == ("fp32", "float32")


def test_dropped_activation_quantization_shows(
    backend: TransformersBackend, made: dict[str, Path], spec: Spec
) -> None:
    """Where inputs are not quantized any more, w8a8 is called weight-only."""
    from pytest_quantreg.backends.transformers.effective import effective_scheme

    engine = backend.load(spec(made["w8a8-fp8"], "w8a8-fp8"))
    for module in engine.model.modules():
        if hasattr(module, "quantization_scheme"):
            module.quantization_enabled = False
    effective = effective_scheme(engine.model)
    assert (effective.scheme, effective.activations) == ("w8a16-fp8", "bfloat16")


@pytest.mark.parametrize("scheme", ["w8a8-fp8", "w4a8-int8"])
def test_effective_scheme_tells_what_a_forward_does(
    backend: TransformersBackend, made: dict[str, Path], spec: Spec, scheme: str
) -> None:
    """Inputs are quantized in the forward exactly when the effective scheme says so,
    ``dequantize=True`` included."""
    import torch

    config = {"quant_method": "compressed-tensors", "dequantize": True}
    given = spec(made[scheme], scheme, quantization_config=config)
    engine = backend.load(given)
    layer = engine.model.model.layers[0].self_attn.q_proj
    inputs = torch.randn(1, 5, 128, generator=torch.Generator().manual_seed(0)).bfloat16()
    plain = torch.nn.functional.linear(inputs, layer.weight)
    differs = not torch.equal(layer(inputs), plain)
    assert differs == ("dynamic" in engine.effective.activations)


def test_several_schemes_in_one_model_are_none(
    backend: TransformersBackend, made: dict[str, Path], spec: Spec
) -> None:
    """Layers of two schemes amount to no scheme; both are named with their counts."""
    from pytest_quantreg.backends.transformers.effective import effective_scheme

    model = backend.load(spec(made["w8a8-fp8"])).model
    other = backend.load(spec(made["w4a16-int4"])).model
    model.model.layers[1] = other.model.layers[1]
    effective = effective_scheme(model)
    assert effective.scheme is None
    assert f"{FP8} (7)" in effective.weights
    assert f"{INT4} (7)" in effective.weights


def test_config_alone_makes_no_scheme(
    backend: TransformersBackend, made: dict[str, Path], copy: Path, spec: Spec
) -> None:
    """A config that says fp8 over plain bf16 weights is refused as suspicious, unloaded."""
    shutil.copyfile(made["w8a8-fp8"] / "config.json", copy / "config.json")
    with refused("nothing in its weights is quantized") as caught:
        backend.load(spec(copy, "w8a8-fp8"))
    assert caught.value.category is Category.SUSPICIOUS


def test_ignored_layers_count_as_not_quantized(
    backend: TransformersBackend, made: dict[str, Path], tiny: Path, spec: Spec, tmp_path: Path
) -> None:
    """A config whose ignore list names every layer leaves nothing quantized."""
    folder = Path(shutil.copytree(tiny, tmp_path / "ignored"))
    config = json.loads((made["w8a8-fp8"] / "config.json").read_text())
    config["quantization_config"]["ignore"] = ["re:.*"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(Refusal) as caught:
        backend.load(spec(folder, "w8a8-fp8"))
    assert caught.value.category is Category.SUSPICIOUS


def test_a_quantized_cache_is_part_of_the_scheme(
    backend: TransformersBackend, made: dict[str, Path], spec: Spec, tmp_path: Path
) -> None:
    """A checkpoint with scales for its KV cache runs, and says, +kv-fp8."""
    import torch
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(made["w8a8-fp8"], tmp_path / "kv"))
    config = json.loads((folder / "config.json").read_text())
    scheme = {"num_bits": 8, "type": "float", "strategy": "tensor", "symmetric": True}
    config["quantization_config"]["kv_cache_scheme"] = scheme
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    for layer in range(2):
        for part in "kv":
            name = f"model.layers.{layer}.self_attn.{part}_scale"
            tensors[name] = torch.tensor([0.01], dtype=torch.bfloat16)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoint = spec(folder, "w8a8-fp8+kv-fp8")
    assert backend.stored_scheme(checkpoint) == "w8a8-fp8+kv-fp8"
    effective = backend.load(checkpoint).effective
    assert effective.scheme == "w8a8-fp8+kv-fp8"
    assert effective.kv_cache == "fp8 e4m3 per tensor"


@pytest.mark.parametrize("scheme", ["bnb-int8", "bnb-nf4"])
def test_bitsandbytes_is_native(backend: TransformersBackend, tiny: Path, scheme: str) -> None:
    """What bitsandbytes makes while loading is read back as that, and runs."""
    import torch

    to_make = ModelSpec(str(tiny), "tiny", scheme, "transformers", quantize=True)
    engine = backend.load(backend.prepare(to_make, print))
    assert (engine.effective.scheme, engine.effective.mode) == (scheme, "native")
    assert engine.effective.quantized_layers == 14
    assert bool(torch.isfinite(engine.model(torch.arange(3, 20)[None]).logits).all())
