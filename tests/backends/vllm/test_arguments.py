"""What vLLM is started with, from what a user gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.vllm.arguments import (
    EXTENSION,
    KV_CACHE_BYTES,
    engine_arguments,
    environment,
    prompt_arguments,
)
from pytest_quantreg.backends.vllm.backend import refuse_unchecked_files
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.report.words import words_of

from ...wording import refused, wrong_use

KNOWN = (
    *("tensor_parallel_size", "kv_cache_dtype", "gpu_memory_utilization", "max_model_len"),
    *("enforce_eager", "dtype", "seed", "load_format", "worker_cls", "quantization"),
)


def arguments(
    scheme: str = "native", *, cpu: bool = False, space: bool = False, **args: Any
) -> dict[str, Any]:
    """The keywords of the LLM for a model at ``scheme`` with these arguments."""
    spec = ModelSpec("/models/m", "m", scheme, "vllm", args=args)
    return engine_arguments(spec, "/models/m", KNOWN, cpu=cpu, kv_space=space)


def test_arguments_go_to_the_engine() -> None:
    """Engine arguments are handed on as they are, with what the backend needs itself."""
    keywords = arguments(tensor_parallel_size=4, gpu_memory_utilization=0.8)
    assert keywords == {
        "model": "/models/m",
        "seed": 1234,
        "trust_remote_code": False,
        "tensor_parallel_size": 4,
        "gpu_memory_utilization": 0.8,
        # The files that were checked, whatever else is in the folder.
        "config_format": "hf",
        "load_format": "safetensors",
        "worker_extension_cls": EXTENSION,
    }


def test_unknown_names_are_refused_with_the_nearest() -> None:
    """A slip of the pen names what was meant."""
    with wrong_use("no engine argument 'tensor_paralel_size'") as caught:
        arguments(tensor_paralel_size=4)
    assert words_of(caught.value.problem).help == ("nearest: tensor_parallel_size",)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hf_overrides", "something else than the files"),
        ("load_format", "something else than the files"),
        ("weight_transfer_config", "something else than the files"),
        ("logprobs_mode", "how answers are scored"),
        ("kv_transfer_config", "how answers are scored"),
        ("watermark_config", "how answers are scored"),
        ("worker_cls", "set by the backend"),
    ],
)
def test_arguments_that_change_what_is_measured(name: str, words: str) -> None:
    """Arguments that load another model, or score it otherwise, are refused."""
    given: dict[str, Any] = {name: "x"}
    with wrong_use(words):
        arguments(**given)


@pytest.mark.parametrize("name", ["hf_token", "token"])
def test_a_token_is_refused_without_being_repeated(name: str) -> None:
    """Arguments are stored with baselines and printed where they differ; a token must not be."""
    given: dict[str, Any] = {name: "hf_secret"}
    with wrong_use("HF_TOKEN") as caught:
        arguments(**given)
    assert "hf_secret" not in str(caught.value)


def test_lossy_speculation_is_refused() -> None:
    """A draft that is believed unseen would answer for the model; a checked one may speed it up."""
    names = (*KNOWN, "speculative_config")
    for method, fine in (("synthetic", False), ("standard", True)):
        config: Any = {"model": "/models/m", "rejection_sample_method": method}
        spec = ModelSpec("/m", "m", "w8a8-fp8", "vllm", args={"speculative_config": config})
        if fine:
            keywords = engine_arguments(spec, "/m", names, cpu=False, kv_space=False)
            assert keywords["speculative_config"] == config
            continue
        with wrong_use("synthetic acceptance"):
            engine_arguments(spec, "/m", names, cpu=False, kv_space=False)


def test_arguments_of_the_evaluation_stay_behind() -> None:
    """batch_size and add_bos_token are lm-eval's; max_length is vLLM's max_model_len."""
    keywords = arguments(batch_size=8, add_bos_token=True, max_length=512)
    assert keywords["max_model_len"] == 512
    assert not {"batch_size", "add_bos_token", "max_length"} & keywords.keys()


def test_one_name_for_the_length() -> None:
    """Both names of the length reach the prompts as one; both at once are refused."""
    assert prompt_arguments({"max_model_len": 512}) == {"max_length": 512}
    assert prompt_arguments({"max_length": 512, "add_bos_token": False}) == {
        "max_length": 512,
        "add_bos_token": False,
    }
    with wrong_use("two names of one thing"):
        prompt_arguments({"max_model_len": 512, "max_length": 256})


@pytest.mark.parametrize("value", ["abc", "8k", -1, 1, 512.0, True])
def test_a_length_is_a_number_of_tokens(value: Any) -> None:
    """Anything else is wrong use under the name that was typed, not another tokenizer."""
    with wrong_use(f"max_model_len={value}: allowed is a whole number"):
        prompt_arguments({"max_model_len": value})


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "fp8"), ({"kv_cache_dtype": "fp8_e5m2"}, "fp8_e5m2")]
)
def test_kv_cache_of_the_scheme(given: dict[str, Any], expected: str) -> None:
    """+kv-fp8 asks vLLM for it unless the user asks for another type."""
    assert arguments("w8a8-fp8+kv-fp8", **given)["kv_cache_dtype"] == expected
    assert "kv_cache_dtype" not in arguments("w8a8-fp8")


def test_kv_cache_size_on_a_cpu() -> None:
    """A CPU engine takes one GiB for its cache unless somebody says otherwise."""
    assert arguments(cpu=True)["kv_cache_memory_bytes"] == KV_CACHE_BYTES
    assert "kv_cache_memory_bytes" not in arguments(cpu=True, space=True)
    assert "kv_cache_memory_bytes" not in arguments(cpu=True, gpu_memory_utilization=0.5)
    assert "kv_cache_memory_bytes" not in arguments()


def test_environment() -> None:
    """vLLM reports nothing to anybody; on a CPU the engine is in the process that loads it."""
    assert environment({}, cpu=False) == {"VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    assert environment({}, cpu=True)["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    parallel = environment({"tensor_parallel_size": 2, "enforce_eager": True}, cpu=True)
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in parallel
    assert parallel["TORCHDYNAMO_DISABLE"] == "1"


def test_files_beside_the_checked_ones(tmp_path: Path) -> None:
    """Without an index vLLM loads every safetensors file, the last over the first."""
    (tmp_path / "model.safetensors").touch()
    refuse_unchecked_files(tmp_path, "m")
    (tmp_path / "zzz.safetensors").touch()
    with refused(r"would load zzz\.safetensors over model\.safetensors"):
        refuse_unchecked_files(tmp_path, "m")
    (tmp_path / "model.safetensors.index.json").touch()
    refuse_unchecked_files(tmp_path, "m")
