"""Puts requests to a loaded engine as a measurement does, and reads the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..core.engine import Engine
from ..measure.accuracy.quiet import quiet

Pair: TypeAlias = "tuple[str, str]"
"""A context and what is to follow it."""

GREEDY: Mapping[str, Any] = {"do_sample": False, "temperature": 0.0}


@dataclass(frozen=True)
class Generated:
    """The answers to a list of prompts; ``cut`` is None where the engine does not tell."""

    texts: tuple[str, ...]
    cut: tuple[bool, ...] | None


class Asker:
    """An engine seen through lm-eval's requests."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def scores(self, pairs: Sequence[Pair], batch_size: int = 4) -> list[tuple[float, bool]]:
        """One (log-likelihood, greedy) per pair."""
        scores = self._answers("loglikelihood", pairs, batch_size)
        return [(float(value), bool(greedy)) for value, greedy in scores]

    def values(self, pairs: Sequence[Pair], batch_size: int = 4) -> list[float]:
        """The log-likelihoods alone."""
        return [value for value, _ in self.scores(pairs, batch_size)]

    def rolling(self, texts: Sequence[str], batch_size: int = 4) -> list[float]:
        """The log-likelihood of each whole text."""
        arguments = [(text,) for text in texts]
        return [
            float(value) for value in self._answers("loglikelihood_rolling", arguments, batch_size)
        ]

    def generated(
        self, prompts: Sequence[str], *options: Mapping[str, Any], batch_size: int = 4
    ) -> Generated:
        """Greedy answers; one set of options for all prompts, or one for each."""
        all_options = options if len(options) > 1 else options * len(prompts)
        arguments = [
            (prompt, {"until": [], **GREEDY, **prompt_options})
            for prompt, prompt_options in zip(prompts, all_options, strict=True)
        ]
        with quiet():
            lm = self._engine.lm(batch_size)
            texts = lm.generate_until(list(_requests("generate_until", arguments)))
        cut = getattr(lm, "cut_answers", None)
        return Generated(tuple(texts), None if cut is None else tuple(cut))

    def tokens(self, text: str, *, special: bool = True) -> list[int]:
        """The engine's own tokens of a text, with or without special ones."""
        with quiet():
            lm = self._engine.lm(4)
            options = {} if special else {"add_special_tokens": False}
            return list(lm.tok_encode(text, **options))

    def attribute(self, name: str) -> Any:
        """An attribute of the engine's LM, None if it has none."""
        with quiet():
            return getattr(self._engine.lm(4), name, None)

    def split_alike(self, *parts: str) -> bool:
        """Return whether the parts' tokens begin where the parts do, whatever follows them."""
        whole = self.tokens("".join(parts))
        for end in range(1, len(parts)):
            begun = self.tokens("".join(parts[:end]))
            if not begun or len(begun) >= len(whole) or whole[: len(begun)] != begun:
                return False
        return True

    def _answers(
        self, kind: str, argument_lists: Sequence[tuple[Any, ...]], batch_size: int
    ) -> list[Any]:
        with quiet():
            lm = self._engine.lm(batch_size)
            return list(getattr(lm, kind)(list(_requests(kind, argument_lists))))


def _requests(kind: str, argument_lists: Sequence[tuple[Any, ...]]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [
        Instance(
            request_type=kind,
            doc={},
            arguments=arguments,
            idx=0,
            metadata=("conformance", place, 1),
        )
        for place, arguments in enumerate(argument_lists)
    ]
