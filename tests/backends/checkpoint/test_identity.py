"""What a model's files say it is, and what does and does not change that."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.quiet import quiet
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.records.run import ModelSpec

from ...wording import refused, says, wrong_use

Spec = Callable[..., ModelSpec]


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes a JSON file in place."""
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_reads_what_the_files_say(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """Architecture, vocabulary, shapes and dtype come from config.json."""
    identity = backend.identify(spec(tiny))
    assert identity.name == "tiny"
    assert identity.revision is None
    assert identity.architecture == "LlamaForCausalLM"
    assert identity.vocab_size == 291
    assert identity.dtype == "bfloat16"
    assert identity.shapes == {
        "hidden_size": 128,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 32,
    }


def test_dtype_follows_the_argument_then_the_tensors(
    backend: TransformersBackend, copy: Path, spec: Spec
) -> None:
    """An explicit dtype wins; a config without one leaves it to the stored tensors."""
    assert backend.identify(spec(copy, dtype="float32")).dtype == "float32"
    edit(copy / "config.json", lambda config: config.pop("dtype"))
    assert backend.identify(spec(copy)).dtype == "bfloat16"


def test_quantized_copies_share_all_but_the_weights(
    backend: TransformersBackend, tiny: Path, made: dict[str, Path], spec: Spec
) -> None:
    """A checkpoint belongs to its baseline by architecture, shapes, tokenizer and dtype."""
    base = backend.identify(spec(tiny))
    quantized = backend.identify(spec(made["w4a16-int4"]))
    assert quantized.weights_digest != base.weights_digest
    assert replace(quantized, name="", weights_digest="") == replace(
        base, name="", weights_digest=""
    )


def test_saving_a_tokenizer_again_keeps_its_digest(
    backend: TransformersBackend, tiny: Path, copy: Path, spec: Spec
) -> None:
    """Key order, padding, truncation and the spelling of merges do not matter."""
    from transformers import AutoTokenizer

    before = backend.identify(spec(tiny))
    with quiet():
        AutoTokenizer.from_pretrained(tiny).save_pretrained(copy)

    def respell(value: dict[str, Any]) -> None:
        value["padding"] = {
            "strategy": "BatchLongest",
            "direction": "Left",
            "pad_id": 2,
            "pad_to_multiple_of": None,
            "pad_type_id": 0,
            "pad_token": "<pad>",
        }
        value["truncation"] = {
            "max_length": 5,
            "stride": 0,
            "strategy": "LongestFirst",
            "direction": "Right",
        }
        value["model"]["merges"] = [" ".join(pair) for pair in value["model"]["merges"]]
        value["model"]["vocab"] = dict(reversed(value["model"]["vocab"].items()))

    edit(copy / "tokenizer.json", respell)
    after = backend.identify(spec(copy))
    assert after.tokenizer_digest == before.tokenizer_digest
    assert after.template_digest == before.template_digest


def swap_tokens(value: dict[str, Any]) -> None:
    """Exchanges the ids of two tokens."""
    vocab = value["model"]["vocab"]
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]


def drop_bos(value: dict[str, Any]) -> None:
    """Does not put BOS first any more."""
    value["post_processor"] = None


def drop_merge(value: dict[str, Any]) -> None:
    """Splits a word that was one token, with the same vocabulary."""
    value["model"]["merges"].pop(0)


@pytest.mark.parametrize("change", [swap_tokens, drop_bos, drop_merge])
def test_tokenizers_that_encode_otherwise_differ(
    backend: TransformersBackend,
    tiny: Path,
    copy: Path,
    spec: Spec,
    change: Callable[[dict[str, Any]], None],
) -> None:
    """Other ids, no BOS and other merges each give another digest."""
    edit(copy / "tokenizer.json", change)
    before, after = backend.identify(spec(tiny)), backend.identify(spec(copy))
    assert before.tokenizer_digest != after.tokenizer_digest
    assert before.template_digest == after.template_digest


def test_templates_have_a_digest_of_their_own(
    backend: TransformersBackend, tiny: Path, copy: Path, spec: Spec
) -> None:
    """Another chat template is seen, and none is None."""
    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    before, after = backend.identify(spec(tiny)), backend.identify(spec(copy))
    assert before.tokenizer_digest == after.tokenizer_digest
    assert before.template_digest != after.template_digest
    (copy / "chat_template.jinja").unlink()
    assert backend.identify(spec(copy)).template_digest is None


def test_weights_digest_covers_every_byte(
    backend: TransformersBackend, copy: Path, spec: Spec
) -> None:
    """One flipped bit in the last tensor gives another digest, in the same backend too."""
    before = backend.identify(spec(copy)).weights_digest
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(data))
    assert backend.identify(spec(copy)).weights_digest != before


def test_older_configs_without_derived_shapes_agree(
    backend: TransformersBackend, tiny: Path, copy: Path, spec: Spec
) -> None:
    """head_dim and num_key_value_heads count as written out when they are left out."""

    def older(config: dict[str, Any]) -> None:
        for key in ("head_dim", "num_key_value_heads"):
            config.pop(key)

    edit(copy / "config.json", older)
    assert backend.identify(spec(copy)).shapes == backend.identify(spec(tiny)).shapes


def stored(folder: Path, quantization: dict[str, Any], tiny: Path) -> Path:
    """A copy of the tiny model whose config has this quantization_config."""
    shutil.copytree(tiny, folder)
    edit(folder / "config.json", lambda c: c.update(quantization_config=quantization))
    return folder


def group(weights: dict[str, Any], inputs: dict[str, Any] | None = None) -> dict[str, Any]:
    """A compressed-tensors config group."""
    return {"targets": ["Linear"], "weights": weights, "input_activations": inputs}


FP8 = {"num_bits": 8, "type": "float", "strategy": "channel"}
FP8_TOKEN = {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}
FP8_STATIC = {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}
INT6 = {"num_bits": 6, "type": "int", "strategy": "channel"}


@pytest.mark.parametrize(
    ("quantization", "scheme"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "w4a16-int4"),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, "w8a16-int8"),
        ({"quant_method": "gptq", "bits": 3, "group_size": 64}, "int3 in groups of 64 weights"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "w4a16-int4"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bnb-int8"),
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "bnb-nf4",
        ),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes fp4"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "w8a8-fp8-block"),
        ({"quant_method": "fp8", "activation_scheme": "static"}, "w8a8-fp8"),
        ({"quant_method": "mxfp4"}, "w4a16-mxfp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "w4a4-nvfp4"),
        (
            {"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": "FP8"},
            "w8a8-fp8+kv-fp8",
        ),
        ({"quant_method": "hqq"}, "hqq (not a known scheme)"),
        ({"config_groups": {"a": group(FP8, FP8_STATIC)}}, "w8a8-fp8"),
        ({"config_groups": {"a": group(INT4)}}, "w4a16-int4"),
        ({"config_groups": {"a": group(INT6)}}, "int6 per channel weights"),
        (
            {"config_groups": {"a": group(FP8, FP8_TOKEN), "b": group(INT4)}},
            "w4a16-int4 and w8a8-fp8",
        ),
        (
            {"config_groups": {"a": group(FP8, FP8_TOKEN)}, "kv_cache_scheme": FP8_STATIC},
            "w8a8-fp8+kv-fp8",
        ),
        ({"config_groups": {}, "kv_cache_scheme": FP8_STATIC}, "unquantized+kv-fp8"),
        ({"config_groups": {}}, None),
    ],
)
def test_stored_scheme_of_every_format(
    backend: TransformersBackend,
    tiny: Path,
    tmp_path: Path,
    spec: Spec,
    quantization: dict[str, Any],
    scheme: str | None,
) -> None:
    """The scheme is read from what each format writes into config.json."""
    folder = stored(tmp_path / "model", quantization, tiny)
    assert backend.stored_scheme(spec(folder)) == scheme


@pytest.mark.parametrize("args", [{"dtype": "float99"}, {"torch_dtype": 16}])
def test_an_unknown_dtype_is_wrong_use(
    backend: TransformersBackend, tiny: Path, spec: Spec, args: dict[str, Any]
) -> None:
    """It is told, with those that are known, before any file is read."""
    with wrong_use("not a dtype") as caught:
        backend.identify(spec(tiny / "absent", **args))
    assert "known: auto, bfloat16, float16, float32, float64" in says(caught.value)


def test_a_checkpoint_is_named_by_its_folder(
    backend: TransformersBackend, copy: Path, spec: Spec
) -> None:
    """A torn checkpoint is not blamed on the baseline whose name it goes by."""
    folder = copy.rename(copy.with_name("tiny-int8"))
    checkpoint = replace(spec(folder, "w8a8-int8"), name="base")
    prepared = backend.prepare(checkpoint, lambda _: None)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    for attempt in (lambda: backend.identify(checkpoint), lambda: backend.load(prepared)):
        with refused(r"^tiny-int8: model.safetensors is torn"):
            attempt()


def test_the_config_is_part_of_the_weights(
    backend: TransformersBackend, tiny: Path, copy: Path, spec: Spec
) -> None:
    """Another rope_theta over the same tensors is another model; a re-saved file is not."""
    same = backend.identify(spec(tiny)).weights_digest
    edit(copy / "config.json", lambda value: value.update(transformers_version="9.9.9"))
    assert backend.identify(spec(copy)).weights_digest == same
    edit(copy / "config.json", lambda value: value.update(rms_norm_eps=1.0))
    assert backend.identify(spec(copy)).weights_digest != same


def test_arguments_that_cut_prompts_are_part_of_the_tokens(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """Another max_length or add_bos_token makes other prompts; a batch size does not."""
    digests = [
        backend.identify(spec(tiny, **args)).tokenizer_digest
        for args in ({}, {"batch_size": 4}, {"max_length": 14}, {"add_bos_token": True})
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
