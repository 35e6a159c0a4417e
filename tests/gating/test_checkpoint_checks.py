"""Real layouts of checkpoints before transformers loads them: what is let in, and what not."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.engine import capabilities_of
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.hardware.accelerators import Accelerator
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.schemes.catalogue import Catalogue
from pytest_quantreg.gating import checkpoint_checks
from pytest_quantreg.gating.checkpoint_checks import CheckpointChecks
from pytest_quantreg.report.words import words_of

from ..backends.checkpoint.test_headers import CHECKPOINTS, PROJECTION, packed, spoilt, write
from ..wording import refused as refused_with

CPU = Accelerator("AMD EPYC", "cpu")
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32}
FP8 = {"quant_method": "fp8", "weight_block_size": [2, 2]}
MODELOPT = {"quant_method": "modelopt", "quant_algo": "FP8"}
HQQ = {"quant_method": "hqq"}
BESIDE = {"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
TORCHAO_INT4 = {"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4"}}}

Enter = Callable[..., CheckpointChecks]


@pytest.fixture
def enter(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Makes the entrance of a machine without a card, on which ``present`` is installed."""

    def make(*present: str) -> CheckpointChecks:
        monkeypatch.setattr(checkpoint_checks, "all_devices", lambda: (CPU,))
        monkeypatch.setattr(checkpoint_checks, "is_installed", lambda name: name in present)
        monkeypatch.setattr(backend, "device_kind", lambda spec: "cpu")
        engines: Any = SimpleNamespace(
            backend=backend,
            capabilities=capabilities_of(backend),
            settings=SimpleNamespace(catalogue=Catalogue()),
            software=lambda spec: SimpleNamespace(versions={"transformers": "5.17.0"}),
        )
        return CheckpointChecks(engines)

    return make


def gptq(folder: Path) -> Path:
    """Packs along the inputs, with an index of groups."""
    index = {f"{PROJECTION}.g_idx": ("I32", (64,), bytes(4 * 64))}
    return write(folder, {**packed((8, 128), 2, 128), **index}, GPTQ)


def awq(folder: Path) -> Path:
    """Packs along the outputs."""
    return write(folder, packed((64, 16), 2, 128), AWQ)


def blocks(folder: Path) -> Path:
    """FP8 in blocks, as models are born with it."""
    scale = np.full(4, 0.5, "f4").tobytes()
    tensors = {
        f"{PROJECTION}.weight": ("F8_E4M3", (4, 4), bytes(16)),
        f"{PROJECTION}.weight_scale_inv": ("F32", (2, 2), scale),
    }
    return write(folder, tensors, FP8)


def modelopt(folder: Path) -> Path:
    """FP8 with scales of activations."""
    scale = ("F32", (), struct.pack("<f", 0.5))
    tensors = {
        f"{PROJECTION}.weight": ("F8_E4M3", (4, 4), bytes(16)),
        f"{PROJECTION}.weight_scale": scale,
        f"{PROJECTION}.input_scale": scale,
    }
    return write(folder, tensors, MODELOPT)


def beside(folder: Path) -> Path:
    """The same, said in ModelOpt's own file alone."""
    modelopt(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (folder / "hf_quant_config.json").write_text(json.dumps(BESIDE))
    return folder


def spec(folder: Path, scheme: str, **more: Any) -> ModelSpec:
    """That folder, tested as ``scheme``."""
    return ModelSpec(str(folder), "model", scheme, "transformers", **more)


def refused(door: CheckpointChecks, model: ModelSpec) -> Refusal:
    """How a model is refused, by its kernel."""
    door.check_files(model)
    with refused_with() as caught:
        door.kernel(model)
    return caught.value


@pytest.mark.parametrize(
    ("make", "packages"), [(gptq, ("gptqmodel", "optimum")), (awq, ("gptqmodel",))]
)
def test_gptq_and_awq_need_packages(
    make: Callable[[Path], Path], packages: tuple[str, ...], enter: Enter, tmp_path: Path
) -> None:
    """One clear line names what is missing, and with it they are let in to run natively."""
    model = spec(make(tmp_path / "it"), "w4a16-int4")
    error = refused(enter(*packages[1:]), model)
    assert error.category is Category.MISSING_EXTRA
    assert words_of(error.problem).what == (
        f"transformers needs gptqmodel for files of the method {make.__name__}, and that is not "
        "installed"
    )
    assert words_of(error.problem).help == ("pip install gptqmodel",)
    choice = enter(*packages).kernel(model)
    assert choice is not None
    assert (choice.mode, choice.kernel, choice.measured) == ("native", "gptqmodel", True)


def test_all_that_is_missing_is_named(enter: Enter, tmp_path: Path) -> None:
    """Two missing packages come in one command."""
    error = refused(enter(), spec(gptq(tmp_path / "it"), "w4a16-int4-gptq"))
    assert "needs gptqmodel and optimum for" in words_of(error.problem).what
    assert words_of(error.problem).help == ("pip install gptqmodel optimum",)


@pytest.mark.parametrize(
    ("make", "scheme", "why"),
    [
        (blocks, "w8a8-fp8-block", "turned into bf16 there"),
        (modelopt, "w8a8-fp8", "does not read ModelOpt's files"),
        (beside, "w8a8-fp8", "does not read ModelOpt's files"),
    ],
)
def test_files_that_transformers_would_not_run_quantized(
    make: Callable[[Path], Path], scheme: str, why: str, enter: Enter, tmp_path: Path
) -> None:
    """What would be loaded as something else than it is, is refused before."""
    error = refused(enter(), spec(make(tmp_path / "it"), scheme))
    assert error.category is Category.NOT_JUDGED
    assert why in words_of(error.problem).what
    assert "transformers 5.17.0 has no kernel for" in words_of(error.problem).what


def test_the_claim_in_a_file_beside_is_the_stored_scheme(
    backend: TransformersBackend, tmp_path: Path
) -> None:
    """The gate reads ModelOpt's file, and the part for text, as `quantreg inspect` does."""
    assert backend.stored_scheme(spec(beside(tmp_path / "it"), "w8a8-fp8")) == "w8a8-fp8"
    folder = gptq(tmp_path / "parts")
    config = {"model_type": "llama", "text_config": {"quantization_config": GPTQ}}
    (folder / "config.json").write_text(json.dumps(config))
    assert backend.stored_scheme(spec(folder, "w4a16-int4")) == "w4a16-int4"


def test_modelopt_says_its_cache_in_two_ways(tmp_path: Path, backend: TransformersBackend) -> None:
    """An FP8 cache in config.json is spelt as in compressed-tensors, elsewhere by a name."""
    cache = {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    ways: list[dict[str, Any]] = [cache, {"kv_cache_quant_algo": "FP8"}]
    for number, said in enumerate(ways):
        folder = write(tmp_path / str(number), {}, {**MODELOPT, **said})
        assert backend.stored_scheme(spec(folder, "w8a8-fp8")) == "w8a8-fp8+kv-fp8"


def test_files_of_an_unknown_method_are_let_in(enter: Enter, tmp_path: Path) -> None:
    """What the table does not know, nor the names of its tensors, is for transformers to say."""
    tensors = {
        f"{PROJECTION}.W_q": ("U8", (2, 4), bytes(8)),
        "model.layers.0.mlp.gate_proj.weight": ("BF16", (2, 4), bytes(16)),
    }
    choice = enter().kernel(spec(write(tmp_path / "it", tensors, HQQ), "w4a16-int4"))
    assert choice is not None
    assert choice.mode == "not known"


def test_an_unknown_method_over_plain_tensors(enter: Enter, tmp_path: Path) -> None:
    """Where every tensor is plain, no name of a method makes it quantized."""
    tensors = {f"{PROJECTION}.weight": ("BF16", (2, 4), bytes(16))}
    folder = write(tmp_path / "it", tensors, HQQ)
    with refused_with("none of the 1 linear layers is quantized: they are bf16"):
        enter().check_files(spec(folder, "w4a16-int4"))


def test_schemes_of_torchao_go_by_its_own_table(
    enter: Enter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an argument lets torchao make is looked up as torchao's, not as transformers'."""
    monkeypatch.setattr(checkpoint_checks, "installed_engines", lambda: {"torchao": "0.18.0"})
    args = {"quantization_config": TORCHAO_INT4}
    model = spec(tmp_path, "w4a16-int4", quantize=True, args=args)
    error = refused(enter(), model)
    assert words_of(error.problem).what.startswith(
        "torchao 0.18.0 has no kernel for w4a16-int4 on AMD EPYC"
    )
    runs = enter().kernel(spec(tmp_path, "w8a8-int8", quantize=True, args=args))
    assert runs is not None
    assert runs.mode == "native"


@pytest.mark.parametrize("name", sorted(path.name for path in CHECKPOINTS.iterdir()))
def test_the_examples_are_let_in(name: str, enter: Enter) -> None:
    """Sound files and sound lies alike: what those lose is for their scores to show."""
    scheme = name.removeprefix("broken-").replace("-shifted-scales", "")
    model = spec(CHECKPOINTS / name, scheme.replace("-foreign-calibration", ""))
    door = enter("compressed-tensors")
    door.check_files(model)
    choice = door.kernel(model)
    assert choice is not None
    assert choice.mode == "emulated"


def test_scales_that_scale_nothing(enter: Enter, tmp_path: Path) -> None:
    """Files with dead scales are refused, with all that contradicts itself up to a number."""
    folder = spoilt(CHECKPOINTS / "w8a8-fp8", tmp_path / "bad", ".weight_scale", b"\x00\x00")
    with refused_with() as caught:
        enter().check_files(spec(folder, "w8a8-fp8"))
    assert caught.value.category is Category.SUSPICIOUS
    words = words_of(caught.value.problem)
    assert words.what.startswith("bad contradicts itself: scales are all zero: ")
    assert words.help[0] == f"all that its files hold: quantreg inspect {folder}"


@pytest.mark.parametrize(
    ("args", "kind"),
    [({"device_map": "cpu"}, "cpu"), ({"device_map": {"": "cpu"}}, "cpu")],
)
def test_where_an_argument_puts_a_model(
    args: dict[str, Any], kind: str, backend: TransformersBackend, tmp_path: Path
) -> None:
    """A model on the CPU is looked up as such, and one that transformers spreads not at all."""
    assert backend.device_kind(spec(tmp_path, "w8a8-fp8", args=args)) == kind
    assert backend.device_kind(spec(tmp_path, "w8a8-fp8", args={"device_map": "auto"})) is None
