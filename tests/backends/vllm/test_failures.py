"""What vLLM's errors are turned into: real messages of vLLM 0.32."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantreg.backends.vllm.failures import cause, is_out_of_memory, not_started
from pytest_quantreg.core.errors import Category, Refusal, WrongUse
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.report.words import words_of

SPEC = ModelSpec("/models/m", "m", "w8a16-int8", "vllm", args={"max_model_len": 9})


class ValidationError(ValueError):
    """Called as pydantic's."""


OUTER = "Engine core initialization failed. See root cause above. Failed core proc(s): {}"
LOG = """\
(Worker_TP0 pid=12) ERROR 11-21 18:42:49 [multiproc.py:15] Traceback (most recent call last):
(Worker_TP0 pid=12) ERROR 11-21 18:42:49 [multiproc.py:15] ValueError: Available memory is little
(EngineCore pid=11) INFO 11-21 18:42:50 [core.py:402] shutting down
(EngineCore pid=11) ERROR 11-21 18:42:51 [core.py:1510] Exception: WorkerProc initialization failed
"""


@pytest.mark.parametrize(
    ("error", "category", "words"),
    [
        (
            ValueError("Failed to find a kernel that can implement the WNA16 linear layer."),
            Category.UNUSABLE_MODEL,
            "no kernel for it on this device",
        ),
        (
            RuntimeError("_C::static_scaled_fp8_quant() expected at most 0 argument(s)"),
            Category.UNUSABLE_MODEL,
            "no kernel for it on this device",
        ),
        (
            ValueError("No available memory for the cache blocks. Try increasing it."),
            Category.OUT_OF_MEMORY,
            "does not fit into memory",
        ),
        (
            ValidationError(
                "1 validation error for CacheConfig\ncache_dtype\n"
                "  Input should be 'auto' or 'fp8' [type=literal_error, input_value='x']"
            ),
            Category.WRONG_USE,
            "was given: cache_dtype: Input should be 'auto' or 'fp8'",
        ),
        (
            ValidationError(
                "1 validation error for ModelConfig\n"
                "  Value error, max_model_len is too large [type=value_error, input=..]"
            ),
            Category.WRONG_USE,
            "was given: max_model_len is too large",
        ),
        (KeyError("lm_head"), Category.ENGINE, "vLLM does not start: KeyError: 'lm_head'"),
    ],
    ids=["kernel", "operator", "memory", "choice", "value", "other"],
)
def test_categories(error: Exception, category: Category, words: str) -> None:
    """Each kind of failure is a refusal of its own, with vLLM's reason in it."""
    refusal = not_started(SPEC, error)
    assert isinstance(refusal, Refusal)
    assert refusal.category is category
    assert words in words_of(refusal.problem).what
    assert words_of(refusal.problem).what.startswith("m w8a16-int8")


def test_own_errors_pass() -> None:
    """What this package raised itself is not wrapped."""
    error = WrongUse("no such argument")
    assert not_started(SPEC, error) is error


def test_the_cause_of_another_process(tmp_path: Path) -> None:
    """Of an engine in a process of its own the cause is read from the log, not its echo."""
    log = tmp_path / "stderr"
    log.write_text(LOG, encoding="utf-8")
    with log.open("rb") as file:
        assert cause(RuntimeError(OUTER), file.fileno()) == "ValueError: Available memory is little"


def test_without_a_log_the_error_speaks_for_itself(tmp_path: Path) -> None:
    """Where nothing was logged, what vLLM raised is all there is."""
    log = tmp_path / "stderr"
    log.touch()
    with log.open("rb") as file:
        assert cause(RuntimeError(OUTER), file.fileno()).startswith("RuntimeError: Engine core")


def test_an_error_without_text() -> None:
    """Its type is all there is to say."""
    assert cause(RuntimeError()) == "RuntimeError"


def test_out_of_memory() -> None:
    """torch's own errors and vLLM's words both mean that less may help."""
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(ValueError("is less than desired GPU memory utilization (0.9)"))
    assert not is_out_of_memory(ValueError("unknown model"))
