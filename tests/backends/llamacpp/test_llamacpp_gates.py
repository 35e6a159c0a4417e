"""GGUF models through the whole plugin: recorded, made on the fly, gated, refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pytest_quantreg.backends.gguf.files import GgufFiles
from pytest_quantreg.backends.gguf.scheme import is_linear
from pytest_quantreg.backends.llamacpp import LlamacppBackend
from pytest_quantreg.core.records.run import ModelSpec

from .conftest import TINY, Suite

MakeSuite = Callable[..., Suite]

GATES = """
import pytest

@pytest.mark.min_retention(0.95)
@pytest.mark.parametrize("task", ["recall", "sum"])
def test_keeps(task, compare_accuracy):
    compare_accuracy(task, limit=400)

@pytest.mark.max_perplexity_ratio(1.05)
def test_keeps_perplexity(compare_accuracy):
    compare_accuracy("stories", limit=100)
"""

ONE = """
import pytest

@pytest.mark.min_retention(0.95)
def test_keeps(compare_accuracy):
    compare_accuracy("sum", limit=400)
"""

SPEED = """
import pytest

@pytest.mark.min_speedup(0.31)
@pytest.mark.max_memory(2, kind="weights")
def test_is_not_slow(compare_speed):
    compare_speed(batch_size=2, prompt_tokens=16, output_tokens=8, rounds=5, warmup=1)
"""


@pytest.fixture(scope="module")
def files(f16: Path, shared: Path) -> Callable[[str], Path]:
    """The file of a scheme, as the backend makes it from f16."""
    backend = LlamacppBackend(cache_dir=shared / "cache" / "checkpoints")

    def made(scheme: str) -> Path:
        spec = ModelSpec(str(f16), "tiny-llama", scheme, "llamacpp", quantize=True)
        return Path(backend.prepare(spec, lambda _: None).ref)

    return made


@pytest.fixture
def recorded(make_suite: MakeSuite, shared: Path) -> Path:
    """A store that holds the baseline of f16, recorded once."""
    store = shared / "baselines"
    if not store.is_dir():
        result = make_suite(GATES).run("--quant-update")
        assert result.status == 0, result.printed
        assert "3 recorded" in result.words
    return store


def test_files_made_on_the_fly_are_gated(recorded: Path, make_suite: MakeSuite) -> None:
    """q8_0 and q4_k_m of the example keep what is asked, and run as what they are called."""
    result = make_suite(GATES).run("--quant-scheme=q8_0,Q4_K_M")
    assert result.status == 0, result.printed
    assert "gguf-q8_0 against fp16" in result.words
    assert "runs as gguf-q8_0 (native); 21 of 21 linear layers quantized" in result.words
    assert "runs as gguf-q4_k_m (native)" in result.words
    assert result.words.count(" 3 kept required") == 2


def test_a_file_is_a_checkpoint(
    recorded: Path, make_suite: MakeSuite, files: Callable[[str], Path], tmp_path: Path
) -> None:
    """A file from elsewhere is compared with the f16 baseline, though it names no such type."""
    path = tmp_path / "from-elsewhere.gguf"
    shutil.copyfile(files("gguf-q4_k_m"), path)
    result = make_suite(ONE).run(f"--quant-checkpoint=gguf-q4_k_m={path}", "--quant-scheme=q4_k_m")
    assert result.status == 0, result.printed
    assert "1 kept" in result.words


def test_broken_weights_lose(
    recorded: Path, make_suite: MakeSuite, files: Callable[[str], Path], tmp_path: Path
) -> None:
    """A file whose scales were shifted by one row is red, on the scores alone."""
    path = tmp_path / "broken.gguf"
    shutil.copyfile(files("gguf-q8_0"), path)
    shift_scales(path)
    result = make_suite(ONE).run(f"--quant-checkpoint=gguf-q8_0={path}", "--quant-scheme=q8_0")
    assert result.status == 1
    assert "LOST gguf-q8_0 sum" in result.words


def shift_scales(path: Path) -> None:
    """Gives every row of the layers of a Q8_0 file the scales of the row before."""
    data = np.memmap(path, np.uint8, "r+")
    for tensor in GgufFiles().open(str(path)).tensors:
        if is_linear(tensor):
            blocks = data[tensor.start : tensor.start + tensor.size].reshape(
                tensor.shape[0], -1, 34
            )
            blocks[:, :, :2] = np.roll(blocks[:, :, :2], 1, axis=0)
    data.flush()


def test_files_that_are_something_else(
    recorded: Path, make_suite: MakeSuite, files: Callable[[str], Path], f16: Path
) -> None:
    """Another quantization, and none at all, are refused for what they are."""
    suite = make_suite(ONE)
    other = suite.run(f"--quant-checkpoint={files('gguf-q4_k_m')}", "--quant-scheme=gguf-q8_0")
    assert other.status == 1
    assert "is gguf-q4_k_m, and it is tested as gguf-q8_0" in other.words
    plain = suite.run(f"--quant-checkpoint={f16}", "--quant-scheme=gguf-q8_0")
    assert plain.status == 1
    assert "nothing in the checkpoint is quantized" in plain.words


def test_torn_files_are_refused(
    recorded: Path, make_suite: MakeSuite, files: Callable[[str], Path], tmp_path: Path
) -> None:
    """A file that ends early, and one that is none, are one clear line each."""
    torn, text = tmp_path / "torn.gguf", tmp_path / "text.gguf"
    torn.write_bytes(files("gguf-q8_0").read_bytes()[:-4096])
    text.write_text("no model at all", encoding="utf-8")
    suite = make_suite(ONE)
    for path, said in ((torn, "torn.gguf is torn: the data of"), (text, "is no GGUF file")):
        result = suite.run(f"--quant-checkpoint={path}", "--quant-scheme=gguf-q8_0")
        assert result.status == 1
        assert said in result.words
        assert "Traceback" not in result.printed


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("n_thread=2", "the llamacpp backend has no n_thread; did you mean n_threads?"),
        ("type_k=fp8", "allowed is f32, f16, bf16, q8_0"),
        ("rope_freq_base=5000", "this is part of the model"),
    ],
)
def test_wrong_arguments(recorded: Path, make_suite: MakeSuite, option: str, said: str) -> None:
    """An argument that llama.cpp does not have is named, with the nearest."""
    result = make_suite(ONE).run("--quant-scheme=q8_0", f"--quant-backend-arg=quantized:{option}")
    assert result.status != 0
    assert said in result.words


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ("gguf-q8_0+kv-fp8", "llama.cpp has no fp8 KV cache"),
        ("w8a8-fp8", "the llamacpp backend cannot make it"),
    ],
)
def test_schemes_that_are_not_made(
    recorded: Path, make_suite: MakeSuite, scheme: str, said: str
) -> None:
    """What llama.cpp does not make is refused before a model is loaded."""
    result = make_suite(ONE).run(f"--quant-scheme={scheme}")
    assert result.status != 0
    assert said in result.words
    assert "loaded:" not in result.words


def test_folders_are_told_how_to_convert(make_suite: MakeSuite, tmp_path: Path) -> None:
    """A Hugging Face folder given as the model names the command that makes a file of it."""
    suite = make_suite(ONE, model=TINY, baselines=tmp_path / "empty")
    result = suite.run("--quant-update")
    assert result.status == 1
    assert "tiny-llama is a folder without GGUF files" in result.words
    assert "convert_hf_to_gguf.py tiny-llama --outtype f16" in result.words


def test_speed_is_compared(make_suite: MakeSuite) -> None:
    """Both models answer in processes of their own, and weights are counted by llama.cpp."""
    result = make_suite(SPEED).run("--quant-scheme=gguf-q4_k_m", "--quant-limit=10")
    assert result.status == 0, result.printed
    assert "runs as gguf-q4_k_m" in result.words
