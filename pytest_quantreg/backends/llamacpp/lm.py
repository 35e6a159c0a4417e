"""lm-eval's questions to a model of llama.cpp: tokens as HFLM makes them, log-softmax here."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from ...core.codes import EngineCode
from ...core.errors import Refusal
from .arguments import LARGEST_CONTEXT
from .batches import Batch, Row, batches, row_of
from .generating import Answer, GenerationRequest, generate
from .native import SEQUENCES, Logits, Native

_LOGGER = logging.getLogger("lm_eval.models.llamacpp")
"""lm-eval's own, so that cut prompts are heard of in the same way."""

NEW_TOKENS = 256
"""What a task that sets no limit may generate, as in lm-eval."""


class LlamacppLM(TemplateLM):  # type: ignore[misc]  # lm-eval ships no types
    """Scores and generates with a `Native` model, ``batch_size`` sequences at a time.

    Prompts begin with BOS when the file says so, or ``add_bos`` does, and never twice.
    ``limit`` is the most tokens of a prompt with its answer.
    """

    cut_answers: tuple[bool, ...] = ()

    def __init__(self, native: Native, *, limit: int, add_bos: bool | None) -> None:
        super().__init__()
        self._native = native
        self._limit = limit
        self._adds_bos = native.adds_bos if add_bos is None else add_bos
        self._bos_text = native.text([native.bos], special=True) if native.bos >= 0 else ""
        self.batch_size = 1

    def with_batch_size(self, batch_size: int) -> LlamacppLM:
        """Itself, with so many sequences at a time from now on."""
        self.batch_size = min(batch_size, SEQUENCES)
        # Room for a whole batch where that is little, so that batches are as large as asked.
        most = min(self.batch_size * self._limit, LARGEST_CONTEXT)
        self._native.reserve(max(self._limit, most), self.batch_size)
        return self

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        return self._native.eos

    @property
    def prefix_token_id(self) -> int:
        """The token that documents are predicted from: BOS, or EOS without one."""
        return self._native.bos if self._native.bos >= 0 else self._native.eos

    @property
    def max_length(self) -> int:
        """The most tokens of a prompt with its answer."""
        return self._limit

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        """The tokens of a text; None for BOS where prompts have it, True to have it here."""
        begins = bool(self._bos_text) and string.startswith(self._bos_text)
        habit = self._adds_bos and not begins
        bos = habit if add_special_tokens is None else add_special_tokens and self._adds_bos
        return self._native.tokenize(string, bos=bos and self._native.bos >= 0)

    def loglikelihood(
        self, requests: list[Any], disable_tqdm: bool = True
    ) -> list[tuple[float, bool]]:
        """As lm-eval's models do it, and quietly."""
        scores: list[tuple[float, bool]] = super().loglikelihood(
            requests, disable_tqdm=disable_tqdm
        )
        return scores

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = True) -> list[float]:
        """The log-likelihood of whole documents, in windows that do not overlap."""
        rows: list[Row] = []
        counts: list[int] = []
        for request in requests:
            windows = map(
                make_disjoint_window,
                get_rolling_token_windows(
                    token_list=self.tok_encode(request.args[0]),
                    prefix_token=self.prefix_token_id,
                    max_seq_len=self._limit,
                    context_len=1,
                ),
            )
            document_rows = [row_of(context, scored, self._limit) for context, scored in windows]
            rows += document_rows
            counts.append(len(document_rows))
        values = [value for value, _ in self._scored(rows, disable_tqdm)]
        totals: list[float] = []
        for count in counts:
            totals.append(float(sum(values[:count])))
            values = values[count:]
        return totals

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        """Greedy answers; ``cut_answers`` then says which reached the limit of new tokens."""
        prompts = [self._generation_request(*request.args) for request in requests]
        answers: list[Answer] = []
        with tqdm(total=len(prompts), disable=disable_tqdm) as bar:
            for part in generate(self._native, prompts, self.batch_size, self._limit):
                answers += part
                bar.update(len(part))
        self.cut_answers = tuple(answer.cut for answer in answers)
        return [answer.text for answer in answers]

    def _generation_request(self, prompt: str, options: Mapping[str, Any]) -> GenerationRequest:
        tokens = self.tok_encode(prompt) or [self.prefix_token_id]
        request = GenerationRequest.of(tokens, options, NEW_TOKENS)
        room = self._limit - request.most
        if room < 1:
            raise Refusal(
                EngineCode.ANSWERS_TOO_LONG_FOR_CONTEXT, answer=request.most, context=self._limit
            )
        if len(request.prompt) > room:
            _LOGGER.warning(
                "Left truncation applied. Original sequence length was %d, truncating to last "
                "%d tokens.",
                len(request.prompt),
                room,
            )
            request = request.shortened(room)
        return request

    def _loglikelihood_tokens(
        self, requests: list[Any], disable_tqdm: bool = True, **_: Any
    ) -> list[tuple[float, bool]]:
        rows = []
        for _, context, continuation in requests:
            length = len(context) + len(continuation)
            if length > self._limit + 1:
                _LOGGER.warning(
                    "Combined length of context (%d) and continuation (%d) exceeds model's "
                    "maximum length (%d). Truncating from the left.",
                    len(context),
                    len(continuation),
                    self._limit,
                )
            rows.append(row_of(context, continuation, self._limit))
        return self._scored(rows, disable_tqdm)

    def _scored(self, rows: Sequence[Row], disable_tqdm: bool) -> list[tuple[float, bool]]:
        sums = [0.0] * len(rows)
        greedy = [True] * len(rows)
        packed = batches(
            rows,
            sequences=self.batch_size,
            capacity=self._native.capacity,
            share=not self._native.recurrent,
        )
        with tqdm(total=len(rows), disable=disable_tqdm) as bar:
            for batch in packed:
                self._score(batch, rows, sums, greedy)
                bar.update(len(batch.rows))
        return list(zip(sums, greedy, strict=True))

    def _score(
        self, batch: Batch, rows: Sequence[Row], sums: list[float], greedy: list[bool]
    ) -> None:
        def take(entry: int, logits: Logits) -> None:
            # The natural logarithm of the softmax's divisor, summed in double precision.
            largest = float(logits.max())
            total = float(np.exp(logits - largest).sum(dtype=np.float64))
            divisor = largest + float(np.log(total))
            best = int(logits.argmax())
            for row, target in batch.due[entry]:
                token = rows[row].targets[target]
                sums[row] += float(logits[token]) - divisor
                greedy[row] &= best == token

        self._native.forget()
        self._native.decode(batch.entries, take)
