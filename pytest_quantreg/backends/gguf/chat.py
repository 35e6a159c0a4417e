"""Renders chats with the template of a GGUF file, as transformers renders the same template."""

from __future__ import annotations

import json
from typing import Any

from ...core.codes import ModelCode
from ...core.engine import ChatFormatter
from ...core.errors import WrongUse
from ..checkpoint.tokenizer import TEMPLATE_DAY
from ..quiet import quietly_imported
from .files import GgufModel
from .identity import templates

_CONTINUE_MARK = "\0continued here\0"
"""Marks where the last message ends, in a chat that is to be continued there."""


def chat_formatter(model: GgufModel, template: bool | str) -> ChatFormatter | None:
    """Return the function that lm-eval calls to render chats; None for a file without a template.

    A text names one of several templates; raises WrongUse when there is none of that name.
    A template that refuses a system message is given the chat without it, as in lm-eval.
    """
    by_name = templates(model)
    if not by_name or template is False:
        return None
    (jinja2,) = quietly_imported("jinja2")
    compiled = _environment(jinja2).from_string(_choose_template(by_name, template, model.name))
    special = _special_tokens(model)

    def render(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        def render_chat(chat: list[dict[str, str]]) -> str:
            if add_generation_prompt:
                return str(compiled.render(messages=chat, add_generation_prompt=True, **special))
            *earlier, last = chat
            marked = {**last, "content": last["content"].strip() + _CONTINUE_MARK}
            text = compiled.render(
                messages=[*earlier, marked], add_generation_prompt=False, **special
            )
            return str(text).partition(_CONTINUE_MARK)[0]

        try:
            return render_chat(messages)
        except jinja2.exceptions.TemplateError:
            return render_chat([turn for turn in messages if turn["role"] != "system"])

    return render


def _choose_template(by_name: dict[str, str], template: bool | str, name: str) -> str:
    # With a single template lm-eval ignores the name that it is asked for.
    if len(by_name) == 1:
        return next(iter(by_name.values()))
    wanted = template if isinstance(template, str) else "default"
    if wanted not in by_name:
        raise WrongUse(
            ModelCode.NO_SUCH_CHAT_TEMPLATE, name=name, template=wanted, templates=tuple(by_name)
        )
    return by_name[wanted]


def _environment(jinja2: Any) -> Any:
    """Return the jinja environment of hub templates: blocks eat their lines, and no code runs."""
    sandbox, loops = quietly_imported("jinja2.sandbox", "jinja2.ext")
    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loops.loopcontrols]
    )

    def refuse(message: str) -> None:
        raise jinja2.exceptions.TemplateError(message)

    def as_json(value: Any, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=False, **options)

    environment.filters["tojson"] = as_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = TEMPLATE_DAY.strftime
    return environment


def _special_tokens(model: GgufModel) -> dict[str, str]:
    tokens = model.fields.get("tokenizer.ggml.tokens") or ()
    special: dict[str, str] = {}
    for name, key in (("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown")):
        number = model.fields.get(f"tokenizer.ggml.{key}_token_id")
        if isinstance(number, int) and 0 <= number < len(tokens):
            special[name] = str(tokens[number])
    return special
