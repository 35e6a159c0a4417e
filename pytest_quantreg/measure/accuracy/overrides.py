"""Applies what a call asked for to a task, as lm-eval would, and refuses what it would ignore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...core.codes import TaskCode
from ...core.engine import ChatFormatter
from ...core.errors import Refusal
from ...core.facts import Problem, SetOption
from ...core.records.run import AccuracyRequest


@dataclass(frozen=True)
class Setting:
    """How the prompts of a task are built. ``template`` is off, on or a name.

    ``notes`` tell what was decided here that nobody asked for and that moves scores.
    """

    output_type: str
    num_fewshot: int
    template: str
    formatter: ChatFormatter | None
    multiturn: bool
    notes: tuple[str, ...] = ()


def apply(
    task: Any,
    request: AccuracyRequest,
    chat: Callable[[bool | str], ChatFormatter | None],
) -> Setting:
    """Changes the task's configuration to what ``request`` asks; returns the rest."""
    output_type = str(task.OUTPUT_TYPE or task.get_config("output_type"))
    shots = _fewshot(task, request, output_type)
    notes = _generation(task, request, output_type)
    template, formatter = _template(request, output_type, chat)
    multiturn = formatter is not None and request.fewshot_as_multiturn is not False
    if request.apply_chat_template is None and formatter is not None:
        notes = (*notes, chat_note(request.task))
    return Setting(output_type, shots, template, formatter, multiturn, notes)


def chat_note(task: str) -> str:
    """What is told of a chat template that is on without having been asked for."""
    return (
        f"{task}: chat template on: the tokenizer has one (apply_chat_template=False switches it"
        " off)"
    )


def _fewshot(task: Any, request: AccuracyRequest, output_type: str) -> int:
    default, requested = task.get_config("num_fewshot"), request.num_fewshot
    if requested is not None and requested < 0:
        raise _wrong(request, "num_fewshot", requested, Problem(TaskCode.NEGATIVE_SHOTS, {}))
    if requested and output_type == "loglikelihood_rolling":
        rolling = Problem(TaskCode.ROLLING_WITHOUT_PROMPTS, {})
        raise _wrong(request, "num_fewshot", requested, rolling)
    if requested and default == 0:
        raise _wrong(request, "num_fewshot", requested, Problem(TaskCode.SHOTS_FIXED_AT_ZERO, {}))
    shots = int(requested if requested is not None else default or 0)
    task.set_config("num_fewshot", shots)
    return shots


def _generation(task: Any, request: AccuracyRequest, output_type: str) -> tuple[str, ...]:
    """Settles the generation arguments; returns notes."""
    requested = dict(request.gen_kwargs)
    notes: tuple[str, ...] = ()
    if output_type != "generate_until":
        if requested:
            scores_only = Problem(TaskCode.NOTHING_GENERATED, {"output_type": output_type})
            raise _wrong(request, "gen_kwargs", None, scores_only)
        if request.repeats > 1:
            raise _wrong(request, "repeats", request.repeats, Problem(TaskCode.REPEATS_ALIKE, {}))
        return ()
    settings = dict(task.get_config("generation_kwargs") or {})
    if _samples(settings) and not {"do_sample", "temperature"} & set(requested):
        notes = (
            f"{request.task}: samples in its own file; evaluated greedily here"
            " (gen_kwargs={'do_sample': True, 'temperature': ...} samples)",
        )
        settings.update(do_sample=False, temperature=0.0)
    settings.update(requested)
    _check_sampling(settings, request)
    task.set_config("generation_kwargs", settings)
    return notes


def _check_sampling(settings: dict[str, Any], request: AccuracyRequest) -> None:
    if request.repeats < 1:
        raise _wrong(request, "repeats", request.repeats, Problem(TaskCode.NO_REPEATS, {}))
    if _samples(settings) and not float(settings.get("temperature") or 0):
        cold = Problem(TaskCode.SAMPLING_WITHOUT_TEMPERATURE, {})
        raise _wrong(request, "do_sample", "True", cold)
    if request.repeats > 1 and not _samples(settings):
        raise _wrong(request, "repeats", request.repeats, Problem(TaskCode.GREEDY_REPEATS, {}))


def _samples(settings: dict[str, Any]) -> bool:
    """Whether lm-eval's engines will sample: do_sample, else a temperature above 0."""
    explicit = settings.get("do_sample")
    return bool(float(settings.get("temperature") or 0) > 0 if explicit is None else explicit)


def _template(
    request: AccuracyRequest,
    output_type: str,
    chat: Callable[[bool | str], ChatFormatter | None],
) -> tuple[str, ChatFormatter | None]:
    requested = request.apply_chat_template
    if requested is None and output_type == "generate_until":
        formatter = chat(True)
        return ("on" if formatter is not None else "off"), formatter
    if not requested:
        return "off", None
    if output_type == "loglikelihood_rolling":
        raw = Problem(TaskCode.ROLLING_RAW_TEXT, {})
        raise _wrong(request, "apply_chat_template", None, raw)
    formatter = chat(requested)
    if formatter is None:
        absent = (
            Problem(TaskCode.NO_CHAT_TEMPLATE, {})
            if requested is True
            else Problem(TaskCode.NO_NAMED_CHAT_TEMPLATE, {"name": requested})
        )
        raise _wrong(request, "apply_chat_template", repr(requested), absent)
    return ("on" if requested is True else requested), formatter


def _wrong(
    request: AccuracyRequest, option: str, value: str | int | None, cause: Problem
) -> Refusal:
    return Refusal(
        TaskCode.NOT_MEASURABLE_WITH,
        task=request.task,
        option=option,
        given=option if value is None else SetOption(option, value),
        cause=cause,
    )
