"""What guessing would score on the first items of a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_ANSWER = 64


@dataclass(frozen=True)
class Answer:
    """The right answers of one item: labels of ``choices`` options, or texts (0 choices)."""

    choices: int
    right: frozenset[int | str]


def answer_of(output_type: str, requests: Sequence[Any], gold: Any, choices: int) -> Answer:
    """The right answers of an item as lm-eval's scoring reads them."""
    if output_type == "loglikelihood_rolling":
        return Answer(0, frozenset())
    golds = gold if isinstance(gold, (list, tuple)) else [gold]
    if choices < 2:
        texts = (str(gold).strip() for gold in golds)
        return Answer(0, frozenset(text for text in texts if len(text) <= LONGEST_ANSWER))
    continuations = [str(request.args[1]).strip() for request in requests[:choices]]
    return Answer(choices, frozenset(_labels(golds, continuations)))


def _labels(golds: Sequence[Any], continuations: Sequence[str]) -> list[int]:
    labels = []
    for gold in golds:
        if isinstance(gold, str):
            if gold.strip() in continuations:
                labels.append(continuations.index(gold.strip()))
        elif 0 <= int(gold) < len(continuations):
            labels.append(int(gold))
    return labels


def chance_of(answers: Sequence[Answer]) -> float:
    """The share of items that a guesser gets right, 0..1.

    With choices: the larger of drawing one of them at random (mean of right answers
    per choices) and always giving the commonest label. With short texts: always
    giving the commonest one. An answer that is right only once makes no strategy.
    """
    if not answers:
        return 0.0
    counts: Counter[int | str] = Counter(label for answer in answers for label in answer.right)
    commonest = max(counts.values(), default=0)
    if not any(answer.choices for answer in answers):
        return commonest / len(answers) if commonest > 1 else 0.0
    drawn = sum(len(answer.right) / answer.choices for answer in answers if answer.choices)
    return max(drawn, commonest) / len(answers)
