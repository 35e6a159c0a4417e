"""The parts of the llama.cpp backend that need no llama.cpp: arguments, batches, its log."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantreg.backends.llamacpp.arguments import ARGUMENTS, check_arguments
from pytest_quantreg.backends.llamacpp.batches import Row, batches, row_of
from pytest_quantreg.backends.llamacpp.effective import machine
from pytest_quantreg.backends.llamacpp.log_capture import LogCapture
from pytest_quantreg.backends.llamacpp.quantize import check_makes
from pytest_quantreg.core.codes import EngineCode
from pytest_quantreg.core.records.run import Json, ModelSpec
from pytest_quantreg.report.words import words_of

from ...wording import wrong_use


def spec(args: Mapping[str, Json], scheme: str = "gguf-q8_0") -> ModelSpec:
    """A model with these arguments."""
    return ModelSpec("model.gguf", "model", scheme, "llamacpp", args=args)


def test_known_arguments_pass() -> None:
    """One good value of each."""
    good: dict[str, Json] = {"type_k": "q8_0", "type_v": "f16", "split_mode": "row"}
    truths = (EngineCode.MUST_BE_BOOLEAN, EngineCode.MUST_BE_FLASH_ATTENTION)
    for name, argument in ARGUMENTS.items():
        value = good.get(name, True if argument.rule.code in truths else 2)
        check_arguments(spec({name: value}))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("n_threads", 0, "allowed is a whole number, 1 or more"),
        ("n_threads", True, "allowed is a whole number, 1 or more"),
        ("n_gpu_layers", -2, "allowed is a whole number, -1 for all layers"),
        ("type_v", ["f16"], "allowed is f32, f16"),
        ("flash_attn", "on", "allowed is auto, true or false"),
        ("n_thread", 2, "has no n_thread; did you mean n_threads?"),
        ("tensor_parallel_size", 2, "has no tensor_parallel_size"),
        ("lora_path", "x", "this is part of the model"),
        ("yarn_orig_ctx", 1, "this is part of the model"),
    ],
)
def test_wrong_arguments_are_named(name: str, value: Json, said: str) -> None:
    """The argument, its value and what is allowed stand in the first line."""
    with wrong_use() as caught:
        check_arguments(spec({name: value}))
    assert words_of(caught.value.problem).what.startswith(f"--quant-backend-arg={name}={value}: ")
    assert said in words_of(caught.value.problem).what


def test_caches_that_llamacpp_lacks() -> None:
    """An fp8 cache, and quantized values without flash attention, are refused."""
    with wrong_use("no fp8 KV cache"):
        check_arguments(spec({}, "gguf-q8_0+kv-fp8"))
    with wrong_use("needs flash attention"):
        check_arguments(spec({"type_v": "q8_0", "flash_attn": False}))


def test_what_is_made() -> None:
    """Two schemes without data, unquantized ones as they are; others say what to give."""
    for scheme in ("gguf-q8_0", "gguf-q4_k_m", "fp16"):
        check_makes(scheme)
    for scheme in ("w8a8-int8", "bnb-nf4", "gguf-q8_0+kv-fp8"):
        with wrong_use():
            check_makes(scheme)


ROWS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 2), min_size=1, max_size=6),
        st.lists(st.integers(0, 2), max_size=4),
        st.integers(1, 4),
    ),
    max_size=8,
)


@given(ROWS, st.integers(1, 5), st.booleans())
def test_batches_hold_every_row_once(
    parts: list[tuple[list[int], list[int], int]], sequences: int, share: bool
) -> None:
    """Each row's tokens lie under its own sequence, in order, and each target is due once."""
    rows = [row_of(c, t, 12) for c, t, times in parts for _ in range(times)]
    seen: list[int] = []
    for batch in batches(rows, sequences=sequences, capacity=14, share=share):
        assert len(batch.rows) <= sequences
        assert len(batch.entries) <= 14
        seen += batch.rows
        for place, number in enumerate(batch.rows):
            entries = [entry for entry in batch.entries if place in entry.sequences]
            assert tuple(entry.token for entry in entries) == rows[number].inputs
            assert [entry.position for entry in entries] == list(range(len(entries)))
            due = {
                target: batch.entries[at]
                for at, wanted in batch.due.items()
                for row, target in wanted
                if row == number
            }
            # The logits of an input are due for the token that follows it.
            assert sorted(due) == list(range(len(rows[number].targets)))
            assert all(
                entry.position == rows[number].first + target for target, entry in due.items()
            )
        assert all(entry.wanted == (at in batch.due) for at, entry in enumerate(batch.entries))
    assert seen == list(range(len(rows)))


def test_choices_share_their_question() -> None:
    """Four choices of one context are as many tokens as the context and what differs."""
    rows = [row_of([1, 2, 3, 4], [5, last, 9], 64) for last in (6, 7, 8)]
    (batch,) = batches(rows, sequences=8, capacity=64, share=True)
    assert len(batch.entries) == 5 + 3
    assert Counter(len(entry.sequences) for entry in batch.entries) == {3: 5, 1: 3}
    (whole,) = batches(rows, sequences=8, capacity=64, share=False)
    assert len(whole.entries) == 3 * 6


def test_rows_keep_their_end() -> None:
    """What is longer than the model's context loses its beginning, as in lm-eval."""
    assert row_of([1, 2, 3], [4, 5], 9) == Row((1, 2, 3, 4), (4, 5))
    assert row_of([1, 2, 3], [4, 5], 3) == Row((2, 3, 4), (4, 5))
    assert row_of([1], [2, 3, 4, 5], 2) == Row((3, 4), (4, 5))


def test_the_log_tells_where_weights_lie() -> None:
    """Buffers and devices are read from llama.cpp's own words."""
    log = LogCapture()
    for line in (
        "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA A40) (0000:01:00.0) - 45 MiB",
        "load_tensors:        CUDA0 model buffer size =  4095.05 MiB",
        "load_tensors:   CPU_Mapped model buffer size =   281.81 MiB",
    ):
        log.note(2, line.encode())
    log.note(4, b"llama_model_load: error loading model: tensor 'x' has invalid data\n")
    log.note(4, b"llama_model_load_from_file_impl: failed to load model\n")
    assert log.buffers == {"CUDA0": 4095.05, "CPU_Mapped": 281.81}
    assert log.first_error == "error loading model: tensor 'x' has invalid data"
    device = machine(log)
    assert (device.kind, device.accelerator, device.count) == ("cuda", "NVIDIA A40", 1)
    assert machine(LogCapture()).kind == "cpu"


def test_naming_the_backend_imports_no_engine() -> None:
    """Neither llama.cpp nor the readers of its files are imported until a model is looked at."""
    code = (
        "import sys, pathlib; from pytest_quantreg.backends import find\n"
        "assert find('llamacpp', cache_dir=pathlib.Path('x')).name == 'llamacpp'\n"
        "print(sorted({'llama_cpp', 'gguf', 'torch', 'lm_eval', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
