"""Checkpoints inspected by their files: what every format holds, and what is unreadable."""

from __future__ import annotations

import json
import math
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_quantreg.backends.checkpoint.headers import inspect
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.schemes.contradictions import contradictions
from pytest_quantreg.core.schemes.inspection import Checkpoint, Layer
from pytest_quantreg.core.schemes.names import same_identity
from pytest_quantreg.report.words import words_of

from ...wording import refused

CHECKPOINTS = Path(__file__).parents[3] / "examples" / "checkpoints"
PROJECTION = "model.layers.0.mlp.up_proj"

Tensors = Mapping[str, tuple[str, tuple[int, ...], bytes]]


def sentences(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The words of a checkpoint's contradictions."""
    return tuple(words_of(problem).what for problem in contradictions(checkpoint))


def write(folder: Path, tensors: Tensors, quantization: object = None) -> Path:
    """A checkpoint of these tensors (type, shape, bytes); no engine needs to load it."""
    header: dict[str, Any] = {}
    data = b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    config = {"model_type": "llama"}
    stated = {"quantization_config": quantization} if quantization is not None else {}
    (folder / "config.json").write_text(json.dumps({**config, **stated}))
    return folder


def spoilt(source: Path, folder: Path, part: str, pattern: bytes) -> Path:
    """A copy of a checkpoint in which all tensors of one name's ending repeat ``pattern``."""
    shutil.copytree(source, folder)
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    length = struct.unpack("<Q", data[:8])[0]
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name.endswith(part):
            start, end = (8 + length + at for at in entry["data_offsets"])
            data[start:end] = pattern * ((end - start) // len(pattern))
    path.write_bytes(data)
    return folder


def reconfigured(source: Path, folder: Path, **entries: object) -> Path:
    """A copy of a checkpoint with other entries in its quantization_config."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config.setdefault("quantization_config", {}).update(entries)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def only(checkpoint: Checkpoint, name: str = PROJECTION) -> Layer:
    """The layer of that name."""
    return next(layer for layer in checkpoint.layers if layer.name == name)


@pytest.mark.slow
def test_every_scheme_that_is_made_here_is_sound(made: dict[str, Path]) -> None:
    """All schemes that llm-compressor makes are recognised, and none contradicts itself."""
    for scheme, folder in made.items():
        checkpoint = inspect(str(folder))
        assert same_identity(scheme, checkpoint.scheme), scheme
        assert sentences(checkpoint) == (), scheme
        assert len(checkpoint.quantized) == 14
        weights = checkpoint.claim.groups[0].weights
        assert weights is not None
        for layer in checkpoint.quantized:
            assert layer.held is not None
            # Layers as wide as a group, or as large as a block, have one for all of it.
            whole = {"group": "channel", "block": "tensor"}.get(weights.granularity)
            assert layer.held.granularity in (weights.granularity, whole)


def test_parameters_are_those_of_the_model(tiny: Path, made: dict[str, Path]) -> None:
    """Packed or not, each kind has as many parameters as in the full-precision model."""
    full = inspect(str(tiny))
    for scheme, folder in made.items():
        checkpoint = inspect(str(folder))
        for layer in full.layers:
            assert only(checkpoint, layer.name).parameters == layer.parameters, (scheme, layer.name)
        assert checkpoint.size == (folder / "model.safetensors").stat().st_size


@pytest.mark.parametrize("name", sorted(path.name for path in CHECKPOINTS.iterdir()))
def test_shipped_checkpoints(name: str) -> None:
    """The examples agree with themselves; shifted scales and bad calibration are no contradiction.

    What they lose shows in accuracy alone.
    """
    checkpoint = inspect(str(CHECKPOINTS / name))
    assert sentences(checkpoint) == ()
    assert checkpoint.scheme in name
    assert (len(checkpoint.quantized), sum(layer.linear for layer in checkpoint.layers)) == (21, 21)
    expected = 4 + 16 / 128 if "int4" in name else 8
    bits = checkpoint.bits_per_weight(checkpoint.quantized)
    assert expected < bits < expected + 0.1


@pytest.mark.parametrize("scheme", ["w8a8-fp8", "w8a8-int8", "w4a16-int4-rtn"])
def test_a_config_over_plain_tensors(scheme: str, tmp_path: Path) -> None:
    """A quantized config beside the bf16 weights it was never made from is found out."""
    folder = tmp_path / "fake"
    shutil.copytree(CHECKPOINTS / scheme, folder)
    shutil.copyfile(
        CHECKPOINTS.parent / "tiny-llama" / "model.safetensors", folder / "model.safetensors"
    )
    checkpoint = inspect(str(folder))
    assert checkpoint.scheme == "bf16"
    (contradiction,) = sentences(checkpoint)
    assert "none of the 21 linear layers is quantized: they are bf16" in contradiction


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (b"\x80\x3f", "all one"),
        (b"\x00\x00", "all zero"),
        (b"\x00\x80", "all zero"),
        (b"\xc0\x7f", "NaN"),
        (b"\x80\x7f", "infinite"),
    ],
)
def test_bfloat16_scales_are_read(pattern: bytes, said: str, tmp_path: Path) -> None:
    """One, zero, minus zero, NaN and infinity in bfloat16 scales of a real checkpoint."""
    part = "0.self_attn.q_proj.weight_scale"
    folder = spoilt(CHECKPOINTS / "w8a8-fp8", tmp_path / "bad", part, pattern)
    (contradiction,) = sentences(inspect(str(folder)))
    assert said in contradiction
    assert "model.layers.0.self_attn.q_proj.weight_scale" in contradiction


def test_one_nan_among_many_scales_is_found(tmp_path: Path) -> None:
    """Scales are read to the end, in pieces, and the last value counts."""
    count = 3 << 20
    raw = np.full(count, 0.5, np.float32)
    raw[-1] = math.nan
    tensors: Tensors = {
        f"{PROJECTION}.weight": ("F8_E4M3", (count, 1), bytes(count)),
        f"{PROJECTION}.weight_scale": ("F32", (count, 1), raw.tobytes()),
    }
    checkpoint = inspect(str(write(tmp_path / "it", tensors, {"quant_method": "fp8"})))
    (scales,) = only(checkpoint).scales
    assert (scales.count, scales.ones, scales.zeros, scales.not_finite) == (count, 0, 0, 1)


@pytest.mark.parametrize(
    ("dtype", "pattern", "counts"),
    [
        ("F64", struct.pack("<4d", 1, 0, math.nan, 2), (1, 1, 1)),
        ("F16", np.array([1, -0.0, np.inf, 2], np.float16).tobytes(), (1, 1, 1)),
        ("F8_E4M3", bytes([0x38, 0x80, 0xFF, 0x7E]), (1, 1, 1)),
        ("F8_E8M0", bytes([127, 0, 255, 120]), (1, 0, 1)),
        ("U8", bytes([127, 0, 255, 120]), (1, 0, 1)),
    ],
)
def test_types_of_scales(
    dtype: str, pattern: bytes, counts: tuple[int, int, int], tmp_path: Path
) -> None:
    """Each type that scales come in has its own one, zero and NaN; E8M0 has no zero."""
    tensors: Tensors = {
        f"{PROJECTION}.weight": ("F8_E4M3", (4, 2), bytes(8)),
        f"{PROJECTION}.weight_scale": (dtype, (4, 1), pattern),
    }
    (scales,) = only(inspect(str(write(tmp_path / "it", tensors)))).scales
    assert (scales.ones, scales.zeros, scales.not_finite) == counts


INT8 = "Int8WeightOnlyConfig"
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 32}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 32, "modules_to_not_convert": None}


def packed(shape: tuple[int, int], groups: int, outputs: int) -> dict[str, Any]:
    """The tensors that GPTQ and AWQ keep for a matrix."""
    scales = np.full((groups, outputs), 0.5, np.float16).tobytes()
    return {
        f"{PROJECTION}.qweight": ("I32", shape, bytes(4 * shape[0] * shape[1])),
        f"{PROJECTION}.qzeros": ("I32", (groups, outputs // 8), bytes(groups * outputs // 2)),
        f"{PROJECTION}.scales": ("F16", (groups, outputs), scales),
    }


@pytest.mark.parametrize("quantization", [GPTQ, AWQ])
def test_gptq_and_awq(quantization: dict[str, Any], tmp_path: Path) -> None:
    """Both pack eight values to a number, GPTQ along the inputs and AWQ along the outputs."""
    gptq = quantization is GPTQ
    tensors = packed((8, 128) if gptq else (64, 16), 2, 128)
    if gptq:
        tensors[f"{PROJECTION}.g_idx"] = ("I32", (64,), bytes(4 * 64))
    checkpoint = inspect(str(write(tmp_path / "it", tensors, quantization)))
    layer = only(checkpoint)
    assert (layer.parameters, layer.linear) == (64 * 128, True)
    assert layer.held is not None
    assert (layer.held.type, layer.held.bits) == ("int", 4)
    assert (layer.held.granularity, layer.held.group_size) == ("group", 32)
    assert sentences(checkpoint) == ()
    assert checkpoint.scheme == "w4a16-int4"


@pytest.mark.parametrize(
    ("tensors", "quantization", "scheme", "bits"),
    [
        (
            {
                "model.layers.0.mlp.experts.up_proj_blocks": ("U8", (2, 4, 3, 16), bytes(384)),
                "model.layers.0.mlp.experts.up_proj_scales": ("U8", (2, 4, 3), bytes([120] * 24)),
                "model.layers.0.mlp.router.weight": ("BF16", (2, 96), bytes(384)),
            },
            {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn"]},
            "w4a16-mxfp4",
            4.25,
        ),
        (
            {
                f"{PROJECTION}.weight": ("U8", (384, 1), bytes(384)),
                f"{PROJECTION}.weight.absmax": ("F32", (12,), np.full(12, 0.5, "f4").tobytes()),
                f"{PROJECTION}.weight.quant_map": ("F32", (16,), bytes(64)),
            },
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "bnb-nf4",
            4 + 32 / 64 + 512 / 768,
        ),
        (
            {
                f"{PROJECTION}._weight_qdata": ("I8", (24, 32), bytes(768)),
                f"{PROJECTION}._weight_scale": ("F32", (24, 1), np.full(24, 0.5, "f4").tobytes()),
            },
            {"quant_method": "torchao", "quant_type": {"default": {"_type": INT8}}},
            "w8a16-int8",
            9,
        ),
        (
            # Groups of 64 where most have 128: such a config does not say their size.
            {
                f"{PROJECTION}.weight": ("U8", (4, 96), bytes(384)),
                f"{PROJECTION}.weight_scale": ("F16", (4, 3), np.full(12, 0.5, "f2").tobytes()),
            },
            {"quant_method": "modelopt", "quant_algo": "W4A16_AWQ"},
            "w4a16-int4",
            4.25,
        ),
    ],
)
def test_other_containers(
    tensors: Tensors, quantization: object, scheme: str, bits: float, tmp_path: Path
) -> None:
    """Fused experts, bitsandbytes, torchao and ModelOpt have ways of their own."""
    checkpoint = inspect(str(write(tmp_path / "it", tensors, quantization)))
    (layer,) = checkpoint.quantized
    assert (checkpoint.scheme, layer.parameters, layer.linear) == (scheme, 768, True)
    assert checkpoint.bits_per_weight([layer]) == pytest.approx(bits)
    assert sentences(checkpoint) == ()


def test_gptq_with_other_bits_than_it_says(tmp_path: Path) -> None:
    """A config of 8 bits over tensors of 4 is named."""
    tensors = packed((8, 128), 2, 128)
    tensors[f"{PROJECTION}.g_idx"] = ("I32", (64,), bytes(4 * 64))
    checkpoint = inspect(str(write(tmp_path / "it", tensors, {**GPTQ, "bits": 8})))
    (contradiction,) = sentences(checkpoint)
    assert contradiction.startswith("config.json says int8 weights, the tensors are of 4 bits")


def test_modelopt_says_it_in_a_file_of_its_own(tmp_path: Path) -> None:
    """ModelOpt's hf_quant_config.json is the claim where config.json has none."""
    tensors: Tensors = {
        f"{PROJECTION}.weight": ("F8_E4M3", (4, 2), bytes(8)),
        f"{PROJECTION}.weight_scale": ("F32", (), struct.pack("<f", 0.25)),
        "lm_head.weight": ("BF16", (4, 2), bytes(16)),
    }
    folder = write(tmp_path / "it", tensors)
    stated = {"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
    (folder / "hf_quant_config.json").write_text(json.dumps(stated))
    checkpoint = inspect(str(folder))
    assert (checkpoint.scheme, checkpoint.claim.method, checkpoint.claim.ignore) == (
        "w8a8-fp8",
        "modelopt",
        ("lm_head",),
    )
    assert sentences(checkpoint) == ()


def test_the_ignore_list_is_held_against_the_tensors(tmp_path: Path) -> None:
    """The same files with another ignore list contradict themselves, both ways round."""
    folder = reconfigured(CHECKPOINTS / "w8a8-int8", tmp_path / "more", ignore=[PROJECTION])
    (contradiction,) = sentences(inspect(str(folder)))
    assert (
        contradiction == f"{PROJECTION} is quantized, and the ignore list of config.json names it"
    )


def test_a_layer_put_back_in_bfloat16(tmp_path: Path) -> None:
    """One layer that was swapped for its full-precision weights is named."""
    tensors: Tensors = {
        f"{PROJECTION}.weight": ("I8", (4, 2), bytes(8)),
        f"{PROJECTION}.weight_scale": ("F32", (4, 1), struct.pack("<4f", 1, 2, 3, 4)),
        "model.layers.0.mlp.down_proj.weight": ("BF16", (2, 4), bytes(16)),
        "model.layers.0.mlp.gate.weight": ("BF16", (2, 4), bytes(16)),
    }
    weights = {"num_bits": 8, "type": "int", "strategy": "channel"}
    config = {
        "quant_method": "compressed-tensors",
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": [],
    }
    checkpoint = inspect(str(write(tmp_path / "it", tensors, config)))
    (contradiction,) = sentences(checkpoint)
    assert contradiction.startswith("model.layers.0.mlp.down_proj is not quantized")


def test_files_without_a_claim_say_so(tmp_path: Path) -> None:
    """Quantized tensors under a config that says nothing have no scheme."""
    tensors: Tensors = {f"{PROJECTION}.weight": ("F8_E4M3", (4, 2), bytes(8))}
    checkpoint = inspect(str(write(tmp_path / "it", tensors)))
    assert checkpoint.scheme == "quantized, but config.json does not say how"
    assert len(sentences(checkpoint)) == 1


@pytest.mark.parametrize(
    "stated",
    [
        [1],
        "fp8",
        {"quant_method": "compressed-tensors", "config_groups": [1]},
        {"quant_method": "gptq", "bits": "four"},
        {
            "quant_method": "compressed-tensors",
            "config_groups": {"a": {"targets": ["Linear"], "weights": {"num_bits": 8}}},
            "ignore": ["re:["],
        },
    ],
)
def test_a_config_of_no_known_form_is_refused(stated: object, tmp_path: Path) -> None:
    """A quantization_config that cannot be read is refused in one line with a way out."""
    folder = write(tmp_path / "it", {}, stated)
    with pytest.raises(Refusal) as caught:
        inspect(str(folder))
    assert caught.value.category is Category.UNUSABLE_MODEL
    words = words_of(caught.value.problem)
    assert "the quantization_config of config.json cannot be read" in words.what
    assert words.help


def test_a_tensor_shorter_than_its_shape_is_refused(tmp_path: Path) -> None:
    """A header that gives a tensor fewer bytes than its shape needs is no checkpoint."""
    tensors: Tensors = {f"{PROJECTION}.weight_scale": ("F32", (4, 1), bytes(8))}
    with refused("not as long as its shape and type say"):
        inspect(str(write(tmp_path / "it", tensors)))


@pytest.mark.parametrize("offsets", [[], [0], "x", ["a", 16], [None, 16], [8, 0]])
def test_offsets_of_no_known_form_are_refused(offsets: object, tmp_path: Path) -> None:
    """Offsets in a header that are missing, no numbers or the wrong way round are refused."""
    tensors: Tensors = {f"{PROJECTION}.weight_scale": ("F32", (4, 1), bytes(16))}
    path = write(tmp_path / "it", tensors) / "model.safetensors"
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header[f"{PROJECTION}.weight_scale"]["data_offsets"] = offsets
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    with refused("torn"):
        inspect(str(path.parent))


def test_a_folder_of_gguf_files_is_no_checkpoint(tmp_path: Path) -> None:
    """One of several files is meant, and it is asked for."""
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with refused("a folder with GGUF files alone"):
        inspect(str(tmp_path))


def test_a_file_is_refused_with_its_folder() -> None:
    """A safetensors file alone has no config: its folder is asked for."""
    path = CHECKPOINTS / "w8a8-fp8" / "model.safetensors"
    with pytest.raises(Refusal) as caught:
        inspect(str(path))
    assert words_of(caught.value.problem).help == (f"give its folder: {path.parent}",)


def test_weights_of_the_hub_are_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub id whose weights are not in the cache is refused with the command that gets them."""
    from pytest_quantreg.backends.checkpoint import headers
    from pytest_quantreg.backends.checkpoint.hub import Files

    (tmp_path / "config.json").write_text("{}")
    files = Files(tmp_path, "abc", True)
    monkeypatch.setattr(headers, "small_files", lambda spec, *, trusted: files)
    with pytest.raises(Refusal) as caught:
        inspect("org/model@v1")
    assert words_of(caught.value.problem).help == ("hf download org/model --revision v1",)
