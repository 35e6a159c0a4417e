"""What is noted of items beside their scores: tokens, blank and cut answers, shared passages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

from ...core.comparison.generated_answers import mark, tokens_about
from ...core.records.run import Protocol

PASSAGES = (
    "passage",  # boolq, drop, record
    "flores_passage",  # belebele
    "context",  # squad, longbench, logiqa
    "article",  # race, quality
    "paragraph",  # multirc
    "story",  # coqa
    "background",
    "document",
    "premise",  # xnli: three hypotheses each
)
"""Doc fields that hold what several questions are asked about, as shipped tasks call them."""

SHORTEST_PASSAGE = 40
"""Characters; shorter texts are labels (``context: geometry``)."""

SCORES_TEXT = ("loglikelihood", "loglikelihood_rolling")
"""Output types whose perplexity is of one text per item."""

SCORES_CHOICES = ("loglikelihood", "multiple_choice")
"""Output types of which the log-likelihoods of an item can be kept."""

Facts: TypeAlias = "dict[str, list[float]]"


class Notes:
    """Facts of the items of one chunk, gathered answer by answer over all passes."""

    def __init__(self, protocol: Protocol, items: int, *, likelihoods: bool = False) -> None:
        self._likelihoods: list[float] | None = None
        self._wants_likelihoods = likelihoods and protocol.output_type in SCORES_CHOICES
        self._generates = protocol.output_type == "generate_until"
        self._scores_text = protocol.output_type in SCORES_TEXT and any(
            metric.kind == "perplexity" for metric in protocol.metrics
        )
        self._empty = [0] * items
        self._cut: list[int] | None = [0] * items
        self._answers = [0] * items
        self._texts: list[list[str]] = [[] for _ in range(items)]
        self._lengths: list[list[int]] = [[] for _ in range(items)]
        self._tokens: list[float] | None = None

    def add(
        self, lm: Any, items: Sequence[Sequence[Any]], cut: Mapping[int, Sequence[bool]]
    ) -> None:
        """Notes one pass; ``cut`` says per id of a request which answers hit the limit."""
        if self._wants_likelihoods and self._likelihoods is None:
            self._likelihoods = [_likelihood(item) for item in items]
        if self._generates:
            self._add_answers(lm, items, cut)
        elif self._scores_text and self._tokens is None:
            counts = [tokens_of(lm, item) for item in items]
            tokens = [float(count) for count in counts if count is not None]
            self._tokens = tokens if len(tokens) == len(counts) else []

    def _add_answers(
        self, lm: Any, items: Sequence[Sequence[Any]], cut: Mapping[int, Sequence[bool]]
    ) -> None:
        for at, item in enumerate(items):
            for request in item:
                if request.request_type != "generate_until":
                    continue
                self._answers[at] += len(request.resps)
                texts = [str(answer) for answer in request.resps]
                self._empty[at] += sum(not text.strip() for text in texts)
                self._texts[at] += texts
                self._lengths[at] += [_length(lm, text) for text in texts]
                if id(request) not in cut:
                    self._cut = None
                elif self._cut is not None:
                    self._cut[at] += sum(cut[id(request)])

    def facts(self) -> Facts:
        """One number per item for each fact that is known of all of them."""
        likelihoods = {} if self._likelihoods is None else {"likelihood": self._likelihoods}
        if self._tokens:
            return {"tokens": self._tokens, **likelihoods}
        if not self._generates or 0 in self._answers:
            return likelihoods
        shortest = [min(lengths) for lengths in self._lengths]
        facts = {
            "answer": list(map(mark, self._texts, shortest)),
            "empty": _shares(self._empty, self._answers),
            "length": [float(length) for length in shortest],
        }
        if self._cut is not None:
            facts["truncated"] = _shares(self._cut, self._answers)
        return facts


def _length(lm: Any, text: str) -> int:
    """How many tokens a generated text has, by the engine's own tokenizer where there is one."""
    if callable(getattr(lm, "tok_encode", None)):
        with suppress(Exception):  # a tokenizer may refuse what its model generated
            return len(lm.tok_encode(text))
    return tokens_about(text)


def _likelihood(item: Sequence[Any]) -> float:
    """The sum of the log-likelihoods of all choices of an item."""
    return math.fsum(float(request.resps[0][0]) for request in item)


def _shares(counts: Sequence[int], totals: Sequence[int]) -> list[float]:
    return [count / total for count, total in zip(counts, totals, strict=True)]


def tokens_of(lm: Any, item: Sequence[Any]) -> int | None:
    """How many tokens lm-eval scores for an item, None where the engine does not tell.

    Encoded as lm-eval's models do: a document whole, its first token predicted from the
    prefix; a continuation as what it adds to its context, trailing spaces moved to it.
    """
    if not callable(getattr(lm, "tok_encode", None)):
        return None
    total = 0
    for request in item:
        if request.request_type == "loglikelihood_rolling":
            total += len(lm.tok_encode(request.args[0]))
        elif request.request_type == "loglikelihood":
            total += _continuation(lm, *request.args)
        else:
            return None
    return total


def _continuation(lm: Any, context: str, continuation: str) -> int:
    if not context:
        alone = lm.tok_encode(continuation, add_special_tokens=False)
        # lm-eval uses a BOS that the text brings along as the context.
        begins = bool(alone) and alone[0] == getattr(lm, "prefix_token_id", None)
        return len(alone) - begins
    return len(lm.tok_encode(context + continuation)) - len(lm.tok_encode(context.rstrip()))


def clusters(docs: Sequence[Any]) -> tuple[int, ...]:
    """The number of each item's passage, in order of appearance; empty if none is shared.

    A text that more than half of all items hold is an instruction, no passage: the field
    with it is passed over. Of several fields with shared texts the one with the fewest
    passages counts.
    """
    candidates: list[tuple[int, ...]] = []
    for field in PASSAGES:
        texts = [_passage(doc, field) for doc in docs]
        counts = Counter(text for text in texts if text is not None)
        most = max(counts.values(), default=0)
        if 1 < most <= len(docs) / 2:
            numbers: dict[object, int] = {}
            keys = [at if text is None else text for at, text in enumerate(texts)]
            candidates.append(tuple(numbers.setdefault(key, len(numbers)) for key in keys))
    return min(candidates, key=max, default=())


def _passage(doc: Any, field: str) -> str | None:
    text = doc.get(field) if isinstance(doc, Mapping) else None
    if not isinstance(text, str):
        return None
    text = text.strip()
    return text if len(text) >= SHORTEST_PASSAGE else None
