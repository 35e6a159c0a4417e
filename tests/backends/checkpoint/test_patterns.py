"""Patterns, numbers and names of a downloaded config.json that could hang whoever reads them."""

from __future__ import annotations

import contextlib
import json
import re
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.checkpoint import patterns
from pytest_quantreg.backends.checkpoint.claimed_layers import scheme_in_folder
from pytest_quantreg.backends.checkpoint.folder import read_config, tensors
from pytest_quantreg.backends.checkpoint.headers import inspect
from pytest_quantreg.backends.checkpoint.patterns import slow_on_names, slow_pattern
from pytest_quantreg.core.schemes.inspection import Claim, ignored
from pytest_quantreg.report.words import words_of

from ...wording import refused
from .test_headers import write

EVERYDAY = (
    r".*lm_head",
    r"model\.layers\.(0|1)\..*",
    r".*(q|k|v)_proj$",
    r"^model\.vision.*",
    r".*self_attn.*",
    r"^(?!.*(q_proj|k_proj)).*$",
    r"(?i).*LM_HEAD.*",
    r"model\.layers\.[0-9]+\.mlp\.(gate|up|gate_up|down)_proj$",
    r".*layers\.\d+\..*\.experts\.\d+\..*",
    r".*(self_attn|mlp)\.(shared_)?(gate|up|gate_up|down)_proj.*",
    r"^((?!lm_head|embed).)*$",
    r"(\w+\.)+lm_head",
    r".*q_proj|.*k_proj|.*v_proj|.*o_proj",
    r"model.layers.*mlp.*experts.*up_proj.*",
)

ENDLESS = (
    r"(a+)+$",
    r"(\w+\.?)+x",
    r"(.*a){20}",
    r"(a|a)*b",
    r"(a|ab|b)*c",
    r"(?i)([a-z]+A)+b",
    r".*.*.*.*.*.*x",
    r"(.*)\1",
    r"((a{0,9}){0,9}){0,9}b",
    "a?" * 30 + "a" * 30,
    r"(?=(a+)+)b",
    "a" * 3_000,
    "(" * 2_000,
)
"""Each takes exponentially, or by a high power, more steps on a longer name."""

LINEAR = ("BF16", (4, 4), b"\0" * 32)


def checkpoint(folder: Path, **said: Any) -> Path:
    """A compressed-tensors checkpoint whose tensors' names are made for bad patterns."""
    weights = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
    group = {"targets": ["Linear"], "weights": weights}
    config = {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}, **said}
    return write(folder, {f"model.layers.0.{'a' * 40}!.weight": LINEAR}, config)


@pytest.mark.parametrize("pattern", EVERYDAY)
def test_everyday_patterns_are_taken(pattern: str) -> None:
    """What published checkpoints hold is no danger."""
    names = [f"model.layers.{n}.mlp.experts.{n}.up_proj" for n in range(200)]
    assert slow_pattern(pattern) is None
    assert slow_on_names([pattern], names) is None


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_never_ends_is_not_run(pattern: str) -> None:
    """Python's re has no time limit, so that such a pattern is refused by what it is made of."""
    with contextlib.suppress(re.error):
        assert slow_pattern(pattern) is not None


@pytest.mark.parametrize(
    "said",
    [
        {"ignore": [r"re:.*(a+)+$"]},
        {"config_groups": {"g": {"targets": [r"re:.*(a+)+$"], "weights": {"num_bits": 8}}}},
        {"quant_method": "gptq", "bits": 4, "dynamic": {r"-:.*(a+)+$": {}}},
        {"quant_method": "auto-round", "bits": 4, "extra_config": {r".*(a+)+$": {"bits": 8}}},
        {"quant_method": "fp8", "modules_to_not_convert": [r".*(a+)+$"]},
    ],
)
def test_a_pattern_in_a_downloaded_config_hung(tmp_path: Path, said: dict[str, Any]) -> None:
    """Wherever an engine would run it, the checkpoint is refused before anything does."""
    folder = checkpoint(tmp_path / "bad", **said)
    began = time.monotonic()
    for reads in (lambda: inspect(str(folder)), lambda: scheme_in_folder(folder, "bad")):
        with refused("may take forever on some names"):
            reads()
    assert time.monotonic() - began < 5


def test_descriptions_are_no_patterns(tmp_path: Path) -> None:
    """Text beside the lists may hold anything, and globs are not regular expressions."""
    folder = checkpoint(
        tmp_path / "good",
        recipe="(a+)+ * b * c * d * e * f * g * h",
        ignore=["*lm_head*", "model.layers.*.mlp.gate", "lm_head"],
    )
    assert inspect(str(folder)).claim.ignore is not None


def test_many_slow_matches_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns that are each bounded are timed on the model's own names."""
    monkeypatch.setattr(patterns, "SECONDS", 0.0)
    slow = slow_on_names([r".*lm_head"], ["one", "two"])
    assert slow is not None
    assert "take more than 0 s on 2 names" in words_of(slow).what
    slow = slow_on_names([r".*a.*b.*c.*d"], ["a" * 500])
    assert slow is not None
    assert "on its longest name" in words_of(slow).what


def test_a_glob_with_many_stars_hung() -> None:
    """Stars are looked for one after the other, once each."""
    claim = Claim("w8a8-fp8", "fp8", (), ("a*" * 40 + "b", "model.*.gate"), exact=False)
    began = time.monotonic()
    assert not ignored(claim, "a" * 200)
    assert ignored(claim, "model.layers.3.gate.weight")
    assert not ignored(claim, "vision.up_proj")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "entries",
    [
        {"num_hidden_layers": 10**9},
        {"n_layer": 10**9},
        {"num_local_experts": 10**9},
        {"text_config": {"num_hidden_layers": 10**12}},
    ],
)
def test_a_billion_layers_filled_the_memory(tmp_path: Path, entries: dict[str, Any]) -> None:
    """transformers makes a list as long as config.json says; no model has so many."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2", **entries}))
    with refused(r"says \w+ = 1,000,000,[0,]+, which no model has"):
        read_config(tmp_path, "odd")


def test_other_large_numbers_are_left_alone(tmp_path: Path) -> None:
    """Widths, tokens and lengths are large in sound models."""
    config = {"vocab_size": 262_144, "expert_intermediate_size": 28_672, "num_hidden_layers": 126}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_config(tmp_path, "sound") == config


@pytest.mark.parametrize("shape", [[10**4000, 0], [1] * 100_000])
def test_a_shape_of_huge_numbers_is_torn(tmp_path: Path, shape: list[int]) -> None:
    """A header may hold any numbers: the product of many is as long as all of them."""
    header = json.dumps({"w": {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with refused("is torn"):
        tensors(path, "odd")
