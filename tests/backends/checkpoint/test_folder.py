"""Folders that cannot be used are refused by their files, before anything is loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.report.words import words_of

from ...wording import refused, says, wrong_use

Spec = Callable[..., ModelSpec]


def edit(path: Path, **entries: object) -> None:
    """Changes entries of a JSON file; None takes one out."""
    value = json.loads(path.read_text())
    value.update(entries)
    path.write_text(json.dumps({key: v for key, v in value.items() if v is not None}))


def no_folder(folder: Path) -> None:
    """Takes the whole folder away."""
    folder.rename(folder.with_name("elsewhere"))


def no_config(folder: Path) -> None:
    """Takes config.json away."""
    (folder / "config.json").unlink()


def torn_config(folder: Path) -> None:
    """Cuts config.json in half."""
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text[: len(text) // 2])


def listed_config(folder: Path) -> None:
    """Makes config.json a list."""
    (folder / "config.json").write_text("[1]")


def no_tokenizer(folder: Path) -> None:
    """Takes the tokenizer's files away."""
    for path in folder.glob("tokenizer*"):
        path.unlink()


def torn_tokenizer(folder: Path) -> None:
    """Cuts tokenizer.json in half."""
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text[: len(text) // 2])


def no_weights(folder: Path) -> None:
    """Takes the weights away."""
    (folder / "model.safetensors").unlink()


def pickled(folder: Path) -> None:
    """Leaves pickled weights alone."""
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def gguf(folder: Path) -> None:
    """Leaves GGUF weights alone."""
    (folder / "model.safetensors").rename(folder / "model.gguf")


def torn_data(folder: Path) -> None:
    """Cuts the last kilobyte off the weights."""
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-1024])


def torn_header(folder: Path) -> None:
    """Leaves a hundred bytes of the weights."""
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:100])


def no_header(folder: Path) -> None:
    """Leaves three bytes of the weights."""
    (folder / "model.safetensors").write_bytes(b"abc")


def spoilt_header(folder: Path) -> None:
    """Overwrites a part of the header."""
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[8:20] = b"x" * 12
    (folder / "model.safetensors").write_bytes(bytes(data))


def missing_shard(folder: Path) -> None:
    """Names a shard that is not there."""
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def shard_outside(folder: Path) -> None:
    """Names a shard outside of the folder."""
    index = {"weight_map": {"a": "../tiny/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def short_shard(folder: Path) -> None:
    """Names a tensor that its shard does not hold."""
    index = {"weight_map": {"no.such.weight": "model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def two_sets(folder: Path) -> None:
    """Shards with an index beside a single file, as a folder saved twice holds."""
    shutil.copy(folder / "model.safetensors", folder / "model-00001-of-00001.safetensors")
    index = {"weight_map": {"lm_head.weight": "model-00001-of-00001.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def twice_in_shards(folder: Path) -> None:
    """Every tensor in both of two shards."""
    names = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    for name in names:
        shutil.copy(folder / "model.safetensors", folder / name)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": dict(zip(("a", "b"), names, strict=True))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def empty_index(folder: Path) -> None:
    """An index without a map."""
    (folder / "model.safetensors.index.json").write_text("{}")


def own_code(folder: Path) -> None:
    """Asks for Python code of its own."""
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling.Mine"})


def own_tokenizer_code(folder: Path) -> None:
    """Asks for Python code of its own for the tokenizer."""
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tok.Mine", None]})


def unknown_type(folder: Path) -> None:
    """A model_type that nobody knows."""
    edit(folder / "config.json", model_type="zzz", architectures=["ZzzForCausalLM"])


def not_causal(folder: Path) -> None:
    """An encoder-decoder model."""
    (folder / "config.json").write_text(json.dumps({"model_type": "t5", "vocab_size": 291}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_folder, "there is no folder"),
        (no_config, "no config.json in"),
        (torn_config, "config.json cannot be read"),
        (listed_config, "config.json is not a JSON object"),
        (no_tokenizer, "no tokenizer in"),
        (torn_tokenizer, "tokenizer cannot be loaded"),
        (no_weights, "no weights in"),
        (pickled, r"pickled weights \(.bin\)"),
        (gguf, "holds GGUF weights"),
        (torn_data, "model.safetensors is torn: it has [0-9,]+ bytes and should have"),
        (torn_header, "torn: its header is cut off"),
        (no_header, "torn: its header is cut off"),
        (spoilt_header, "torn: its header is not readable"),
        (missing_shard, "model-00001-of-00002.safetensors, which is not in the folder"),
        (shard_outside, "../tiny/model.safetensors, which is not in the folder"),
        (short_shard, "the shards lack 1 tensors of the index, no.such.weight first"),
        (two_sets, "two sets of weights: model.safetensors, and the shards of"),
        (twice_in_shards, r"\S+ is in several of its shards, last in model-00002"),
        (empty_index, "has no weight_map"),
        (own_code, "--quant-backend-arg trust_remote_code=true"),
        (own_tokenizer_code, "--quant-backend-arg trust_remote_code=true"),
        (unknown_type, "is model_type 'zzz' known to this transformers"),
        (not_causal, "t5 is not a decoder-only language model"),
    ],
)
def test_unusable_folders_are_refused(
    backend: TransformersBackend,
    copy: Path,
    spec: Spec,
    spoil: Callable[[Path], None],
    message: str,
) -> None:
    """Each defect is one refusal that names the model, the defect and a way out."""
    spoil(copy)
    with refused(message) as caught:
        backend.identify(spec(copy))
    assert caught.value.category is Category.UNUSABLE_MODEL
    assert words_of(caught.value.problem).what.startswith("tiny: ")
    assert words_of(caught.value.problem).help or spoil in (listed_config,)


def test_whole_shards_are_accepted(backend: TransformersBackend, copy: Path, spec: Spec) -> None:
    """A model saved in several shards is one model with a digest over all of them."""
    engine = backend.load(spec(copy))
    engine.model.save_pretrained(copy, max_shard_size="200KB")
    (copy / "model.safetensors").unlink()
    first = backend.identify(spec(copy))
    shards = sorted(copy.glob("model-*.safetensors"))
    assert len(shards) > 1
    data = bytearray(shards[-1].read_bytes())
    data[-1] ^= 1
    shards[-1].write_bytes(bytes(data))
    second = backend.identify(spec(copy))
    assert first.weights_digest != second.weights_digest


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        ("missing", {"num_hidden_layers": 3}, "weights are not in the files"),
        ("shapes", {"intermediate_size": 64}, "transformers cannot load it"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    backend: TransformersBackend,
    copy: Path,
    spec: Spec,
    key: str,
    changes: dict[str, object],
    message: str,
) -> None:
    """Weights that would be random, or have other shapes, are not loaded in silence."""
    edit(copy / "config.json", **changes)
    with refused(message) as caught:
        backend.load(spec(copy))
    assert caught.value.category is Category.UNUSABLE_MODEL


def test_scales_without_their_config_are_refused(
    backend: TransformersBackend, made: dict[str, Path], spec: Spec, tmp_path: Path
) -> None:
    """fp8 tensors whose config has lost quantization_config would be read as they lie."""
    folder = Path(shutil.copytree(made["w8a8-fp8"], tmp_path / "lost"))
    edit(folder / "config.json", quantization_config=None)
    with refused("14 tensors of quantized weights go unused"):
        backend.load(spec(folder))


@pytest.mark.parametrize("scheme", ["native", "w8a8-fp8"])
def test_nan_in_the_weights_is_refused(
    backend: TransformersBackend,
    tiny: Path,
    made: dict[str, Path],
    spec: Spec,
    tmp_path: Path,
    scheme: str,
) -> None:
    """One NaN in a bf16 or an fp8 tensor is found when the model is loaded."""
    from safetensors.torch import load_file, save_file

    source = tiny if scheme == "native" else made[scheme]
    folder = Path(shutil.copytree(source, tmp_path / "nan"))
    tensors = load_file(folder / "model.safetensors")
    key = "model.layers.1.mlp.up_proj.weight"
    tensors[key].view(-1)[7:8].copy_(tensors[key].new_full((1,), float("nan")))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with refused(rf"{key} holds NaN or infinity"):
        backend.load(spec(folder, scheme))


def test_tied_output_layers_are_not_missing(
    backend: TransformersBackend, spec: Spec, tmp_path: Path, llama: Callable[..., Path]
) -> None:
    """A model that shares embeddings and output layer loads, though files hold one."""
    folder = llama(tmp_path / "tied", tied=True)
    assert backend.load(spec(folder)).effective.linear_layers == 15


@pytest.mark.parametrize(("method", "package"), [("gptq", "optimum"), ("awq", "gptqmodel")])
def test_missing_kernels_are_one_line(
    backend: TransformersBackend, copy: Path, spec: Spec, method: str, package: str
) -> None:
    """A checkpoint whose kernels are not installed names the package it needs."""
    import torch
    from safetensors.torch import load_file, save_file

    stored = {"quant_method": method, "bits": 4, "group_size": 128}
    edit(copy / "config.json", quantization_config=stored)
    tensors = load_file(copy / "model.safetensors")
    del tensors["model.layers.0.mlp.up_proj.weight"]
    tensors["model.layers.0.mlp.up_proj.qweight"] = torch.zeros(16, 256, dtype=torch.int32)
    tensors["model.layers.0.mlp.up_proj.scales"] = torch.ones(1, 256)
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with refused(f"holds w4a16-int4, which needs a package.*{package}") as e:
        backend.load(spec(copy))
    assert e.value.category is Category.MISSING_EXTRA


@pytest.mark.parametrize("given", [{"quant_method": "no-such"}, {}])
def test_unknown_quantization_configs_are_wrong_use(
    backend: TransformersBackend, tiny: Path, spec: Spec, given: dict[str, str]
) -> None:
    """A quantization_config that transformers does not know is named as given."""
    with wrong_use(r"quantization_config .* is not understood"):
        backend.load(spec(tiny, quantization_config=given))


def test_unknown_arguments_are_wrong_use(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """An argument that transformers does not take is the user's mistake, and named."""
    with wrong_use("--quant-backend-arg") as caught:
        backend.load(spec(tiny, flux_capacitor=True))
    assert "flux_capacitor" in says(caught.value)
