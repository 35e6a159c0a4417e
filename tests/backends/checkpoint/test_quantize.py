"""Checkpoints quantized on the fly: made once, kept whole, refused early."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.checkpoint import quantize
from pytest_quantreg.backends.checkpoint.quantize_process import NOTHING_TO_QUANTIZE
from pytest_quantreg.backends.checkpoint.recipe import AT_LOAD, DATA_FREE, recipe, recipe_in_words
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.errors import Category, MissingExtra
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.schemes.names import resolve

from ...wording import refused, says, wrong_use

Spec = Callable[..., ModelSpec]


@pytest.fixture
def runs(made: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for llm-compressor's process, which takes seconds, with what it made before."""
    started: list[str] = []

    def run(making: Any, target: Path) -> None:
        started.append(making.spec.scheme)
        shutil.copytree(made[making.spec.scheme.removesuffix("-rtn")], target)

    monkeypatch.setattr(quantize, "_run", run)
    return started


def spec_to_make(tiny: Path, scheme: str = "w8a8-int8") -> ModelSpec:
    """The tiny model, to be quantized on the fly."""
    return ModelSpec(str(tiny), "tiny", scheme, "transformers", quantize=True)


def test_makes_a_checkpoint_once(
    backend: TransformersBackend, tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The first run says what it makes, in a process of its own; the second finds it."""
    lines: list[str] = []
    made = backend.prepare(spec_to_make(tiny), lines.append)
    assert lines == [
        "quantizing tiny to w8a8-int8: int8 per channel weights rounded to nearest, "
        "int8 per token, dynamic activations"
    ]
    assert capfd.readouterr() == ("", "")
    assert "llmcompressor" not in sys.modules
    assert (made.name, made.scheme, made.quantize) == ("tiny", "w8a8-int8", False)
    cache = tmp_path / "cache"
    assert TransformersBackend(cache_dir=cache).prepare(spec_to_make(tiny), lines.append) == made
    assert len(lines) == 1
    base, copy = backend.identify(spec_to_make(tiny)), backend.identify(made)
    assert replace(copy, weights_digest="") == replace(base, weights_digest="")
    effective = backend.load(made).effective
    assert (effective.scheme, effective.quantized_layers) == ("w8a8-int8", 14)
    assert [path.name for path in cache.iterdir()] == [Path(made.ref).name]


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "quantreg.json"])
@pytest.mark.slow
def test_torn_entries_are_made_again(
    backend: TransformersBackend, tiny: Path, runs: list[str], file: str
) -> None:
    """A cut or altered file in the cache is noticed and the checkpoint is made anew."""
    made = backend.prepare(spec_to_make(tiny), lambda line: None)
    path = Path(made.ref) / file
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if file == "quantreg.json" else whole[:-1] + b"?")
    assert backend.prepare(spec_to_make(tiny), lambda line: None) == made
    assert runs == ["w8a8-int8", "w8a8-int8"]
    assert path.read_bytes()[-1:] == whole[-1:]
    assert backend.load(made).effective.quantized_layers == 14


def test_other_weights_or_recipes_are_other_entries(
    backend: TransformersBackend,
    tiny: Path,
    llama: Callable[..., Path],
    tmp_path: Path,
    runs: list[str],
) -> None:
    """The key covers the weights and what is done to them, not the method's name."""
    first = backend.prepare(spec_to_make(tiny), lambda line: None)
    same = backend.prepare(spec_to_make(tiny, "w8a8-int8-rtn"), lambda line: None)
    weights_only = backend.prepare(spec_to_make(tiny, "w8a16-int8-rtn"), lambda line: None)
    other = llama(tmp_path / "tiny", seed=1)
    second = backend.prepare(spec_to_make(other), lambda line: None)
    assert same.ref == first.ref
    assert len({first.ref, weights_only.ref, second.ref}) == 3
    assert runs == ["w8a8-int8", "w8a16-int8-rtn", "w8a8-int8"]


def test_hub_ids_make_one_folder(
    backend: TransformersBackend, tiny: Path, tmp_path: Path, runs: list[str]
) -> None:
    """A name with a slash is kept in the spec and spelt without in the cache."""
    made = backend.prepare(replace(spec_to_make(tiny), name="org/tiny"), lambda line: None)
    assert made.name == "org/tiny"
    assert Path(made.ref).parent == tmp_path / "cache"
    assert Path(made.ref).name.startswith("org--tiny-w8a8-int8-")


@pytest.mark.parametrize(
    ("widths", "size"), [((256, 512), 128), ((256, 192), 64), ((96, 192), 32), ((48, 96), 16)]
)
def test_groups_divide_the_layers(widths: tuple[int, ...], size: int) -> None:
    """int4 takes the largest usual group that divides every layer, and says so."""
    made = recipe(resolve("w4a16-int4"), [(100, width) for width in widths], "tiny")
    assert made["config_groups"]["group_0"]["weights"]["group_size"] == size
    assert f"int4 in groups of {size}" in recipe_in_words(made)
    with wrong_use("groups of 16"):
        recipe(resolve("w4a16-int4"), [(100, 100)], "tiny")


def test_blocks_that_do_not_divide_are_wrong_use(
    backend: TransformersBackend, llama: Callable[..., Path], tmp_path: Path
) -> None:
    """A block scheme on layers of other sizes would fail in the first forward."""
    folder = llama(tmp_path / "narrow", hidden=96)
    with wrong_use("blocks of 128") as caught:
        backend.prepare(spec_to_make(folder, "w8a8-fp8-block"), print)
    assert "w8a8-int8" in says(caught.value)


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        ("w4a16-int4-gptq", "gptq needs calibration data"),
        ("w4a16-int4-awq", "awq needs calibration data"),
        ("w8a8-int8-smoothquant", "smoothquant needs calibration data"),
        ("w8a8-fp8+kv-fp8", "KV cache need calibration data"),
        ("w4a4-nvfp4", "cannot be made here from the model"),
    ],
)
def test_schemes_that_need_data_are_wrong_use(
    backend: TransformersBackend, tiny: Path, scheme: str, message: str
) -> None:
    """They name the option that gives a checkpoint, before any file is looked at."""
    with wrong_use(message) as caught:
        backend.check_makes(scheme)
    assert f"--quant-checkpoint={scheme}=REF" in says(caught.value)
    with wrong_use(message):
        backend.prepare(spec_to_make(tiny, scheme), print)


def test_gguf_schemes_are_for_llama_cpp(backend: TransformersBackend) -> None:
    """No checkpoint helps here, so none is asked for: another backend is named."""
    with wrong_use("GGUF files") as caught:
        backend.check_makes("q8_0")
    assert "--quant-backend=llamacpp" in says(caught.value)
    assert "--quant-checkpoint" not in says(caught.value)


@pytest.mark.parametrize("scheme", [*DATA_FREE, *AT_LOAD, "w4a16-int4-rtn", "bf16", "native"])
def test_schemes_without_data_can_be_made(backend: TransformersBackend, scheme: str) -> None:
    """What needs no data passes the check that runs before collection."""
    backend.check_makes(scheme)


def test_quantized_models_are_not_quantized_again(
    backend: TransformersBackend, made: dict[str, Path]
) -> None:
    """A checkpoint given as the baseline is not a source of schemes."""
    with wrong_use(r"is quantized already \(w8a8-fp8\)"):
        backend.prepare(spec_to_make(made["w8a8-fp8"]), print)


@pytest.mark.parametrize(("scheme", "dtype"), [("fp32", "float32"), ("native", "bfloat16")])
def test_unquantized_schemes_are_loaded_in_their_type(
    backend: TransformersBackend, tiny: Path, scheme: str, dtype: str
) -> None:
    """--quant-scheme=fp32 makes nothing; it loads the same files in float32."""
    prepared = backend.prepare(spec_to_make(tiny, scheme), print)
    assert prepared.ref == str(tiny)
    assert str(backend.load(prepared).model.dtype) == f"torch.{dtype}"


def test_without_llm_compressor_the_extra_is_named(
    backend: TransformersBackend, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what needs the package and how to install it."""
    monkeypatch.setattr(quantize, "installed", {}.get)
    with pytest.raises(MissingExtra) as caught:
        backend.prepare(spec_to_make(tiny), print)
    assert 'pip install "pytest-quantreg[quantize]"' in says(caught.value)


@pytest.mark.parametrize(
    ("status", "printed", "said", "category"),
    [
        (1, "Traceback\nValueError: odd\n\n", "failed: ValueError: odd", Category.ENGINE),
        (7, "", "failed: exit status 7", Category.ENGINE),
        (-9, "", "failed: out of memory", Category.OUT_OF_MEMORY),
        (1, "torch: out of memory", "failed: out of memory", Category.OUT_OF_MEMORY),
        (NOTHING_TO_QUANTIZE, "", "the model has no linear layers", Category.ENGINE),
    ],
)
def test_how_the_maker_failed(
    status: int,
    printed: str,
    said: str,
    category: Category,
    backend: TransformersBackend,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exit status and the last line on stderr decide what a failure is."""
    process = subprocess.CompletedProcess([], status, "", printed)
    monkeypatch.setattr(quantize, "run_in_process", lambda *_: process)
    with refused(f"making w8a8-int8 of tiny.*{said}") as caught:
        backend.prepare(spec_to_make(tiny), lambda line: None)
    assert caught.value.category is category


@pytest.mark.slow
def test_failures_of_the_maker_are_one_line(
    backend: TransformersBackend, copy: Path, tmp_path: Path
) -> None:
    """What llm-compressor says last is shown, and nothing half-made stays in the cache."""
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "hidden_act": "no-such"}))
    with refused(r"making w8a8-int8 of tiny failed: .*no-such") as caught:
        backend.prepare(spec_to_make(copy), lambda line: None)
    assert caught.value.category is Category.ENGINE
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_wrong_use(tiny: Path, tmp_path: Path) -> None:
    """A file where the cache should be is named, with the way around it."""
    (tmp_path / "file").write_text("")
    backend = TransformersBackend(cache_dir=tmp_path / "file")
    with wrong_use("cannot be written") as caught:
        backend.prepare(spec_to_make(tiny), lambda line: None)
    assert "--quant-checkpoint=w8a8-int8=REF" in says(caught.value)


def test_a_process_that_came_first_wins(
    backend: TransformersBackend,
    tiny: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runs: list[str],
) -> None:
    """Two processes making the same checkpoint end with one whole copy and no error."""
    elsewhere = TransformersBackend(cache_dir=tmp_path / "elsewhere")
    ready = elsewhere.prepare(spec_to_make(tiny), lambda line: None)
    run, cache = quantize._run, tmp_path / "cache"

    def overtaken(making: Any, target: Path) -> None:
        run(making, target)
        shutil.copytree(ready.ref, cache / Path(ready.ref).name)

    monkeypatch.setattr(quantize, "_run", overtaken)
    made = backend.prepare(spec_to_make(tiny), lambda line: None)
    assert replace(made, ref="") == replace(ready, ref="")
    assert [path.name for path in cache.iterdir()] == [Path(ready.ref).name]
    assert len(runs) == 2
