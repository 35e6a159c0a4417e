"""The defaults for backends of one's own, over a model whose probabilities are known."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from pytest_quantreg.backends.simple import SimpleBackend, SimpleEngine, digest, effective, machine
from pytest_quantreg.core.errors import MissingExtra
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.testing.requests import Asker

from ...wording import refused, says, wrong_use

SPEC = ModelSpec("model", "model", "w8a8-int8", "known", quantize=True)
WORDS = "abcdefghij"


class Known:
    """After each letter the next of the alphabet with 1/2, the rest shares the other half."""

    start = 0
    end = 11
    context = 4

    def __init__(self) -> None:
        self.longest = 0

    def encode(self, text: str) -> list[int]:
        return [1 + WORDS.index(letter) for letter in text]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(WORDS[token - 1] for token in tokens)

    def log_probs(self, tokens: Sequence[int]) -> npt.NDArray[np.floating[Any]]:
        self.longest = max(self.longest, len(tokens))
        rows = np.full((len(tokens), 12), 0.5 / 11)
        rows[np.arange(len(tokens)), [min(token + 1, self.end) for token in tokens]] = 0.5
        return np.asarray(np.log(rows))


@pytest.fixture
def known() -> Known:
    """The model itself."""
    return Known()


@pytest.fixture
def asker(known: Known) -> Asker:
    """It behind an engine."""
    return Asker(SimpleEngine(known, effective("fp32", layers=1, kernel="none"), machine()))


def test_scores_are_sums_of_logarithms(asker: Asker) -> None:
    """Likely letters count log 1/2 each, others log 1/22; all likely ones are greedy."""
    likely, other = math.log(0.5), math.log(0.5 / 11)
    scores = asker.scores([("a", "bc"), ("a", "bd"), ("", "ab"), ("a", "")])
    assert [value for value, _ in scores] == pytest.approx(
        [2 * likely, likely + other, 2 * likely, 0.0]
    )
    assert [greedy for _, greedy in scores] == [True, False, True, True]


def test_the_context_is_kept_and_no_token_is_scored_twice(asker: Asker, known: Known) -> None:
    """Long texts are rolled over in windows, long prompts are cut from the left."""
    rolled = asker.rolling(["abcdefghij", "abcc", ""])
    expected = [10 * math.log(0.5), 3 * math.log(0.5) + math.log(0.5 / 11), 0.0]
    assert rolled == pytest.approx(expected)
    assert known.longest == known.context
    assert asker.values([("abcdefgh", "i")]) == pytest.approx([math.log(0.5)])
    assert known.longest == known.context


@pytest.mark.parametrize(
    ("prompt", "options", "text", "cut"),
    [
        ("a", {"max_gen_toks": 3}, "bcd", True),
        ("h", {"max_gen_toks": 3}, "ij", False),
        ("a", {"max_gen_toks": 9, "until": ["e", "d"]}, "bc", False),
        ("a", {"max_gen_toks": 9, "until": "cd"}, "b", False),
        ("a", {"max_gen_toks": 2, "until": ["", "c"]}, "b", False),
        ("a", {}, "bcdefghij", False),
    ],
)
def test_answers_end(
    asker: Asker, prompt: str, options: Mapping[str, Any], text: str, cut: bool
) -> None:
    """An answer ends at the limit, at the model's own end, or before the first stop text."""
    answer = asker.generated([prompt], options)
    assert (answer.texts, answer.cut) == ((text,), (cut,))


def test_sampled_answers_are_seeded(asker: Asker) -> None:
    """Sampling draws from numpy's generator, which a measurement seeds; greedy ones do not."""
    options = {"max_gen_toks": 8, "do_sample": True, "temperature": 5.0}
    answers = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        answers.append(asker.generated(["a", "b", "c"], options).texts)
    assert answers[0] == answers[1] != answers[2]


def test_what_is_not_made_is_wrong_use(tmp_path: Path) -> None:
    """Without a say of its own a backend quantizes nothing, and names the way out."""
    backend = SimpleBackend(cache_dir=tmp_path)
    with wrong_use("--quant-checkpoint=w8a8-int8=REF"):
        backend.prepare(SPEC, print)
    assert backend.stored_scheme(SPEC) is None
    assert backend.chat_formatter(SPEC, True) is None


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    """software names the package that is absent and how to install it."""

    class Needy(SimpleBackend):
        name = "needy"
        packages = ("no-such-package",)

    with pytest.raises(MissingExtra) as caught:
        Needy(cache_dir=tmp_path).software()
    assert says(caught.value).endswith("pip install no-such-package")
    assert says(pickle.loads(pickle.dumps(caught.value))) == says(caught.value)


def test_a_closed_engine_is_wrong_use(known: Known) -> None:
    """Closing twice is harmless; then there is no model."""
    engine = SimpleEngine(known, effective("w8a8-int8", layers=3, kernel="none"), machine())
    assert (engine.effective.mode, engine.effective.quantized_layers) == ("native", 3)
    engine.close()
    engine.close()
    with wrong_use("not loaded any more"):
        engine.lm(1)


def test_digests_cover_names_and_bytes(tmp_path: Path) -> None:
    """Order does not matter, names and bytes do; a file that is not there is refused."""
    first, second = tmp_path / "one", tmp_path / "other"
    first.write_text("ab")
    second.write_text("c")
    once = digest(first, second)
    assert once == digest(second, first)
    first.write_text("a")
    second.write_text("bc")
    assert once != digest(first, second)
    with refused("absent cannot be read"):
        digest(tmp_path / "absent")


def test_what_is_kept_is_whole(tmp_path: Path) -> None:
    """A folder that failed halfway is not there; one that is there is not made again."""
    backend = SimpleBackend(cache_dir=tmp_path / "cache")

    def fails(folder: Path) -> None:
        folder.mkdir()
        (folder / "half").touch()
        raise OSError("disk full")

    def makes(folder: Path) -> None:
        folder.mkdir()
        (folder / "whole").touch()

    with pytest.raises(OSError, match="disk full"):
        backend.kept("made", fails)
    assert list((tmp_path / "cache").iterdir()) == []
    made = backend.kept("made", makes)
    assert [path.name for path in made.iterdir()] == ["whole"]
    assert backend.kept("made", fails) == made


def test_two_that_make_the_same_at_once_agree(tmp_path: Path) -> None:
    """Who comes second keeps what the first has made."""
    backend = SimpleBackend(cache_dir=tmp_path)

    def slowly(folder: Path) -> None:
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "first").touch()
        folder.mkdir()

    assert [path.name for path in backend.kept("made", slowly).iterdir()] == ["first"]
