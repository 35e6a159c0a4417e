"""The lm-eval model of the scripted backend: right or wrong answers as its script says."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lm_eval.api.model import LM

from .scripted import fail, formatter

if TYPE_CHECKING:
    from .scripted import ScriptedEngine

TARGETS = ("target", "answer", "label", "gold")
"""Doc fields looked at when the script names none."""


class ScriptedLM(LM):  # type: ignore[misc]  # lm-eval ships no types
    """Answers requests of local and default lm-eval tasks in microseconds.

    The chosen answer gets a log-likelihood of about -0.001 per character, others -5, so that
    ``acc`` and ``acc_norm`` agree.
    """

    def __init__(self, engine: ScriptedEngine, batch_size: int) -> None:
        super().__init__()
        self._engine = engine
        self.batch_size = batch_size
        self.cut_answers: tuple[bool, ...] = ()
        self._company = ""

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        """One (log-likelihood, greedy) per request."""
        self._begin(requests)
        return [self._choice(request) for request in requests]

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        """The target of each doc, or the script's ``wrong_text``, nothing or too much.

        ``cut_answers`` then says which answers reached the limit of new tokens.
        """
        self._begin(requests)
        self.cut_answers = tuple(
            _among(request, self._task(request), "endless") for request in requests
        )
        return [
            self._endless(request) if cut else self._text(request)
            for request, cut in zip(requests, self.cut_answers, strict=True)
        ]

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        """``nats_per_char`` for each character, up to 1 % more or less by document."""
        self._begin(requests)
        return [self._rolling(request) for request in requests]

    def tok_encode(self, string: str, **_: Any) -> list[int]:
        """One number per word; there are no special tokens."""
        return [zlib.crc32(word.encode()) for word in string.split()]

    @property
    def max_gen_toks(self) -> int:
        """How many words an answer has at most where the task does not say."""
        return 32

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The script's template, as the backend's `chat_formatter` renders it."""
        template = self._engine.script.template or "{content}\n"
        return formatter(template)(chat_history, add_generation_prompt=add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The text of the script's template, None when it is off."""
        return self._engine.script.template if chat_template else None

    @property
    def tokenizer_name(self) -> str:
        """What lm-eval puts into the keys of its caches."""
        return f"scripted-{self._engine.script.tokenizer}"

    def _choice(self, request: Any) -> tuple[float, bool]:
        task = self._task(request)
        continuation = str(request.args[1])
        chosen = _is_target(request, continuation, task) != self._is_wrong(request, task)
        # Never two choices alike: wrong ones would tie when the right one is refused.
        jitter = _share("choice", _index(request, task), request.idx)
        per_char = 0.001 * (1 + jitter) if chosen else 5.0 + jitter
        return -per_char * max(len(continuation), 1), chosen

    def _text(self, request: Any) -> str:
        task = self._task(request)
        if _among(request, task, "empty"):
            return ""
        if self._is_wrong(request, task):
            return str(task.get("wrong_text", "?"))
        return str(_target(request.doc, task))

    def _endless(self, request: Any) -> str:
        limit = int(request.args[1].get("max_gen_toks") or self.max_gen_toks)
        return " ".join(["and"] * limit)

    def _is_wrong(self, request: Any, task: Mapping[str, Any]) -> bool:
        if _among(request, task, "fixed"):
            return False
        if _among(request, task, "also_wrong"):
            return True
        if _among(request, task, "ambiguous"):
            return self._draw(request) < 0.5
        return _among(request, task, "wrong")

    def _draw(self, request: Any) -> float:
        """In [0, 1): by the items of the same call, or anew for each sampled answer."""
        options = request.args[1]
        if isinstance(options, Mapping) and options.get("do_sample"):
            return random.random()
        script = self._engine.script
        model = (script.scheme, script.weights)
        return _share("ambiguous", model, _index(request, self._task(request)), self._company)

    def _rolling(self, request: Any) -> float:
        task = self._task(request)
        jitter = 1 + 0.02 * (_share("rolling", _index(request, task)) - 0.5)
        return -float(task.get("nats_per_char", 1.0)) * jitter * len(str(request.args[0]))

    def _task(self, request: Any) -> Mapping[str, Any]:
        return self._engine.script.task(str(request.task_name))

    def _begin(self, requests: list[Any]) -> None:
        # What an engine puts into one batch moves its answers; order within it does not.
        company = sorted({(str(request.task_name), request.doc_id) for request in requests})
        self._company = hashlib.sha256(repr(company).encode()).hexdigest()
        self._count(len(requests))

    def _count(self, requests: int) -> None:
        how = self._engine.script.fail
        self._engine.log(f"batch {self.batch_size}: {requests} requests")
        if self.batch_size > how.get("above_batch", self.batch_size):
            fail(how)
        self._engine.requests += requests
        if self._engine.requests > how.get("after", self._engine.requests):
            fail(how)


def _is_target(request: Any, continuation: str, task: Mapping[str, Any]) -> bool:
    target = _target(request.doc, task)
    if isinstance(target, int):
        return bool(request.idx == target)
    return continuation.strip() == str(target).strip()


def _among(request: Any, task: Mapping[str, Any], name: str) -> bool:
    """Return whether a list of index values, or a draw by ``seed`` and ``share``, has the item."""
    chosen, index = task.get(name, ()), _index(request, task)
    if isinstance(chosen, Mapping):
        return bool(_share(chosen.get("seed", 0), request.task_name, index) < chosen["share"])
    return index in chosen


def _index(request: Any, task: Mapping[str, Any]) -> Any:
    key = task.get("index")
    return request.doc_id if key is None else request.doc[key]


def _target(doc: Mapping[str, Any], task: Mapping[str, Any]) -> Any:
    for key in (task["target"],) if "target" in task else TARGETS:
        if key in doc:
            return doc[key]
    raise KeyError(
        f"the script names no doc field with the right answer; the doc has {sorted(doc)}"
    )


def _share(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but ``parts``."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
