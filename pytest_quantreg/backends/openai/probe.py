"""Asks a server once what it can do: token ids as prompts, and log-probabilities of prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.codes import ServerCode
from ...core.errors import Refusal
from ...core.facts import Problem
from .client import Client, ServerError

TEXT = "The quick brown fox jumps over the lazy dog."
_REJECTED = (400, 404, 405, 413, 422, 501)


@dataclass(frozen=True)
class Abilities:
    """What a server takes: ``token_ids`` as prompts, and why not, ``no_logprobs``.

    ``no_logprobs`` is None where it returns log-probabilities of prompts, else what it
    did when it was asked for them.
    """

    token_ids: bool
    no_logprobs: Problem | None


def probe(client: Client, model: str, tokens: Sequence[int]) -> Abilities:
    """Asks for the log-probabilities of one short prompt. Raises Refusal without an answer."""
    body = {"model": model, "max_tokens": 1, "temperature": 0}
    scored = {"echo": True, "logprobs": 1}
    answer, error = _try_completion(client, {**body, **scored, "prompt": list(tokens)})
    if error is None:
        return Abilities(True, _logprobs_problem(answer, len(tokens)))
    _, alone = _try_completion(client, {**body, "prompt": list(tokens)})
    if alone is None:
        return Abilities(True, Problem(ServerCode.REJECTS_SCORING, {"cause": error.problem}))
    return Abilities(False, Problem(ServerCode.REJECTS_TOKEN_IDS, {"cause": alone.problem}))


def refuse_unscored(abilities: Abilities, engine: str) -> None:
    """Refuses requests that need log-probabilities of prompts. Raises Refusal."""
    if abilities.no_logprobs is not None:
        raise Refusal(ServerCode.NO_PROMPT_LOGPROBS, cause=abilities.no_logprobs, engine=engine)


def _try_completion(client: Client, body: Mapping[str, Any]) -> tuple[Any, ServerError | None]:
    """An answer, or why the server rejects the request. Raises Refusal where it gives none."""
    try:
        return client.post("completions", body), None
    except ServerError as error:
        if error.status in _REJECTED:
            return None, error
        raise client.refusal(error, Problem(ServerCode.PROBING_SERVER, {})) from None


def _logprobs_problem(answer: Any, length: int) -> Problem | None:
    """Return what an answer lacks of ``length`` log-probabilities; None if it has them all."""
    try:
        logprobs = answer["choices"][0]["logprobs"] or {}
        values, tops = logprobs.get("token_logprobs") or [], logprobs.get("top_logprobs") or []
    except (KeyError, IndexError, TypeError, AttributeError):
        return Problem(ServerCode.ANSWER_WITHOUT_LOGPROBS, {})
    # One more is that of the token it generated; two more, and it put a BOS of its own first.
    if not length <= len(values) <= length + 1 or len(tops) < length:
        return Problem(ServerCode.FEW_PROMPT_LOGPROBS, {"given": len(values), "tokens": length})
    # Nothing precedes the first token.
    scored = values[1:length]
    if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in scored):
        return Problem(ServerCode.LOGPROBS_NOT_FINITE, {})
    if len(set(scored)) == 1:
        return Problem(ServerCode.LOGPROBS_ALL_EQUAL, {"value": scored[0]})
    return None
