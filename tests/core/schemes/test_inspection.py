"""What a checkpoint claims against what it holds, judged on plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantreg.core.schemes.contradictions import contradictions
from pytest_quantreg.core.schemes.inspection import (
    Checkpoint,
    Claim,
    Group,
    Held,
    Layer,
    Scales,
    ignored,
    is_router,
    kind_of,
)
from pytest_quantreg.core.schemes.names import Quantization
from pytest_quantreg.report.words import words_of

FP8 = Claim(
    "w8a8-fp8",
    "compressed-tensors",
    (Group(("Linear",), Quantization("float", 8, "channel")),),
    ("lm_head",),
)
INT4 = Claim(
    "w4a16-int4",
    "compressed-tensors",
    (Group(("Linear",), Quantization("int", 4, "group", group_size=128)),),
    ("lm_head",),
)
HELD = Held("float", 8, granularity="channel", group_size=64)
PROJECTIONS = tuple(f"model.layers.0.self_attn.{name}_proj" for name in "qkvo")


def sentences(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The words of a checkpoint's contradictions."""
    return tuple(words_of(problem).what for problem in contradictions(checkpoint))


def scales(name: str, *, count: int = 64, **other: int) -> Scales:
    """Scales of a weight, sound unless told otherwise."""
    sound = Scales(f"{name}.weight_scale", count, ones=0, zeros=0, not_finite=0)
    return replace(sound, **other)  # type: ignore[arg-type]


def quantized(name: str, held: Held = HELD, *scale_tensors: Scales) -> Layer:
    """A quantized matrix of 64 by 64."""
    return Layer(
        name, "attention", "F8_E4M3", 4096, 4224, True, held, scale_tensors or (scales(name),)
    )


def plain(name: str, *, linear: bool = True) -> Layer:
    """The same, left as it was."""
    return Layer(name, kind_of(name), "BF16", 4096, 8192, linear)


def checkpoint(*layers: Layer, claim: Claim = FP8) -> Checkpoint:
    """A checkpoint of these layers and an output layer."""
    head = plain("lm_head", linear=False)
    return Checkpoint("it", "LlamaForCausalLM", claim, (*layers, head), 1000, 1)


SOUND = checkpoint(*map(quantized, PROJECTIONS))


def test_a_sound_checkpoint_has_no_contradiction() -> None:
    """Quantized layers, an ignored output layer and ordinary scales agree."""
    assert sentences(SOUND) == ()
    assert SOUND.scheme == "w8a8-fp8"


def test_an_unquantized_model_has_no_contradiction() -> None:
    """Where nothing is claimed and nothing quantized, the scheme is the type of the tensors."""
    checkpoint_ = checkpoint(*map(plain, PROJECTIONS), claim=Claim(None))
    assert sentences(checkpoint_) == ()
    assert checkpoint_.scheme == "bf16"


def test_plain_tensors_under_a_quantized_config() -> None:
    """A config that says FP8 over bf16 tensors is one contradiction, and the scheme is bf16."""
    checkpoint_ = checkpoint(*map(plain, PROJECTIONS))
    assert checkpoint_.scheme == "bf16"
    assert sentences(checkpoint_) == (
        "config.json says w8a8-fp8, but none of the 4 linear layers is quantized: they are bf16",
    )


def test_quantized_tensors_under_a_plain_config() -> None:
    """Quantized tensors that the config does not mention are named."""
    (said,) = sentences(replace(SOUND, claim=Claim(None)))
    assert said.startswith("config.json says nothing of quantization, but model.layers.0")
    assert "and 1 more are quantized" in said


def test_a_layer_left_out_that_nobody_names() -> None:
    """An unquantized linear layer must stand in the ignore list, by name or by pattern."""
    layers = (*map(quantized, PROJECTIONS[1:]), plain(PROJECTIONS[0]))
    (said,) = sentences(checkpoint(*layers))
    assert said == (
        f"{PROJECTIONS[0]} is not quantized, and the ignore list of config.json does not name it"
    )
    for entry in (PROJECTIONS[0], r"re:.*q_proj$"):
        claim = replace(FP8, ignore=("lm_head", entry))
        assert sentences(checkpoint(*layers, claim=claim)) == ()


def test_an_output_layer_that_nobody_names() -> None:
    """compressed-tensors lists the output layer too, which other formats leave out unsaid."""
    (said,) = sentences(replace(SOUND, claim=replace(FP8, ignore=())))
    assert said.startswith("lm_head is not quantized")
    other = replace(FP8, method="awq", ignore=("visual",), exact=False)
    assert sentences(replace(SOUND, claim=other)) == ()


def test_a_format_without_a_list_blames_no_layer() -> None:
    """Where a format keeps no ignore list, a layer left alone contradicts nothing."""
    layers = (*map(quantized, PROJECTIONS[1:]), plain(PROJECTIONS[0]))
    claim = replace(FP8, method="gptq", ignore=None, exact=False)
    assert sentences(checkpoint(*layers, claim=claim)) == ()


def test_an_ignored_layer_that_is_quantized() -> None:
    """An engine would load an ignored layer unquantized: that it is quantized is named."""
    claim = replace(FP8, ignore=("lm_head", PROJECTIONS[3]))
    (said,) = sentences(replace(SOUND, claim=claim))
    assert said == f"{PROJECTIONS[3]} is quantized, and the ignore list of config.json names it"


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (Held("float", 8), "config.json says int4 weights, the tensors are F8_E4M3"),
        (
            Held("int", 8, packed=True),
            "config.json says int4 weights, the tensors are of 8 bits",
        ),
        (Held("int", 2, packed=True), "config.json says int4 weights, the tensors are of 2 bits"),
        (
            Held("int", 4, True, "group", 32),
            "config.json says groups of 128, the scales are for groups of 32",
        ),
        (
            Held("int", 4, True, "channel", 4096),
            "config.json says groups of 128, the scales are for groups of 4096",
        ),
    ],
)
def test_other_numbers_than_claimed(held: Held, said: str) -> None:
    """Type, bits and size of groups of the tensors must be those of the config."""
    layers = [quantized(name, held) for name in PROJECTIONS]
    assert sentences(checkpoint(*layers, claim=INT4)) == (
        f"{said} (4 layers, {PROJECTIONS[0]} first)",
    )


@pytest.mark.parametrize(
    "held",
    [Held("int", 8), Held("int", 4, True, "group", 128), Held("int", 4, True, "channel", 128)],
)
def test_int4_may_be_packed_or_lie_in_bytes(held: Held) -> None:
    """int4 values in whole bytes, and groups as wide as the layer, are what was claimed."""
    assert sentences(checkpoint(quantized(PROJECTIONS[0], held), claim=INT4)) == ()


def test_missing_scales() -> None:
    """Quantized numbers without scales cannot be turned back into weights."""
    (said,) = sentences(checkpoint(quantized(PROJECTIONS[0], replace(HELD, scaled=False))))
    assert said == f"{PROJECTIONS[0]} is quantized, but the files hold no scales for it"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ones": 64}, "weight scales are all one, as if nothing had been scaled: "),
        ({"zeros": 64}, "scales are all zero: "),
        ({"not_finite": 1}, "scales are NaN or infinite: "),
    ],
)
def test_bad_scales(wrong: dict[str, int], said: str) -> None:
    """Scales that are all one, all zero, or in one place NaN are named by their tensor."""
    bad = scales(PROJECTIONS[0], **wrong)
    layers = [quantized(PROJECTIONS[0], HELD, bad), *map(quantized, PROJECTIONS[1:])]
    assert sentences(checkpoint(*layers)) == (f"{said}{bad.name}",)


@pytest.mark.parametrize("some", [{"ones": 63}, {"zeros": 63}])
def test_some_ones_and_zeros_are_no_contradiction(some: dict[str, int]) -> None:
    """Dead channels have a scale of zero, and one is a number like others."""
    bad = scales(PROJECTIONS[0], **some)
    assert sentences(checkpoint(quantized(PROJECTIONS[0], HELD, bad))) == ()


def test_one_scale_per_tensor() -> None:
    """A single scale may be one by chance; those of all layers may not."""
    per_tensor = [scales(name, count=1, ones=1) for name in PROJECTIONS]
    sound = scales(PROJECTIONS[3], count=1)
    layers = [quantized(name, HELD, at) for name, at in zip(PROJECTIONS, per_tensor, strict=True)]
    assert len(sentences(checkpoint(*layers))) == 1
    layers[3] = quantized(PROJECTIONS[3], HELD, sound)
    assert sentences(checkpoint(*layers)) == ()


def test_scales_of_inputs_may_be_one() -> None:
    """Activations scaled by one are common; NaN is not."""
    fine = replace(scales(PROJECTIONS[0], count=2, ones=2), of_inputs=True)
    weight = scales(PROJECTIONS[0])
    assert sentences(checkpoint(quantized(PROJECTIONS[0], HELD, weight, fine))) == ()
    broken = replace(fine, ones=0, not_finite=1)
    assert sentences(checkpoint(quantized(PROJECTIONS[0], HELD, weight, broken))) != ()


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("model.embed_tokens", "embeddings"),
        ("transformer.wte", "embeddings"),
        ("model.layers.3.self_attn.q_proj", "attention"),
        ("model.layers.3.self_attn.q_norm", "norms"),
        ("model.layers.3.input_layernorm", "norms"),
        ("transformer.h.0.ln_1", "norms"),
        ("model.layers.3.mlp.experts.7.down_proj", "mlp"),
        ("model.layers.3.block_sparse_moe.experts.0.w1", "mlp"),
        ("lm_head", "lm_head"),
        ("model.layers.3.mamba.in_proj", "other"),
    ],
)
def test_kinds_of_layers(module: str, kind: str) -> None:
    """The kind of a layer is read from its name, norms inside attention being norms."""
    assert kind_of(module) == kind


def test_routers_are_not_projections() -> None:
    """``gate`` chooses between experts; ``gate_proj`` is a matrix to quantize."""
    assert is_router("model.layers.1.mlp.gate")
    assert not is_router("model.layers.1.mlp.gate_proj")


@pytest.mark.parametrize(
    ("entry", "exact", "named"),
    [
        ("model.layers.0.mlp.up_proj", True, True),
        ("layers.0.mlp.up_proj", True, True),
        ("mlp", True, False),
        ("mlp", False, True),
        ("up", False, False),
        ("model.layers.*.mlp", False, True),
        (r"re:.*mlp\..*", True, True),
        (r"re:mlp", True, False),
    ],
)
def test_entries_of_ignore_lists(entry: str, exact: bool, named: bool) -> None:
    """Whole names and patterns in compressed-tensors, parts of names and ``*`` elsewhere."""
    claim = replace(FP8, ignore=(entry,), exact=exact)
    assert ignored(claim, "model.layers.0.mlp.up_proj") is named


def test_bits_per_weight_count_the_scales() -> None:
    """4,096 values in 4,224 bytes are 8.25 bits each."""
    assert SOUND.bits_per_weight(SOUND.quantized) == 8.25
    assert SOUND.bits_per_weight(()) == 0
