"""The lm-eval model over anything that gives the probabilities of the next token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

if TYPE_CHECKING:
    from .backend import SimpleEngine

MOST_TOKENS = 256
"""New tokens of an answer where the task does not say."""


class NextToken(Protocol):
    """What a model must know. Its tokens are numbers from 0."""

    start: int
    """The token that stands before every text."""

    end: int
    """The token that ends an answer; it may be ``start``."""

    context: int
    """How many tokens it looks at; earlier ones are cut."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, none added."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens."""
        ...

    def log_probs(self, tokens: Sequence[int]) -> npt.NDArray[np.floating[Any]]:
        """Per place the natural logarithms of the probabilities of the next token.

        Shape (tokens, vocabulary): row i is given ``tokens[: i + 1]``.
        """
        ...


class SimpleLM(TemplateLM):  # type: ignore[misc]  # lm-eval ships no types
    """Scores and generates, one request after the other."""

    def __init__(self, engine: SimpleEngine, batch_size: int) -> None:
        super().__init__()
        self._engine = engine
        self.batch_size = batch_size
        self.cut_answers: tuple[bool, ...] = ()

    @property
    def eot_token_id(self) -> int:
        """The token that ends an answer."""
        return int(self._model.end)

    @property
    def prefix_token_id(self) -> int:
        """What a text is predicted from."""
        return int(self._model.start)

    @property
    def max_length(self) -> int:
        """Tokens that the model looks at."""
        return int(self._model.context)

    def tok_encode(
        self,
        string: str,
        add_special_tokens: bool | None = None,  # noqa: ARG002
        **_: Any,
    ) -> list[int]:
        """The model's own tokens; there are no special ones."""
        return list(self._model.encode(string))

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        """Of each whole text, in windows as long as the context, each token scored once."""
        return [self._rolling(self.tok_encode(request.args[0])) for request in requests]

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        """Greedy answers, or sampled ones by the tasks' own arguments."""
        answers = [self._answer(*request.args) for request in requests]
        self.cut_answers = tuple(cut for _, cut in answers)
        return [text for text, _ in answers]

    def _loglikelihood_tokens(
        self, requests: list[tuple[Any, list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        return [self._score(context, tokens) for _, context, tokens in requests]

    @property
    def _model(self) -> NextToken:
        model: NextToken = self._engine.model
        return model

    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        if not tokens:
            return 0.0, True
        seen = [self.prefix_token_id, *context, *tokens][:-1]
        if context[:1] == [self.prefix_token_id]:
            seen = seen[1:]
        # From the left, as lm-eval does: what is scored stays whole if it fits at all.
        seen = seen[-max(self.max_length, len(tokens)) :]
        rows = self._model.log_probs(seen)[-len(tokens) :]
        total = float(sum(rows[at, token] for at, token in enumerate(tokens)))
        return total, bool((rows.argmax(axis=1) == np.asarray(tokens)).all())

    def _rolling(self, tokens: list[int]) -> float:
        windows = get_rolling_token_windows(
            token_list=tokens,
            prefix_token=self.prefix_token_id,
            max_seq_len=self.max_length,
            context_len=1,
        )
        return sum(self._score(*make_disjoint_window(window))[0] for window in windows)

    def _answer(self, prompt: str, options: Mapping[str, Any]) -> tuple[str, bool]:
        """The text before the first stop text, and whether it ran into the limit."""
        until = options.get("until") or []
        stops = [until] if isinstance(until, str) else [stop for stop in until if stop]
        limit = int(options.get("max_gen_toks") or MOST_TOKENS)
        draw = options.get("temperature", 1.0) if options.get("do_sample") else 0.0
        seen, new_tokens = [self.prefix_token_id, *self.tok_encode(prompt)], list[int]()
        while len(new_tokens) < limit:
            row = self._model.log_probs(seen[-self.max_length :])[-1]
            token = _draw_token(row, draw) if draw else int(row.argmax())
            if token == self.eot_token_id:
                return self._model.decode(new_tokens), False
            seen.append(token)
            new_tokens.append(token)
            text = self._model.decode(new_tokens)
            if ends := [text.index(stop) for stop in stops if stop in text]:
                return text[: min(ends)], False
        return self._model.decode(new_tokens), True


def _draw_token(row: npt.NDArray[np.floating[Any]], temperature: float) -> int:
    # numpy's own generator: it is seeded for each measurement.
    scaled = np.exp((row - row.max()) / temperature)
    return int(np.random.choice(len(row), p=scaled / scaled.sum()))
