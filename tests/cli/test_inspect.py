"""`quantreg inspect` as a person types it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_quantreg.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
FP8 = EXAMPLES / "checkpoints" / "w8a8-fp8"


def test_a_sound_checkpoint_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    """Kinds, scheme, ignore list, bits and kernels stand on a page of at most 80 columns."""
    assert main(["inspect", str(FP8), "--gpu", "A40"]) == 0
    page = capsys.readouterr().out
    assert page.startswith("w8a8-fp8: LlamaForCausalLM, 2,033,408 parameters,\n")
    rows = [" ".join(line.split()) for line in page.splitlines()]
    assert "attention 589,824 594.4 kB fp8 e4m3 per channel" in rows
    assert "embeddings 262,144 524.3 kB bf16" in rows
    assert "scheme w8a8-fp8" in rows
    assert "quantized 21 of 21 linear layers" in rows
    assert "left alone embeddings, norms" in rows
    assert "ignore list lm_head" in rows
    assert "activations fp8, scaled while running" in rows
    assert "Runs on A40, by the tables of `quantreg hardware`:" in rows
    assert any("weight-only fallback, as w8a16-fp8" in row for row in rows)
    assert rows[-1] == "No contradictions between config, tensors and scales."
    assert max(map(len, page.splitlines())) <= 80


def test_group_and_static_words(capsys: pytest.CaptureFixture[str]) -> None:
    """The page says how large groups are, and whether activations have scales in the files."""
    assert main(["inspect", str(EXAMPLES / "checkpoints" / "w4a16-int4-gptq")]) == 0
    assert "int4 in groups of 128" in capsys.readouterr().out
    static = EXAMPLES / "checkpoints" / "broken-w8a8-int8-foreign-calibration"
    assert main(["inspect", str(static)]) == 0
    assert "int8, with scales from the files" in capsys.readouterr().out


def test_full_precision_has_no_kernels_to_name(capsys: pytest.CaptureFixture[str]) -> None:
    """A model of which nothing is quantized is called by the type of its tensors."""
    assert main(["inspect", str(EXAMPLES / "tiny-llama")]) == 0
    page = capsys.readouterr().out
    assert "scheme        bf16\n" in page
    assert "21 linear layers" in page
    assert "Runs on" not in page


def test_a_contradiction_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """bf16 tensors under a config that says FP8 are named, with exit status 1."""
    folder = tmp_path / "fake"
    shutil.copytree(FP8, folder)
    shutil.copyfile(EXAMPLES / "tiny-llama" / "model.safetensors", folder / "model.safetensors")
    assert main(["inspect", str(folder)]) == 1
    page = capsys.readouterr().out
    assert "scheme        bf16\nconfig says   w8a8-fp8" in page
    assert "1 contradiction:\n  - config.json says w8a8-fp8, but none of the 21" in page


def test_unreadable_input_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Torn weights are one line of what and one of the way out on standard error."""
    shutil.copytree(FP8, tmp_path / "torn")
    path = tmp_path / "torn" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1024])
    assert main(["inspect", str(tmp_path / "torn")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("quantreg inspect: torn: model.safetensors is torn:")
    assert "copy or download the file again" in printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["./nowhere"], "there is no folder nowhere"),
        ([str(FP8), "--gpu", "H1000"], "--gpu=H1000: no known accelerator"),
    ],
)
def test_wrong_input_exits_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is not there and an unknown accelerator end before anything is printed."""
    assert main(["inspect", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err


def test_a_scheme_without_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A quantization that has no name here is described, and no kernel is claimed for it."""
    folder = tmp_path / "other"
    shutil.copytree(FP8, folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "quark"}
    (folder / "config.json").write_text(json.dumps(config))
    assert main(["inspect", str(folder)]) == 0
    page = capsys.readouterr().out
    assert "quark (not a known scheme)" in page
    assert "The scheme is none that the tables of kernels know." in page


def test_long_ignore_lists_are_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a list that names hundreds of layers the first are shown, the others counted."""
    folder = tmp_path / "long"
    shutil.copytree(FP8, folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["ignore"] = ["lm_head", *(f"visual.{at}" for at in range(100))]
    (folder / "config.json").write_text(json.dumps(config))
    assert main(["inspect", str(folder)]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "ignore list lm_head, visual.0," in page
    assert "visual.6, 93 more bits" in page


@pytest.mark.parametrize("gpu", [[], ["--gpu", "H100"]])
def test_inspecting_needs_no_torch(gpu: list[str]) -> None:
    """Neither the files nor the device at hand are asked for through an engine."""
    code = (
        "import sys; from pytest_quantreg.cli import main; main(sys.argv[1:]); "
        "print(sorted({'torch', 'transformers', 'safetensors', 'lm_eval'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "inspect", str(FP8), *gpu],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
