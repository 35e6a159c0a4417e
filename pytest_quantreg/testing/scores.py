"""What log-likelihoods must be like so that accuracy and perplexity can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import TypeAlias

import pytest

from .demand import demand, demand_no_crash
from .requests import Asker, Pair
from .shared import Conformance

Chain: TypeAlias = "tuple[str, str, str]"
Score: TypeAlias = "tuple[float, bool]"

LONG = 4096
"""Tokens of the longest prompt that is tried on models with a larger context."""

FOREIGN = ("Größe und Maß", " 東京は", " 🙂🙃", " naïve — “so”", "a\t\n b", "e\u0301")


class ScoringConformance(Conformance):
    """``loglikelihood`` and ``loglikelihood_rolling``; all of it needs ``can_score``."""

    @pytest.fixture
    def scorer(self, asker: Asker) -> Asker:
        """The loaded baseline, if it can score."""
        if not self.can_score:
            pytest.skip("can_score is False: only that it refuses is checked")
        return asker

    def test_scores_are_log_probabilities(self, scorer: Asker) -> None:
        """One finite number per request, none above 0 and not all 0, with a truth value."""
        scores = scorer.scores(pairs := self.pairs())
        rule = "loglikelihood gives one (log-probability in nats, greedy) per request, in order"
        why = "sums of other numbers choose other answers, and 0.0 for all reads as chance"
        demand(len(scores) == len(pairs), rule, why=why, found=f"{len(scores)} of {len(pairs)}")
        for pair, (value, _) in zip(pairs, scores, strict=True):
            sound = math.isfinite(value) and value <= self.tolerance
            demand(sound, rule, why=why, found=f"{value} for {pair}")
        demand(any(value < -self.tolerance for value, _ in scores), rule, why=why, found="all 0")

    def test_choices_differ(self, scorer: Asker) -> None:
        """Different continuations of one context have different log-likelihoods."""
        context = self.prompts()[0]
        values = scorer.values([(context, continuation) for continuation in self._continuations()])
        demand(
            len({round(value, 6) for value in values}) > 1,
            "the log-likelihood depends on the continuation",
            why="with equal choices every multiple-choice task reads as chance",
            found=f"{values[0]:.4f} for each of {len(values)} choices after {context!r}",
        )

    def test_context_matters(self, scorer: Asker) -> None:
        """The same continuation scores otherwise after other contexts."""
        continuation = self._continuations()[0]
        values = scorer.values([(context, continuation) for context in self.prompts()])
        demand(
            len({round(value, 6) for value in values}) > 1,
            "the log-likelihood depends on the context",
            why="prompts and few-shot examples would have no effect",
            found=f"{values[0]:.4f} for {continuation!r} after each of {len(values)} contexts",
        )

    def test_probabilities_add_up(self, scorer: Asker) -> None:
        """Continuations that exclude each other have probabilities of 1 in sum at most."""
        for context in self.prompts():
            chosen = self._exclusive(scorer, context)
            total = math.fsum(math.exp(v) for v in scorer.values([(context, c) for c in chosen]))
            demand(
                total <= 1 + 2 * self.tolerance,
                "log-likelihoods are natural logarithms of normalised probabilities",
                why="perplexity and divergence are meaningless in other units",
                found=f"{total:.3f} in sum over {len(chosen)} continuations of {context!r}",
            )

    def test_parts_add_up(self, scorer: Asker) -> None:
        """The log-likelihood of a continuation is the sum over its tokens, given what precedes."""
        for (context, first, second), (whole, begun, rest) in self._chains(scorer):
            demand(
                abs(whole[0] - begun[0] - rest[0]) <= self._slack(scorer, first + second),
                "log P(ab | c) = log P(a | c) + log P(b | c a)",
                why="with a mean, or with tokens left out, longer choices win or lose unduly",
                found=f"{whole[0]:.4f}, not {begun[0]:.4f} + {rest[0]:.4f}, for {first!r} and "
                f"{second!r} after {context!r}",
            )

    def test_greedy_parts_make_a_greedy_whole(self, scorer: Asker) -> None:
        """A continuation is greedy exactly when each of its parts is."""
        for (context, first, second), (whole, begun, rest) in self._chains(scorer):
            demand(
                whole[1] == (begun[1] and rest[1]),
                "the truth value says whether every token was the likeliest one",
                why="it is the accuracy of tasks such as lambada",
                found=f"{whole[1]} for the whole, {begun[1]} and {rest[1]} for the parts of "
                f"{first + second!r} after {context!r}",
            )

    def test_one_greedy_continuation_at_most(self, scorer: Asker) -> None:
        """Of continuations that exclude each other at most one is greedy."""
        for context in self.prompts():
            chosen = self._exclusive(scorer, context)
            scores = scorer.scores([(context, continuation) for continuation in chosen])
            greedy = [
                continuation for continuation, (_, flag) in zip(chosen, scores, strict=True) if flag
            ]
            demand(
                len(greedy) <= 1,
                "only the likeliest continuation is greedy",
                why="it is the accuracy of tasks such as lambada",
                found=f"{greedy} all greedy after {context!r}",
            )

    def test_the_same_again(self, scorer: Asker) -> None:
        """The same requests again give the same answers."""
        pairs = self.pairs()
        self._close(scorer, pairs, scorer.values(pairs), scorer.values(pairs), "the second time")

    def test_order_of_requests(self, scorer: Asker) -> None:
        """Answers belong to their requests, in whatever order these come."""
        pairs = self.pairs()
        turned = scorer.values(pairs[::-1])[::-1]
        self._close(scorer, pairs, scorer.values(pairs), turned, "in reversed order")

    def test_batch_size(self, scorer: Asker) -> None:
        """One request at a time or several at once: the same but for rounding."""
        pairs = self.pairs()
        alone = scorer.values(pairs, batch_size=1)
        self._close(scorer, pairs, scorer.values(pairs, batch_size=3), alone, "one at a time")

    def test_rolling_is_a_log_likelihood(self, scorer: Asker) -> None:
        """The rolling score is finite, below 0, the same again, and falls with every word."""
        for text in self.texts:
            words = text.split(" ")
            begun = [" ".join(words[:at]) for at in range(2, len(words) + 1, 3)]
            begun = [part for part in begun if scorer.split_alike(part, text[len(part) :])] or [
                text
            ]
            values = scorer.rolling(begun)
            falls = all(b <= a + self.tolerance for a, b in pairwise(values))
            again = scorer.rolling(begun)
            same = all(
                abs(a - b) <= self._slack(scorer, text) for a, b in zip(values, again, strict=True)
            )
            demand(
                all(math.isfinite(v) and v < 0 for v in values) and falls and same,
                "loglikelihood_rolling gives the log-probability of the whole text",
                why="perplexity is made of nothing else",
                found=f"{values}, then {again}, for growing parts of {text!r}",
            )

    def test_rolling_and_scoring_agree(self, scorer: Asker) -> None:
        """A text scores the same rolled as after nothing, where no token is put before it."""
        for text in self.texts:
            if scorer.tokens(text) != scorer.tokens(text, special=False):
                # lm-eval then predicts the token before the text too, and sees it twice.
                continue
            rolled, scored = scorer.rolling([text])[0], scorer.values([("", text)])[0]
            demand(
                abs(rolled - scored) <= self._slack(scorer, text),
                'rolling over a text is loglikelihood("", text)',
                why="perplexity and accuracy would be of two different models",
                found=f"{rolled:.4f} rolled and {scored:.4f} scored for {text!r}",
            )

    def test_tokens_are_told(self, scorer: Asker) -> None:
        """tok_encode gives the same whole numbers each time, more of them for more text."""
        text = self.texts[0]
        tokens = scorer.tokens(text, special=False)
        demand(
            bool(tokens)
            and all(type(token) is int for token in tokens)
            and tokens == scorer.tokens(text, special=False)
            and scorer.tokens("", special=False) == []
            and len(scorer.tokens(text * 2, special=False)) > len(tokens),
            "tok_encode(text, add_special_tokens=False) gives the text's own token ids",
            why="perplexity is taken per token, and both models must have the same number",
            found=f"{tokens[:8]} for {text!r}, {scorer.tokens('', special=False)} for no text",
        )

    def test_any_text(self, scorer: Asker) -> None:
        """Letters of all kinds, in context and continuation, get finite scores."""
        context = self.prompts()[0]
        pairs = [(context, foreign) for foreign in FOREIGN[:4]] + [
            (foreign, " and") for foreign in FOREIGN
        ]
        rule = "any text can be scored"
        why = "tasks hold names, quotes and emoji; one item that fails refuses the whole task"
        values: list[float] = []
        with demand_no_crash(rule, why=why):
            values = [*scorer.values(pairs), *scorer.rolling(FOREIGN[:4])]
        odd = [value for value in values if not math.isfinite(value)]
        demand(bool(values) and not odd, rule, why=why, found=f"{odd or 'refused'}")

    def test_an_empty_continuation(self, scorer: Asker) -> None:
        """No continuation has probability 1, or is an error; nothing else."""
        try:
            value = scorer.values([(self.prompts()[0], "")])[0]
        except Exception:
            return
        demand(
            abs(value) <= self.tolerance,
            "an empty continuation scores 0.0 or raises",
            why="a made-up score would decide an item that cannot be decided",
            found=value,
        )

    def test_a_very_long_prompt(self, scorer: Asker) -> None:
        """A prompt beyond the context is cut from the left; its continuation is still scored."""
        limit = min(int(scorer.attribute("max_length") or LONG), LONG)
        text = " ".join(self.texts)
        prompt = text + (" " + text) * (limit // max(1, len(scorer.tokens(text))) + 1)
        rule = "prompts longer than the model's context are cut from the left, or refused"
        why = "one long item must not end the whole run, nor be scored by its beginning"
        value = -1.0
        with demand_no_crash(rule, why=why):
            value = scorer.values([(prompt, self._continuations()[0])])[0]
        demand(math.isfinite(value) and value < 0, rule, why=why, found=value)

    def _continuations(self) -> list[str]:
        words = dict.fromkeys(word for text in self.texts for word in text.strip(".").split(" "))
        return [f" {word}" for word in words][:20]

    def _exclusive(self, asker: Asker, context: str) -> list[str]:
        """Continuations none of which begins with the tokens of another."""
        begin = asker.tokens(context)
        tails = {}
        for continuation in self._continuations():
            whole = asker.tokens(context + continuation)
            if whole[: len(begin)] == begin and len(whole) > len(begin):
                tails[continuation] = whole[len(begin) :]
        barred = set()
        for continuation, other in combinations(tails, 2):
            short = min(len(tails[continuation]), len(tails[other]))
            if tails[continuation][:short] == tails[other][:short]:
                barred.add(other)
        return [continuation for continuation in tails if continuation not in barred]

    def _chains(self, asker: Asker) -> list[tuple[Chain, tuple[Score, Score, Score]]]:
        """(context, a, b) with the scores of ab, a, and b after a."""
        chains = []
        for text in self.texts:
            words = text.split(" ")
            for at in range(1, len(words) - 2, 2):
                parts = (" ".join(words[:at]), f" {words[at]}", f" {words[at + 1]}")
                if asker.split_alike(*parts):
                    chains.append(parts)
        demand(
            bool(chains),
            "tok_encode splits some of the texts at their spaces",
            why="nothing can be said of sums otherwise: set texts that the model knows",
            found="no place in any text where tokens and words part alike",
        )
        # Three calls: lm-eval's own models mix up requests of one call that are the same
        # tokens, parted at different places. No task asks such.
        wholes = asker.scores([(context, a + b) for context, a, b in chains])
        begun = asker.scores([(context, a) for context, a, _ in chains])
        rests = asker.scores([(context + a, b) for context, a, b in chains])
        return list(zip(chains, zip(wholes, begun, rests, strict=True), strict=True))

    def _slack(self, asker: Asker, text: str) -> float:
        return self.tolerance * max(1, len(asker.tokens(text, special=False)))

    def _close(
        self,
        asker: Asker,
        pairs: Sequence[Pair],
        once: Sequence[float],
        other: Sequence[float],
        how: str,
    ) -> None:
        for pair, a, b in zip(pairs, once, other, strict=True):
            demand(
                abs(a - b) <= self._slack(asker, pair[1]),
                "an answer depends on its request, and on nothing else but rounding",
                why="differences that come from anything else are taken for quantization's",
                found=f"{a:.4f}, and {b:.4f} {how}, for {pair}",
            )
