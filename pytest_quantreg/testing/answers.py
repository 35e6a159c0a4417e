"""What generated answers must be like so that exact match and cut answers can be trusted."""

from __future__ import annotations

from itertools import pairwise

from .demand import demand, demand_no_crash, refuse
from .requests import Asker, Generated
from .shared import Conformance

LIMITS = (1, 2, 4, 8, 16)
"""Limits of new tokens that are tried."""

UNFINISHED = "\ufffd"
"""What half of a letter decodes to."""


class GeneratingConformance(Conformance):
    """``generate_until`` and ``cut_answers``."""

    def test_answers_are_new_text(self, asker: Asker) -> None:
        """One text per request, without its prompt, and not the same for every prompt."""
        prompts = self.prompts()
        texts = self._with_cut_flags(
            asker.generated(prompts, {"max_gen_toks": 16}), len(prompts)
        ).texts
        rule = "generate_until gives the new text of each request, the prompt left out"
        why = "answers are compared with targets letter by letter"
        demand(all(isinstance(text, str) for text in texts), rule, why=why, found=texts)
        echoed = [
            text for prompt, text in zip(prompts, texts, strict=True) if text.startswith(prompt)
        ]
        demand(len(set(texts)) > 1 and not echoed, rule, why=why, found=echoed or texts)

    def test_greedy_answers_repeat(self, asker: Asker) -> None:
        """Greedy answers are the same again, in another order, and in other batches."""
        prompts, limit = self.prompts(), {"max_gen_toks": 8}
        once = asker.generated(prompts, limit).texts
        for how, other in (
            ("the second time", asker.generated(prompts, limit).texts),
            ("in reversed order", asker.generated(prompts[::-1], limit).texts[::-1]),
        ):
            demand(
                once == other,
                "a greedy answer depends on its prompt, and on nothing else but rounding",
                why="differences that come from anything else are taken for quantization's",
                found=f"{once}, and {other} {how}",
            )
        alone = asker.generated(prompts, limit, batch_size=1).texts
        same = sum(a == b for a, b in zip(once, alone, strict=True))
        demand(
            same >= len(once) / 2,
            "most greedy answers do not depend on the batch size",
            why="a padding mistake would be taken for quantization's",
            found=f"{once} in batches and {alone} one at a time",
        )

    def test_the_limit_of_new_tokens(self, asker: Asker) -> None:
        """A larger limit goes on with the same answer; each token beyond it is left out."""
        rule = "max_gen_toks is the most new tokens of an answer"
        why = "longer answers would be scored than the task asks for, at the cost of time"
        grown = [asker.generated(self.prompts(), {"max_gen_toks": n}).texts for n in LIMITS]
        for short, longer in pairwise(grown):
            for a, b in zip(short, longer, strict=True):
                demand(b.startswith(a.rstrip(UNFINISHED)), rule, why=why, found=f"{a!r}, {b!r}")
        shortest, longest = sum(map(len, grown[0])), sum(map(len, grown[-1]))
        evidence = f"{grown[0]} with a limit of 1, {grown[-1]} with one of {LIMITS[-1]}"
        demand(shortest < longest, rule, why=why, found=evidence)
        if asker.attribute("tok_encode") is None:
            return
        for limit, texts in zip(LIMITS, grown, strict=True):
            for text in (answer.rstrip(UNFINISHED) for answer in texts):
                if UNFINISHED in text:
                    continue
                count = len(asker.tokens(text, special=False))
                # What is encoded anew may part once more than it was generated.
                evidence = f"{count} tokens in {text!r} with a limit of {limit}"
                demand(count <= limit + 1 + limit // 4, rule, why=why, found=evidence)

    def test_stop_texts_end_an_answer(self, asker: Asker) -> None:
        """An answer ends before the first stop text, also in the midst of a batch."""
        prompts = self.prompts()
        free = asker.generated(prompts, {"max_gen_toks": 16}).texts
        stops = [_middle(text) for text in free]
        options = [{"max_gen_toks": 16, "until": [stop, "\n\n"]} for stop in stops]
        together = asker.generated(prompts, *options).texts
        for whole, stop, stopped in zip(free, stops, together, strict=True):
            if not stop or "\n\n" in whole:
                continue
            demand(
                stopped == whole[: whole.index(stop)],
                "an answer ends before the first of the texts in until",
                why="what follows the answer would be compared with the target too",
                found=f"{stopped!r} of {whole!r} with the stop text {stop!r}",
            )
        _demand_shown(any(stops), free)

    def test_cut_answers_are_told(self, asker: Asker) -> None:
        """cut_answers says of each answer whether it reached the limit of new tokens."""
        prompts = self.prompts()
        free = asker.generated(prompts, {"max_gen_toks": 16}).texts
        shown = False
        for prompt, whole in zip(prompts, free, strict=True):
            if not (stop := _middle(whole)):
                continue
            shown = True
            # Both ways round, so that an answer's mark cannot be another's.
            short, ended = {"max_gen_toks": 1}, {"max_gen_toks": 16, "until": [stop]}
            answers = self._with_cut_flags(asker.generated([prompt, prompt], short, ended), 2)
            self._demand_cut(answers, (True, False), stop)
            answers = self._with_cut_flags(asker.generated([prompt, prompt], ended, short), 2)
            self._demand_cut(answers, (False, True), stop)
        _demand_shown(shown, free)

    def test_prompts_of_any_text(self, asker: Asker) -> None:
        """Prompts with letters of all kinds, and a very long one, are answered or refused."""
        long = " ".join(self.texts * 40)
        with demand_no_crash(
            "any prompt is answered, or refused with words of its own",
            why="one item that fails refuses the whole task",
        ):
            asker.generated(["Größe 東京 🙂", "x", long], {"max_gen_toks": 2, "until": ["\n"]})

    def test_greedy_answers_score_as_greedy(self, asker: Asker) -> None:
        """What is generated greedily is what scoring calls greedy."""
        if not self.can_score:
            return
        pairs = [
            (prompt, text)
            for prompt in self.prompts()
            for text in asker.generated([prompt], {"max_gen_toks": 2}).texts
            if text.strip() and UNFINISHED not in text and asker.split_alike(prompt, text)
        ]
        flags = [greedy for _, greedy in asker.scores(pairs)]
        demand(
            # Rounding, and texts that are encoded otherwise than they were generated.
            not pairs or sum(flags) > len(flags) / 2,
            "a continuation is greedy when generating would give it",
            why="scoring and generating would be of two different models",
            found=f"{sum(flags)} of {len(flags)} generated answers: {pairs}",
        )

    def _with_cut_flags(self, generated: Generated, requests: int) -> Generated:
        rule = "after generate_until the LM's cut_answers holds one bool per request"
        why = "answers cut short are a sign of a broken model, and are counted"
        if generated.cut is None:
            refuse(rule, why=why, found="no attribute cut_answers")
        sound = len(generated.cut) == len(generated.texts) == requests
        sound = sound and all(isinstance(flag, bool) for flag in generated.cut)
        demand(sound, rule, why=why, found=f"{generated.cut} for {requests} requests")
        return generated

    def _demand_cut(self, generated: Generated, expected: tuple[bool, bool], stop: str) -> None:
        demand(
            generated.cut == expected,
            "an answer is cut when it reached max_gen_toks, and not when it was stopped",
            why="a model that no longer ends its answers would not be noticed",
            found=f"{generated.cut} for {generated.texts}: of these one had a limit of 1 token, "
            f"the other ended at {stop!r}",
        )


def _demand_shown(shown: bool, answers: tuple[str, ...]) -> None:
    demand(
        shown,
        "a model that answers one of the texts in 8 readable letters or more",
        why="nothing is shown otherwise; set texts that it answers, or take a trained model",
        found=answers,
    )


def _middle(text: str) -> str:
    """Two letters from the midst of an answer; none of an answer too short for it."""
    return text[len(text) // 2 :][:2] if len(text) >= 8 and UNFINISHED not in text else ""
