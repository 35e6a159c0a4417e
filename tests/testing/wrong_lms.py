"""Toy models that score or answer wrongly, each in one way, and one that rightly refuses."""

from __future__ import annotations

from typing import Any

from pytest_quantreg.core.errors import WrongUse

from .toy import ToyLM

# -- wrong scores ------------------------------------------------------------------------


class ConstantLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        return -1.0, False


class ZeroLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        return 0.0, False


class MeanLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        value, greedy = super()._score(context, tokens)
        return value / max(1, len(tokens)), greedy


class UnnormalisedLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        value, greedy = super()._score(context, tokens)
        return value / 40, greedy


class DeafLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        return super()._score([], tokens)


class OrderLM(ToyLM):
    def loglikelihood(self, requests: list[Any], **more: Any) -> list[tuple[float, bool]]:
        scores = super().loglikelihood(requests)
        return [(value * (1 + 0.05 * at), greedy) for at, (value, greedy) in enumerate(scores)]


class SwappedLM(ToyLM):
    def loglikelihood(self, requests: list[Any], **more: Any) -> list[tuple[float, bool]]:
        return sorted(super().loglikelihood(requests))


class PaddedLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        value, greedy = super()._score(context, tokens)
        return value * (1 if self.batch_size == 1 else 1.1), greedy


class NoisyLM(ToyLM):
    calls = 0

    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        value, greedy = super()._score(context, tokens)
        NoisyLM.calls += 1
        return value * (1 + 0.1 * (NoisyLM.calls % 7)), greedy


class AlwaysGreedyLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        return super()._score(context, tokens)[0], True


class NeverGreedyLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        return super()._score(context, tokens)[0], False


class AsciiLM(ToyLM):
    def tok_encode(self, string: str, *more: Any, **options: Any) -> list[int]:
        return [1 + byte for byte in string.encode("ascii")]


class NanLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        value, greedy = super()._score(context, tokens)
        return (float("nan") if len(context) > self.max_length else value), greedy


class HalfRolledLM(ToyLM):
    def _rolling(self, tokens: list[int]) -> float:
        return super()._rolling(tokens[len(tokens) // 2 :])


class GreedyByLengthLM(ToyLM):
    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        return super()._score(context, tokens)[0], len(tokens) > 5


class RollsNothingLM(ToyLM):
    def _rolling(self, tokens: list[int]) -> float:
        return 0.0


class TellsNoTokensLM(ToyLM):
    def tok_encode(self, string: str, *more: Any, **options: Any) -> list[int]:
        return [*super().tok_encode(string), self.eot_token_id]


# -- wrong answers -----------------------------------------------------------------------


class EchoLM(ToyLM):
    def generate_until(self, requests: list[Any], **more: Any) -> list[str]:
        texts = super().generate_until(requests)
        return [request.args[0] + text for request, text in zip(requests, texts, strict=True)]


class DeafToStopsLM(ToyLM):
    def _answer(self, prompt: str, options: Any) -> tuple[str, bool]:
        return super()._answer(prompt, {**options, "until": []})


class KeepsStopLM(ToyLM):
    def _answer(self, prompt: str, options: Any) -> tuple[str, bool]:
        text, cut = super()._answer(prompt, options)
        return (text if cut else text + "".join(options["until"][:1])), cut


class EndlessLM(ToyLM):
    def _answer(self, prompt: str, options: Any) -> tuple[str, bool]:
        return super()._answer(prompt, {**options, "max_gen_toks": 16})


class NeverCutLM(ToyLM):
    def generate_until(self, requests: list[Any], **more: Any) -> list[str]:
        texts = super().generate_until(requests)
        self.cut_answers = (False,) * len(texts)
        return texts


class CutTurnedLM(ToyLM):
    def generate_until(self, requests: list[Any], **more: Any) -> list[str]:
        texts = super().generate_until(requests)
        self.cut_answers = self.cut_answers[::-1]
        return texts


class UncutLM(ToyLM):
    def generate_until(self, requests: list[Any], **more: Any) -> list[str]:
        texts = super().generate_until(requests)
        del self.cut_answers
        return texts


class SampledLM(ToyLM):
    def _answer(self, prompt: str, options: Any) -> tuple[str, bool]:
        return super()._answer(prompt, {**options, "do_sample": True, "temperature": 5.0})


class FailsOnLettersLM(ToyLM):
    def _answer(self, prompt: str, options: Any) -> tuple[str, bool]:
        return super()._answer(prompt.encode("latin-1").decode("latin-1"), options)


class MuteLM(ToyLM):
    """Right: it cannot score, and says so."""

    def _score(self, context: list[int], tokens: list[int]) -> tuple[float, bool]:
        raise WrongUse("this toy gives no log-probabilities of prompts")
