"""Loads tokenizers, fingerprints what they do, and renders chats as lm-eval will."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from ...core.codes import EngineCode, ModelCode
from ...core.engine import ChatFormatter
from ...core.errors import Refusal, WrongUse
from ...core.facts import Problem, Quoted
from ..quiet import quiet, quietly_imported
from .folder import check_tokenizer

PROBES = (
    "Hello, world! The quick brown fox jumps over the lazy dog.",
    " leading space,  two  spaces,   three\ttab\nnewline\n\n\r\ntrailing ",
    "0 1 12 123 1234 12345 3.14159 1,000,000 -7 50% $9.99 x=2+2",
    "don't can't I'll we've O'Neill's \u201cquotes\u201d \u2018single\u2019 \u2014 dash \u2026",
    "def f(x):\n    return {'a': [x**2, not_x, __init__]}  # comment\n",
    "Question: Which is it?\nA. one\nB. two\nAnswer:",
    "na\u00efve caf\u00e9 \u00fcber stra\u00dfe \u0141\u00f3d\u017a \u0130stanbul e\u0301",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u03ba\u03cc\u03c3\u03bc\u03b5"
    " \u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0928\u092e\u0938\u094d\u0924\u0947",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u3053\u3093\u306b\u3061\u306f"
    " \uc548\ub155 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467"
    " \u00a0\u2003\u200b\ufeff \u2211\u222b\u221a \ufb01",
    "<s></s><|im_start|>user<|endoftext|>[INST] {{ }} \\frac{1}{2} https://a.b/c?d=e&f",
    "antidisestablishmentarianism supercalifragilistic MiXeDcAsE ALLCAPS camelCase snake_case",
)
"""Texts whose encodings tell tokenizers with the same vocabulary apart."""

PROMPT_ARGS = ("max_length", "add_bos_token")
"""Engine arguments that change what becomes of a prompt, not how it is computed."""

TEMPLATE_DAY = date(2024, 7, 26)
"""The day that templates which print today's date are given: prompts must not change at
midnight. It is the one that Llama 3's own template falls back to."""


def prompt_args(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `PROMPT_ARGS` that are given. Raises WrongUse for values they cannot have."""
    arguments = {key: args[key] for key in PROMPT_ARGS if args.get(key) is not None}
    if "max_length" in arguments:
        check_length("max_length", arguments["max_length"])
    if not isinstance(arguments.get("add_bos_token", True), bool):
        raise WrongUse(
            EngineCode.BAD_ENGINE_ARGUMENT,
            name="add_bos_token",
            value=str(arguments["add_bos_token"]),
            rule=Problem(EngineCode.MUST_BE_BOOLEAN, {}),
        )
    return arguments


def check_length(name: str, value: Any) -> None:
    """Raises WrongUse for an argument that is no number of tokens."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:
        raise WrongUse(
            EngineCode.BAD_ENGINE_ARGUMENT,
            name=name,
            value=str(value),
            rule=Problem(EngineCode.MUST_BE_NUMBER_OF_TOKENS, {"least": 2}),
        )


def load_tokenizer(folder: Path, name: str, *, trusted: bool) -> Any:
    """The tokenizer of a folder; raises Refusal when there is none that works."""
    check_tokenizer(folder, name)
    (transformers,) = quietly_imported("transformers")
    with quiet():
        try:
            return transformers.AutoTokenizer.from_pretrained(
                str(folder), trust_remote_code=trusted, local_files_only=True
            )
        except Exception as error:  # broken files raise whatever the parser in charge raises
            first = str(error).strip().splitlines() or [type(error).__name__]
            raise Refusal(
                ModelCode.TOKENIZER_NOT_LOADED, name=name, error=Quoted(first[0])
            ) from error


def tokenizer_digest(tokenizer: Any, args: Mapping[str, Any]) -> str:
    """sha256 over what the tokenizer does: the same for a folder saved again.

    Those of ``args`` (`PROMPT_ARGS`) that cut prompts or add to them count where given.

    It covers the vocabulary, special tokens, and the encodings of `PROBES` with and
    without special tokens, not the way files spell it: newer versions write other keys,
    pairs in place of strings, and whatever padding was set.
    """
    with quiet():
        vocabulary = sorted((index, token) for token, index in tokenizer.get_vocab().items())
        behavior: dict[str, Any] = {
            "vocabulary": vocabulary,
            "special": [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id],
            "with": [list(tokenizer.encode(text)) for text in PROBES],
            "without": [list(tokenizer.encode(text, add_special_tokens=False)) for text in PROBES],
        }
    if arguments := prompt_args(args):
        behavior["arguments"] = arguments
    return _digest(behavior)


def template_digest(tokenizer: Any) -> str | None:
    """sha256 of the chat template or templates, None without."""
    template = getattr(tokenizer, "chat_template", None)
    return _digest(template) if template else None


def chat_formatter(tokenizer: Any, template: bool | str, name: str) -> ChatFormatter | None:
    """Renders chats exactly as lm-eval's HFLM does, None when there is no template.

    A text names one of several templates; raises WrongUse when there is none of that
    name. As in lm-eval, a template that refuses a system message is given the chat
    without it.
    """
    templates = getattr(tokenizer, "chat_template", None)
    if not templates or template is False:
        return None
    chosen = _choose_template(templates, template, name)

    def render(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        def render_chat(chat: list[dict[str, str]]) -> str:
            text: str = tokenizer.apply_chat_template(
                chat,
                chat_template=chosen,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
                strftime_now=TEMPLATE_DAY.strftime,
            )
            return text

        (jinja2,) = quietly_imported("jinja2")
        try:
            return render_chat(messages)
        except jinja2.exceptions.TemplateError:
            return render_chat([turn for turn in messages if turn["role"] != "system"])

    return render


def check_bos(tokenizer: Any, name: str, wanted: bool | None) -> None:
    """Refuse a tokenizer that is set to put BOS first and does not.

    Without a post-processor that adds it the setting does nothing, and a model trained
    with BOS scores near zero in silence.
    """
    adds_bos = wanted if wanted is not None else _declares_bos(tokenizer)
    if adds_bos is not True or tokenizer.bos_token_id is None:
        return
    with quiet():
        begins = list(tokenizer.encode("a", add_special_tokens=True))[:1]
    if begins != [tokenizer.bos_token_id]:
        raise Refusal(ModelCode.BOS_NOT_ADDED, name=name, token=str(tokenizer.bos_token))


def _declares_bos(tokenizer: Any) -> bool | None:
    # The attribute has a default of its own in some classes; only what files say counts.
    declared = getattr(tokenizer, "init_kwargs", {}).get("add_bos_token")
    return declared if isinstance(declared, bool) else None


def _choose_template(templates: Any, template: bool | str, name: str) -> str | None:
    if not isinstance(templates, dict):
        return None
    wanted = template if isinstance(template, str) else "default"
    if wanted not in templates:
        raise WrongUse(
            ModelCode.NO_SUCH_CHAT_TEMPLATE,
            name=name,
            template=wanted,
            templates=tuple(sorted(templates)),
        )
    text: str = templates[wanted]
    return text


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
