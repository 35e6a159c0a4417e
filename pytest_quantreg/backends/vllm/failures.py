"""What vLLM's errors mean: out of memory, no kernel, arguments it does not take."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator

from ...core.codes import EngineCode
from ...core.errors import QuantregError, Refusal
from ...core.facts import Quoted, Scheme
from ...core.records.run import ModelSpec
from ...core.secret_values import without_secrets
from ..out_of_memory import is_out_of_memory as no_memory_left

_MEMORY = (
    "less than desired CPU memory utilization",
    "less than desired GPU memory utilization",
    "is less than requested memory for kv",
    "No available memory for the cache blocks",
    "larger than the available KV cache memory",
    "KV cache is needed",
    "out of memory",
)
_KERNEL = (
    "Failed to find a kernel",
    "No compatible",
    "is not supported for the current GPU",
    "Minimum capability",
    "requires compute capability",
    "not supported on the current platform",
)
_OPERATOR = re.compile(r"\b_C\w*::\w+|Could not run '|no attribute '\w+' .*_C")
_ELSEWHERE = re.compile(r"root cause above|initialization failed|Engine core|EngineDead")
_ERROR_LINE = re.compile(r"^(?:\S+ )*?(?:\[[^\]]+\] )?\s*((?:\w+\.)*\w*(?:Error|Exception): .+)$")
_TAIL = 1 << 16
_LONGEST = 240


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of vLLM means too little memory for what was asked."""
    return no_memory_left(error) or any(words in str(error) for words in _MEMORY)


def not_started(spec: ModelSpec, error: Exception) -> QuantregError:
    """The refusal of a model with which vLLM does not start, its real cause in one line."""
    if isinstance(error, QuantregError):
        return error
    text = cause(error)
    model, scheme, reason = spec.name, Scheme(spec.scheme), Quoted(text)
    if is_out_of_memory(error) or any(words in text for words in _MEMORY):
        return Refusal(EngineCode.VLLM_OUT_OF_MEMORY, model=model, scheme=scheme, reason=reason)
    if any(words in text for words in _KERNEL) or _OPERATOR.search(text):
        return Refusal(EngineCode.NO_KERNEL_HERE, model=model, scheme=scheme, reason=reason)
    if type(error).__name__ == "ValidationError":  # of pydantic, which is not ours to import
        args = sorted(spec.args.items())
        return Refusal(
            EngineCode.VLLM_ARGUMENTS_REJECTED,
            model=model,
            scheme=scheme,
            reason=reason,
            given=tuple(f"{key}={without_secrets(value, key)}" for key, value in args),
        )
    return Refusal(EngineCode.VLLM_DOES_NOT_START, model=model, scheme=scheme, reason=reason)


def cause(error: BaseException, stderr: int = 2) -> str:
    """The line that says what went wrong.

    Of an engine in a process of its own vLLM only says that it failed; the cause is then the
    last error that this process wrote to stderr, where that is a file.
    """
    kind, reason = type(error).__name__, _reason_in(str(error))
    if kind != "ValidationError" or not reason:
        reason = f"{kind}: {reason}" if reason else kind
    if not _ELSEWHERE.search(str(error)):
        return reason[:_LONGEST]
    logged = [line for line in _logged(stderr) if not _ELSEWHERE.search(line)]
    return (logged[-1] if logged else reason)[:_LONGEST]


def _reason_in(text: str) -> str:
    """Return the line with the reason of a longer report, such as pydantic's; empty without one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for before, line in zip(["", *lines], lines, strict=False):
        reason = line.partition(" [type=")[0]
        if reason.startswith("Value error, "):
            return reason.removeprefix("Value error, ")
        if reason.startswith("Input should be"):
            return f"{before}: {reason}"
    if len(lines) > 1 and lines[0].endswith(":"):
        return f"{lines[0]} {lines[1]}"
    return lines[0] if lines else ""


def _logged(stderr: int) -> Iterator[str]:
    try:
        status = os.fstat(stderr)
        if not stat.S_ISREG(status.st_mode):
            return
        text = os.pread(stderr, _TAIL, max(status.st_size - _TAIL, 0)).decode(errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        if (match := _ERROR_LINE.match(line.strip())) is not None:
            yield match.group(1)
