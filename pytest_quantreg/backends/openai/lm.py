"""lm-eval's model class for completions, over one server that was probed."""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval import utils
from lm_eval.models.openai_completions import LocalCompletionsAPI

from ...core.codes import ServerCode
from ...core.errors import Refusal
from ..quiet import quiet
from .client import without_frames
from .connection import Connection
from .probe import refuse_unscored

LENGTH = 2048
"""Tokens of context where neither the server nor an argument says how many it has."""

CUT = "Left truncation applied: a prompt was longer than what the server takes"
"""Begins as lm-eval says it elsewhere, which is listened for."""

eval_logger = logging.getLogger("lm_eval.models.openai_completions")


class Answer(str):
    """A generated text that knows whether it reached the limit of new tokens."""

    cut: bool = False


class ServedLM(LocalCompletionsAPI):  # type: ignore[misc]  # lm-eval ships no types
    """LocalCompletionsAPI with requests of our own client, and answers that are checked.

    Prompts travel as token ids: BOS stands where the tokenizer puts it, and never twice.
    lm-eval's own way of sending would show the key in tracebacks, retries what cannot
    help, and takes an answer without the prompt's log-probabilities for zeros.
    """

    cut_answers: tuple[bool, ...] = ()
    tokenizer: Any

    def __init__(self, session: Connection, folder: Path, batch_size: int) -> None:
        args = session.client.args
        with quiet():
            super().__init__(
                model=session.served.model,
                base_url=f"{args.base_url}/completions",
                tokenizer=str(folder),
                tokenizer_backend="huggingface",
                tokenized_requests=session.abilities.token_ids,
                trust_remote_code=args.trust_remote_code,
                add_bos_token=args.add_bos_token is not False,
                max_length=args.max_length or session.served.max_length or LENGTH,
                batch_size=batch_size,
                # Its way of many requests at once is the one with a single place to send them.
                num_concurrent=2,
            )
        self._session = session

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """As lm-eval's, refused where the server gives no log-probabilities of prompts."""
        self._session.check()
        refuse_unscored(self._session.abilities, self._session.served.engine)
        try:
            scores: list[tuple[float, bool]] = super().loglikelihood(requests, **options)
        except BaseException as error:
            raise without_frames(error) from None
        return scores

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        """As lm-eval's, with the windows of all documents in one go."""
        self._session.check()
        refuse_unscored(self._session.abilities, self._session.served.engine)
        windows = [self._windows(request.args[0]) for request in requests]
        try:
            scored = self._loglikelihood_tokens(
                [window for document in windows for window in document]
            )
        except BaseException as error:
            raise without_frames(error) from None
        values = iter(scored)
        return [float(sum(next(values)[0] for _ in document)) for document in windows]

    def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
        """As lm-eval's; ``cut_answers`` then says which reached the limit of new tokens."""
        self._session.check()
        self._check_room(requests)
        try:
            answers: list[Answer] = super().generate_until(requests, **options)
        except BaseException as error:
            raise without_frames(error) from None
        self.cut_answers = tuple(answer.cut for answer in answers)
        return [str(answer) for answer in answers]

    def batch_loglikelihood_requests(self, chunks: Any) -> Any:
        """As lm-eval's; that a prompt was cut is logged as its other models log it."""
        listed = [list(chunk) for chunk in chunks]
        longest = max(
            (len(request[1]) + len(request[2]) for chunk in listed for request in chunk), default=0
        )
        if longest > self.max_length:
            eval_logger.warning(CUT)
        return super().batch_loglikelihood_requests(listed)

    def tok_encode(
        self, string: Any, *_: Any, add_special_tokens: bool | None = None, **__: Any
    ) -> Any:
        """The tokens of a text, or of each of several; special ones as the tokenizer has it.

        A text that begins with BOS already, as chat templates write it, gets no second one.
        """
        if not isinstance(string, str):
            return [self.tok_encode(text, add_special_tokens=add_special_tokens) for text in string]
        special = self.add_bos_token if add_special_tokens is None else add_special_tokens
        if (bos := self.tokenizer.bos_token) and string.startswith(bos):
            special = False
        return self.tokenizer(string, add_special_tokens=special).input_ids

    async def get_batched_requests(
        self,
        requests: Sequence[Any],
        cache_keys: Sequence[Any],  # noqa: ARG002
        *,
        generate: bool = True,
        ctxlens: Sequence[int] | None = None,
        gen_kwargs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> list[list[Any]]:
        """The parsed answers to all requests, by batch, as lm-eval wants them."""
        from tqdm.auto import tqdm

        size = 1 if _samples(gen_kwargs) else self._batch_size
        batches = [requests[at : at + size] for at in range(0, len(requests), size)]
        bodies = [self._body(batch, generate, gen_kwargs) for batch in batches]
        with tqdm(total=len(requests), disable=True) as bar:
            answers = await self._session.answers(
                bodies, lambda place: bar.update(len(batches[place]))
            )
        if generate:
            return [
                _texts(answer, len(batch)) for answer, batch in zip(answers, batches, strict=True)
            ]
        assert ctxlens is not None
        starts = [ctxlens[at : at + size] for at in range(0, len(requests), size)]
        return [
            _scores(answer, batch, start)
            for answer, batch, start in zip(answers, batches, starts, strict=True)
        ]

    def _body(
        self, batch: Sequence[Any], generate: bool, gen_kwargs: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        seed = random.getrandbits(31) if _samples(gen_kwargs) else self._seed
        options = _options(gen_kwargs)
        prompts = list(batch) if self.tokenized_requests else list(map(self._bare_text, batch))
        return dict(
            self._create_payload(
                prompts, generate=generate, gen_kwargs=options, seed=seed, eos=self.eos_string
            )
        )

    def _bare_text(self, text: str) -> str:
        """A prompt for a server that encodes it, and puts its own BOS first."""
        return text.removeprefix(self.tokenizer.bos_token or "")

    def _check_room(self, requests: Sequence[Any]) -> None:
        """Refuses answers that leave no room for a prompt, and logs that prompts were cut."""
        for request in requests if self.tokenized_requests else ():
            text, options = request.args[:2]
            wanted = int(options.get("max_gen_toks", self._max_gen_toks))
            if wanted >= self.max_length:
                raise Refusal(
                    ServerCode.ANSWERS_TOO_LONG_FOR_SERVER,
                    answer=wanted,
                    context=self.max_length + 1,
                )
            if len(self.tok_encode(text)) > self.max_length - wanted:
                eval_logger.warning(CUT)
                return

    def _windows(self, text: str) -> list[tuple[Any, ...]]:
        pairs = utils.get_rolling_token_windows(
            token_list=self.tok_encode(text),
            prefix_token=self.prefix_token_id,
            max_seq_len=self.max_length - 1,
            context_len=1,
        )
        return [(None, *utils.make_disjoint_window(pair)) for pair in pairs]


def _samples(gen_kwargs: Mapping[str, Any] | None) -> bool:
    """Return whether answers are drawn: prompts that share a request would share its seed."""
    options = gen_kwargs or {}
    return bool(options.get("do_sample")) and options.get("temperature", 1.0) != 0


def _options(gen_kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Generation arguments as a server understands them: it knows no ``do_sample``."""
    options = copy.deepcopy(dict(gen_kwargs or {}))
    if options.get("do_sample"):
        options.setdefault("temperature", 1.0)
    elif "do_sample" in options:
        options["temperature"] = 0.0
    if (until := options.get("until")) is not None:
        # Servers reject an empty one, and lm-eval's other models pass it over.
        options["until"] = [stop for stop in ([until] if isinstance(until, str) else until) if stop]
    return options


def _choices(answer: Any, wanted: int) -> list[Mapping[str, Any]]:
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    if not isinstance(choices, list) or len(choices) != wanted:
        got = len(choices) if isinstance(choices, list) else 0
        raise Refusal(ServerCode.WRONG_NUMBER_OF_ANSWERS, given=got, prompts=wanted)
    return sorted(choices, key=lambda choice: choice.get("index", 0))


def _texts(answer: Any, wanted: int) -> list[Answer]:
    texts = []
    for choice in _choices(answer, wanted):
        text = Answer(choice.get("text") or "")
        text.cut = choice.get("finish_reason") == "length"
        texts.append(text)
    return texts


def _scores(
    answer: Any, prompts: Sequence[Sequence[int]], starts: Sequence[int]
) -> list[tuple[float, bool]]:
    choices = _choices(answer, len(prompts))
    return [
        _score(choice, start, len(prompt))
        for choice, prompt, start in zip(choices, prompts, starts, strict=True)
    ]


def _score(choice: Mapping[str, Any], start: int, end: int) -> tuple[float, bool]:
    """Log-probability of the tokens from ``start`` to ``end``, and whether each is likeliest."""
    logprobs = choice.get("logprobs") or {}
    all_values, all_tops = logprobs.get("token_logprobs") or [], logprobs.get("top_logprobs") or []
    values, tops = all_values[start:end], all_tops[start:end]
    # The last is that of the token which it had to generate.
    whole = end <= len(all_values) <= end + 1 and len(tops) == end - start
    if None in values:
        raise Refusal(ServerCode.NULL_AMONG_LOGPROBS, given=len(all_values), tokens=end)
    if not whole:
        raise Refusal(ServerCode.WRONG_NUMBER_OF_LOGPROBS, given=len(all_values), tokens=end)
    greedy = all(
        bool(top) and value == max(top.values()) for value, top in zip(values, tops, strict=True)
    )
    return float(sum(values)), greedy
