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
    own, asked = task.get_config("num_fewshot"), request.num_fewshot
    if asked is not None and asked < 0:
        raise _wrong(request, f"num_fewshot={asked}", "must be 0 or more")
    if asked and output_type == "loglikelihood_rolling":
        raise _wrong(request, f"num_fewshot={asked}", "a rolling task has no prompts")
    if asked and own == 0:
        raise _wrong(
            request,
            f"num_fewshot={asked}",
            "its own file sets 0, which lm-eval never overrides; change it there",
        )
    shots = int(asked if asked is not None else own or 0)
    task.set_config("num_fewshot", shots)
    return shots


def _generation(task: Any, request: AccuracyRequest, output_type: str) -> tuple[str, ...]:
    """Settles the generation arguments; returns notes."""
    asked = dict(request.gen_kwargs)
    notes: tuple[str, ...] = ()
    if output_type != "generate_until":
        if asked:
            raise _wrong(request, "gen_kwargs", f"nothing is generated, it is {output_type}")
        if request.repeats > 1:
            raise _wrong(
                request,
                f"repeats={request.repeats}",
                "a repeat gives the same log-probabilities",
            )
        return ()
    held = dict(task.get_config("generation_kwargs") or {})
    if _samples(held) and not {"do_sample", "temperature"} & set(asked):
        notes = (
            f"{request.task}: samples in its own file; evaluated greedily here"
            " (gen_kwargs={'do_sample': True, 'temperature': ...} samples)",
        )
        held.update(do_sample=False, temperature=0.0)
    held.update(asked)
    _check_sampling(held, request)
    task.set_config("generation_kwargs", held)
    return notes


def _check_sampling(held: dict[str, Any], request: AccuracyRequest) -> None:
    if request.repeats < 1:
        raise _wrong(request, f"repeats={request.repeats}", "must be 1 or more")
    if _samples(held) and not float(held.get("temperature") or 0):
        raise _wrong(request, "do_sample=True", "sampling needs a temperature above 0")
    if request.repeats > 1 and not _samples(held):
        raise _wrong(
            request,
            f"repeats={request.repeats}",
            "greedy decoding repeats itself; sample with"
            " gen_kwargs={'do_sample': True, 'temperature': 0.7}",
        )


def _samples(held: dict[str, Any]) -> bool:
    """Whether lm-eval's engines will sample: do_sample, else a temperature above 0."""
    explicit = held.get("do_sample")
    return bool(float(held.get("temperature") or 0) > 0 if explicit is None else explicit)


def _template(
    request: AccuracyRequest,
    output_type: str,
    chat: Callable[[bool | str], ChatFormatter | None],
) -> tuple[str, ChatFormatter | None]:
    asked = request.apply_chat_template
    if asked is None and output_type == "generate_until":
        formatter = chat(True)
        return ("on" if formatter is not None else "off"), formatter
    if not asked:
        return "off", None
    if output_type == "loglikelihood_rolling":
        raise _wrong(request, "apply_chat_template", "a rolling task scores raw text")
    formatter = chat(asked)
    if formatter is None:
        which = "chat template" if asked is True else f"chat template {asked!r}"
        raise _wrong(request, f"apply_chat_template={asked!r}", f"the tokenizer has no {which}")
    return ("on" if asked is True else asked), formatter


def _wrong(request: AccuracyRequest, what: str, why: str) -> Refusal:
    return Refusal(
        Category.WRONG_USE,
        f"task {request.task!r} cannot be measured with {what}: {why}",
        help=f"leave {what.partition('=')[0]} out of compare_accuracy({request.task!r}, ...)",
    )
