"""What a results file of lm-eval gives away about itself: scored thoughts, what guessing scores."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...core.codes import ImportCode
from ...core.facts import Problem
from ..foreign_files import list_of, object_of
from .protocol import arguments_of

_CLOSED = re.compile(r"<think>(?:\s|\\n)*</think>")
_OPENS = "<think>"


def thoughts_scored(
    document: Mapping[str, Any], config: Mapping[str, Any], filter_name: str
) -> Problem | None:
    """Why thoughts were scored as if they were the answer; None where they were not.

    All of it stands in the file: the chat template opens a thought in every answer unless
    it is told ``enable_thinking=False``, which it was not; lm-eval was given no
    ``think_end_token``, which would cut the thoughts off; and no filter picks the answer out
    of the text, so that a check of the whole text, such as that of its length or its format,
    looks at the thoughts.
    """
    template = document.get("chat_template")
    if config.get("output_type") != "generate_until" or not isinstance(template, str):
        return None
    if _picks_answer(config, filter_name) or not _opens_thought(template):
        return None
    arguments = arguments_of(document)
    settings = {**object_of(arguments.get("chat_template_args")), **arguments}
    if (
        settings.get("think_end_token") not in (None, "")
        or settings.get("enable_thinking") is False
    ):
        return None
    return Problem(ImportCode.THOUGHTS_SCORED, {})


def chance_of(config: Mapping[str, Any]) -> float | None:
    """What guessing scores where the task's file lists its choices; None where it does not."""
    choices = config.get("doc_to_choice")
    if config.get("output_type") != "multiple_choice" or not isinstance(choices, list):
        return None
    return 1.0 / len(choices) if len(choices) > 1 else None


def _opens_thought(template: str) -> bool:
    """Whether the part that begins an answer leaves a thought open by default."""
    start = template.rfind("add_generation_prompt")
    return start >= 0 and _OPENS in _CLOSED.sub("", template[start:])


def _picks_answer(config: Mapping[str, Any], filter_name: str) -> bool:
    """Whether a filter does more than take the first of several answers."""
    for entry in list_of(config.get("filter_list")):
        if object_of(entry).get("name") == filter_name:
            steps = [
                object_of(step).get("function") for step in list_of(object_of(entry).get("filter"))
            ]
            return any(step not in (None, "take_first", "take_first_k") for step in steps)
    return False
