"""Applies what a call asked for to a task, as lm-eval would, and refuses what it would ignore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...core.engine import ChatFormatter
from ...core.errors import Category, Refusal
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
        raise _wrong(request, f"num_fewshot={requested}", "must be 0 or more")
    if requested and output_type == "loglikelihood_rolling":
        raise _wrong(request, f"num_fewshot={requested}", "a rolling task has no prompts")
    if requested and default == 0:
        raise _wrong(
            request,
            f"num_fewshot={requested}",
            "its own file sets 0, which lm-eval never overrides; change it there",
        )
    shots = int(requested if requested is not None else default or 0)
    task.set_config("num_fewshot", shots)
    return shots


def _generation(task: Any, request: AccuracyRequest, output_type: str) -> tuple[str, ...]:
    """Settles the generation arguments; returns notes."""
    requested = dict(request.gen_kwargs)
    notes: tuple[str, ...] = ()
    if output_type != "generate_until":
        if requested:
            raise _wrong(request, "gen_kwargs", f"nothing is generated, it is {output_type}")
        if request.repeats > 1:
            raise _wrong(
                request,
                f"repeats={request.repeats}",
                "a repeat gives the same log-probabilities",
            )
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
        raise _wrong(request, f"repeats={request.repeats}", "must be 1 or more")
    if _samples(settings) and not float(settings.get("temperature") or 0):
        raise _wrong(request, "do_sample=True", "sampling needs a temperature above 0")
    if request.repeats > 1 and not _samples(settings):
        raise _wrong(
            request,
            f"repeats={request.repeats}",
            "greedy decoding repeats itself; sample with"
            " gen_kwargs={'do_sample': True, 'temperature': 0.7}",
        )


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
        raise _wrong(request, "apply_chat_template", "a rolling task scores raw text")
    formatter = chat(requested)
    if formatter is None:
        which = "chat template" if requested is True else f"chat template {requested!r}"
        raise _wrong(request, f"apply_chat_template={requested!r}", f"the tokenizer has no {which}")
    return ("on" if requested is True else requested), formatter


def _wrong(request: AccuracyRequest, option: str, why: str) -> Refusal:
    return Refusal(
        Category.WRONG_USE,
        f"task {request.task!r} cannot be measured with {option}: {why}",
        help=f"leave {option.partition('=')[0]} out of compare_accuracy({request.task!r}, ...)",
    )
