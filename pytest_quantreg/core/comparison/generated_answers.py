"""Generated answers that are another model's to the letter: marks of texts, and what equals say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ..codes import GateCode
from ..facts import Problem
from ..records.run import Accuracy, Columns

LONG_TOKENS = 64
MANY_ANSWERS = 100
ENOUGH_TOKENS = LONG_TOKENS * MANY_ANSWERS
"""What 100 long answers hold: so many greedy tokens differ somewhere once weights differ."""

SHORT_TOKENS = 16
"""Below this an answer says little of who gave it: a good copy repeats hundreds of them."""

_CHARACTERS_PER_TOKEN = 4
_MARK_DIGITS = 12
"""Hex digits: 48 bits, which a float holds exactly."""


def tokens_about(text: str) -> int:
    """Estimate the tokens of a text without its tokenizer: 4 characters each, or its words."""
    return max(len(text.split()), len(text) // _CHARACTERS_PER_TOKEN)


def mark(texts: Sequence[str], tokens: int) -> float:
    """Return a number that stands for all answers of an item; 0 where they are too short."""
    if tokens < SHORT_TOKENS:
        return 0.0
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return float(max(1, int(hashlib.sha256(joined).hexdigest()[:_MARK_DIGITS], 16)))


def kept_facts(facts: Columns) -> Columns:
    """The facts of a whole task, without marks and lengths where all answers are short."""
    if any(facts.get("answer", ())):
        return facts
    return {name: column for name, column in facts.items() if name not in ("answer", "length")}


def answers_digest(accuracy: Accuracy) -> str:
    """A digest that two models share if all of their answers are equal; empty where few are known.

    Made of what is noted of generated answers, or of log-likelihoods.
    """
    facts = accuracy.items.facts
    scored = [metric.name for metric in accuracy.protocol.metrics if metric.kind == "perplexity"]
    answers = facts.get("answer") if same_answers(accuracy, accuracy) else None
    columns = [answers, facts.get("likelihood"), *map(accuracy.items.scores.get, scored)]
    column = next((column for column in columns if column is not None), None)
    if column is None:
        return ""
    text = repr([accuracy.protocol.task, list(accuracy.items.digests), list(map(float, column))])
    return hashlib.sha256(text.encode()).hexdigest()


def same_answers(baseline: Accuracy, candidate: Accuracy) -> Problem | None:
    """Name the generated answers that are all the other's; None where some differ or few are long.

    Both must hold the same items in the same order. Either 100 answers of 64 tokens, or as
    many tokens in shorter ones.
    """
    both_facts = [accuracy.items.facts for accuracy in (baseline, candidate)]
    if not all({"answer", "length"} <= facts.keys() for facts in both_facts):
        return None
    marks = [np.asarray(facts["answer"], dtype=np.float64) for facts in both_facts]
    lengths = [np.asarray(facts["length"], dtype=np.float64) for facts in both_facts]
    longer, shorter = np.maximum(*lengths), np.minimum(*lengths)
    for least in (LONG_TOKENS, SHORT_TOKENS):
        chosen = longer >= least
        count = int(chosen.sum())
        enough = count >= MANY_ANSWERS and float(shorter[chosen].sum()) >= ENOUGH_TOKENS
        if enough and bool((marks[0][chosen] == marks[1][chosen]).all()):
            return Problem(GateCode.LONG_ANSWERS, {"count": count, "tokens": least})
    return None
