"""torchao's own int8 kernels through transformers: asked for at load, or in a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.checkpoint.torchao_tensors import loaded, stored
from pytest_quantreg.backends.quiet import quiet, quietly_imported
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.backends.transformers import backend as backend_module
from pytest_quantreg.backends.transformers.loading import check_finite
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.records.speed import Load

from ...wording import refused, wrong_use

Spec = Callable[..., ModelSpec]

CONFIGS = {
    "w8a16-int8": "Int8WeightOnlyConfig",
    "w8a8-int8": "Int8DynamicActivationInt8WeightConfig",
}


def quantization_config(kind: str) -> dict[str, Any]:
    """What a user writes behind ``quantization_config=``, in the words of transformers."""
    default = {"_type": kind, "_version": 2, "_data": {}}
    return {"quant_method": "torchao", "quant_type": {"default": default}}


@pytest.mark.parametrize("scheme", CONFIGS)
def test_quantized_while_loading(
    backend: TransformersBackend,
    tiny: Path,
    spec: Spec,
    scheme: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A quantization_config is what makes the scheme: llm-compressor makes nothing then."""

    def never(*_: Any) -> Any:
        raise AssertionError("llm-compressor was run")

    monkeypatch.setattr(backend_module, "make_checkpoint", never)
    given = replace(
        spec(tiny, scheme, quantization_config=quantization_config(CONFIGS[scheme])), quantize=True
    )
    prepared = backend.prepare(given, lambda line: None)
    assert prepared.quantize is False
    engine = backend.load(prepared)
    assert engine.effective.scheme == scheme
    assert engine.effective.mode == "native"
    assert engine.effective.quantized_layers == 14
    assert "torchao" in engine.effective.kernel
    before = engine.footprint()
    assert before.loaded["int8"] >= 2 * (4 * 128 * 128 + 3 * 128 * 256)
    (request,) = engine.serve(Load(((5, 6, 7),), 4, 1))
    assert 0 < request.first_token <= request.ended
    assert engine.footprint().weights == before.weights
    engine.close()


@pytest.mark.parametrize("scheme", CONFIGS)
def test_a_saved_checkpoint(
    backend: TransformersBackend, tiny: Path, spec: Spec, scheme: str, tmp_path: Path
) -> None:
    """What transformers saved is recognised from its files, and runs the same kernels."""
    transformers, torchao = quietly_imported("transformers", "torchao.quantization")
    with quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(
            tiny,
            dtype="bfloat16",
            quantization_config=transformers.TorchAoConfig(getattr(torchao, CONFIGS[scheme])()),
        )
        model.save_pretrained(tmp_path / "saved")
    for path in tiny.glob("tokenizer*"):
        shutil.copy(path, tmp_path / "saved")
    given = spec(tmp_path / "saved", scheme)
    assert backend.stored_scheme(given) == scheme
    engine = backend.load(backend.prepare(given, lambda line: None))
    assert engine.effective.scheme == scheme
    footprint = engine.footprint()
    assert footprint.disk is not None
    assert footprint.disk < 0.7 * (tiny / "model.safetensors").stat().st_size
    engine.serve(Load(((5, 6, 7),), 4, 1))


def test_the_kernel_says_what_runs(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """Weight-only turns the weights into bfloat16 for each product; both are said as they are."""
    kernels = {}
    for scheme, kind in CONFIGS.items():
        engine = backend.load(spec(tiny, scheme, quantization_config=quantization_config(kind)))
        kernels[scheme] = engine.effective.kernel
        engine.close()
    assert kernels == {
        "w8a16-int8": "torchao, int8 per channel turned into bfloat16 for each matmul",
        "w8a8-int8": "torchao int8 matmul",
    }


def test_broken_values_are_found_inside(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """A scale that is not finite is found within torchao's tensors too."""
    engine = backend.load(
        spec(tiny, quantization_config=quantization_config("Int8WeightOnlyConfig"))
    )
    weight = engine.model.model.layers[0].mlp.up_proj.weight
    weight.scale[3] = float("nan")
    with refused(r"up_proj\.weight holds NaN"):
        check_finite(engine.model, "tiny")


def test_a_config_that_transformers_does_not_know(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """A misspelt type is wrong use that shows what was given."""
    with wrong_use("Int9WeightOnlyConfig"):
        backend.load(spec(tiny, quantization_config=quantization_config("Int9WeightOnlyConfig")))


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("Int8WeightOnlyConfig", "w8a16-int8"),
        ("Int8DynamicActivationInt8WeightConfig", "w8a8-int8"),
        ("Float8WeightOnlyConfig", "w8a16-fp8"),
        ("Float8DynamicActivationFloat8WeightConfig", "w8a8-fp8"),
        ("Int4WeightOnlyConfig", "w4a16-int4"),
        ("IntxWeightOnlyConfig", "torchao IntxWeightOnlyConfig (not a known scheme)"),
    ],
)
def test_stored_names(kind: str, scheme: str) -> None:
    """config.json alone says the scheme; an unknown type keeps its own name."""
    assert stored(quantization_config(kind)) == scheme
    assert stored({"quant_method": "torchao"}) == "torchao unknown (not a known scheme)"


def test_other_tensors_are_not_guessed_at() -> None:
    """A weight of another class is none of ours to describe."""
    assert loaded(object()) is None
