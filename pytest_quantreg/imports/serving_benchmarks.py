"""Timings that others measured: `vllm bench serve` and `throughput`, and GuideLLM."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.codes import ImportCode
from ..core.errors import Refusal
from ..core.records.run import Json
from ..core.records.timings import Repeat, Timings
from ..core.strict_json import CorruptFile
from .foreign_files import blaming, list_of, number_of, object_of, text_of, whole_of
from .lm_eval_results.protocol import NO_NAME, public_name

MILLISECONDS = 1000.0

MOST = 1e12
"""Of any figure: beyond it, and below its reciprocal, nobody measured anything."""

MOST_NAMES = 4
"""Of models or programs that an error lists."""

__all__ = ["Timings", "is_timing", "read_timings"]


@dataclass(frozen=True)
class _Form:
    """One program's files: how they are known, and how they are read."""

    name: str
    keys: frozenset[str]
    read: Callable[[Mapping[str, Any]], Iterator[Repeat]]


def is_timing(document: Json) -> bool:
    """Whether a JSON value is a file of timings."""
    return _form_of(document) is not None


def read_timings(label: str, documents: Sequence[tuple[Path, Json]]) -> Timings:
    """The timings in several files, each a repeat of its own.

    Raises Refusal for files of several models or programs, for runs with failed requests and
    for figures that are not above 0.
    """
    repeats: list[Repeat] = []
    models: dict[str, None] = {}
    programs: dict[str, None] = {}
    for path, document in documents:
        form, plain = _form_of(document), object_of(document)
        with blaming(path):
            if form is None:
                raise CorruptFile(ImportCode.NOT_TIMINGS)
            repeats += form.read(plain)
        programs[form.name] = None
        if (name := _model_name(plain)) is not None:
            models[public_name(name)] = None
    if len(models) > 1:
        raise Refusal(
            ImportCode.TIMINGS_OF_SEVERAL_MODELS,
            label=label,
            count=len(models),
            names=tuple(models)[:MOST_NAMES],
        )
    if len(programs) > 1:
        raise Refusal(
            ImportCode.TIMINGS_OF_SEVERAL_PROGRAMS,
            label=label,
            count=len(programs),
            names=tuple(programs)[:MOST_NAMES],
        )
    if not repeats:
        raise Refusal(ImportCode.NO_TIMINGS, label=label)
    return Timings(label, next(iter(models), NO_NAME), next(iter(programs)), tuple(repeats))


def _form_of(document: Json) -> _Form | None:
    if not isinstance(document, dict):
        return None
    return next((form for form in _FORMS if form.keys <= document.keys()), None)


def _model_name(document: Mapping[str, Any]) -> str | None:
    """Whose name it is: of the tokenizer where the served name is one that somebody chose."""
    arguments = object_of(document.get("args"))
    names = [document.get("model_id"), arguments.get("model")]
    for entry in list_of(document.get("benchmarks"))[:1]:
        # GuideLLM before 0.4 says it of the worker, later of the backend.
        benchmark = object_of(entry)
        names.append(object_of(benchmark.get("worker")).get("backend_model"))
        names.append(object_of(object_of(benchmark.get("config")).get("backend")).get("model"))
    # Where it was left to GuideLLM to ask the server, the tokenizer's name is all there is.
    names.append(arguments.get("processor"))
    return next((name for name in map(text_of, names) if name is not None), None)


def _read_serve(document: Mapping[str, Any]) -> Iterator[Repeat]:
    completed = _count(document, "completed")
    failed = whole_of(document.get("failed")) or 0
    if failed or completed == 0:
        raise _failed_requests(failed, completed)
    prompts = _count(document, "total_input_tokens") / completed
    outputs = _count(document, "total_output_tokens") / completed
    flight = whole_of(document.get("max_concurrency"))
    rate = document.get("request_rate")
    rate = None if rate in ("inf", None) else number_of(rate)
    figures = {"output tokens/s": number_of(document.get("output_throughput"))}
    figures["requests/s"] = number_of(document.get("request_throughput"))
    for kind, name in (("TTFT", "ttft"), ("TPOT", "tpot"), ("E2E", "e2el")):
        for statistic, key in (("mean", "mean"), ("median", "median"), ("p99", "p99")):
            figures[f"{kind} {statistic} ms"] = number_of(document.get(f"{key}_{name}_ms"))
    load = f"{flight} in flight" if flight else "all at once"
    if rate is not None:
        load = f"{rate:g} requests/s" + (f", {flight} in flight" if flight else "")
    yield _checked_repeat(f"{prompts:.0f}+{outputs:.0f} tokens, {load}", completed, figures)


def _read_throughput(document: Mapping[str, Any]) -> Iterator[Repeat]:
    requests = _count(document, "num_requests")
    tokens = _count(document, "total_num_tokens")
    if requests == 0:
        raise CorruptFile(ImportCode.NO_REQUEST_TIMED)
    figures = {
        "all tokens/s": number_of(document.get("tokens_per_second")),
        "requests/s": number_of(document.get("requests_per_second")),
    }
    yield _checked_repeat(f"offline, {tokens / requests:.0f} tokens each", requests, figures)


def _read_guidellm(document: Mapping[str, Any]) -> Iterator[Repeat]:
    for entry in list_of(document.get("benchmarks")):
        benchmark = object_of(entry)
        metrics = object_of(benchmark.get("metrics"))
        if not metrics:
            raise CorruptFile(ImportCode.BENCHMARK_WITHOUT_METRICS)
        requests = _count_successful(metrics)
        prompts, outputs = (
            _successful_mean(metrics, name) for name in ("prompt_token_count", "output_token_count")
        )
        if max(prompts or 0.0, outputs or 0.0) > MOST:
            raise CorruptFile(ImportCode.UNUSABLE_TOKEN_COUNT)
        size = f"{prompts:.0f}+{outputs:.0f} tokens, " if prompts and outputs else ""
        figures = {
            "output tokens/s": _successful_mean(metrics, "output_tokens_per_second"),
            "requests/s": _successful_mean(metrics, "requests_per_second"),
        }
        for kind, name, scale in (
            ("TTFT", "time_to_first_token_ms", 1.0),
            # GuideLLM's time per output token counts the first one; this is TPOT elsewhere.
            ("TPOT", "inter_token_latency_ms", 1.0),
            ("E2E", "request_latency", MILLISECONDS),
        ):
            summary = _successful_figures(metrics, name)
            figures[f"{kind} mean ms"] = _scale(summary.get("mean"), scale)
            figures[f"{kind} median ms"] = _scale(summary.get("median"), scale)
            p99 = object_of(summary.get("percentiles")).get("p99")
            figures[f"{kind} p99 ms"] = _scale(p99, scale)
        yield _checked_repeat(f"{size}{_describe_load(benchmark)}", requests, figures)


def _count_successful(metrics: Mapping[str, Any]) -> int:
    totals = object_of(metrics.get("request_totals"))
    failed = whole_of(totals.get("errored")) or 0
    if not failed:
        errored = object_of(object_of(metrics.get("request_latency")).get("errored"))
        failed = whole_of(errored.get("count")) or 0
    answered = whole_of(_successful_figures(metrics, "request_latency").get("count"))
    answered = answered if answered is not None else whole_of(totals.get("successful"))
    if failed or not answered:
        raise _failed_requests(failed, answered or 0)
    return answered


def _failed_requests(failed: int, answered: int) -> CorruptFile:
    return CorruptFile(
        ImportCode.REQUESTS_FAILED, requests=failed + answered, failed=failed, answered=answered
    )


def _describe_load(benchmark: Mapping[str, Any]) -> str:
    """How the requests came, from the strategy: its place differs between versions."""
    for holder in ("config", "args"):
        strategy = object_of(object_of(benchmark.get(holder)).get("strategy"))
        if strategy:
            break
    kind = text_of(strategy.get("type_")) or "unknown load"
    kind = kind if re.fullmatch(r"[\w -]{1,40}", kind) else "unknown load"
    streams = whole_of(strategy.get("streams", strategy.get("max_concurrency")))
    rate = number_of(strategy.get("rate"))
    if streams is not None and kind == "concurrent":
        return f"{streams} in flight"
    if rate is not None:
        return f"{rate:g} requests/s ({kind})"
    return {"synchronous": "1 in flight"}.get(kind, kind)


def _successful_figures(metrics: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return object_of(object_of(metrics.get(name)).get("successful"))


def _successful_mean(metrics: Mapping[str, Any], name: str) -> float | None:
    return number_of(_successful_figures(metrics, name).get("mean"))


def _scale(value: object, scale: float) -> float | None:
    number = number_of(value)
    return None if number is None else number * scale


def _count(document: Mapping[str, Any], name: str) -> int:
    count = whole_of(document.get(name))
    if count is None:
        raise CorruptFile(ImportCode.NO_WHOLE_NUMBER, field=name)
    return count


def _checked_repeat(workload: str, requests: int, figures: Mapping[str, float | None]) -> Repeat:
    nonzero = {name: value for name, value in figures.items() if value is not None and value != 0.0}
    wrong = [name for name, value in nonzero.items() if not 1.0 / MOST < value < MOST]
    if wrong or not any(name.endswith("/s") for name in nonzero):
        figure = wrong[0] if wrong else "throughput"
        raise CorruptFile(ImportCode.UNUSABLE_FIGURE, figure=figure)
    return Repeat(workload, requests, nonzero)


_FORMS = (
    _Form(
        "vllm bench serve", frozenset({"output_throughput", "completed", "duration"}), _read_serve
    ),
    _Form(
        "vllm bench throughput",
        frozenset({"elapsed_time", "num_requests", "total_num_tokens"}),
        _read_throughput,
    ),
    _Form("GuideLLM", frozenset({"benchmarks"}), _read_guidellm),
)
