"""A tiny engine: it guesses the next word from the last one and from who was named last."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

PIECE = re.compile(r" ?[A-Za-z]+|[^A-Za-z]")
BYTES = 256  # tokens 1 to 256 are bytes, for words that training never saw
RARE = 0.05  # what counts as seen of each pair that was not


class WordPairs:
    """Two tables: scores of the next word after each word, and after each name."""

    start = end = 0
    context = 512

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "vocabulary.json").read_text("utf-8"))
        self.words: list[str] = config["words"]
        self._tokens = {word: BYTES + 1 + at for at, word in enumerate(self.words)}
        self._names = {name: 1 + at for at, name in enumerate(config["names"])}
        with np.load(folder / "weights.npz") as weights:
            self.after = (weights["after"], weights["after_scale"])
            self.about = (weights["about"], weights["about_scale"])

    def encode(self, text: str) -> list[int]:
        tokens: list[int] = []
        for piece in PIECE.findall(text):
            known = self._tokens.get(piece)
            tokens += [known] if known else [1 + byte for byte in piece.encode()]
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self._bytes, tokens)).decode(errors="replace")

    def log_probs(self, tokens: Sequence[int]) -> np.ndarray:
        names, last = [], 0
        for token in tokens:
            last = self._names.get(self._bytes(token).decode(errors="replace").strip(), last)
            names.append(last)
        scores = rows(self.after, list(tokens)) + rows(self.about, names)
        scores -= scores.max(axis=1, keepdims=True)
        return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))

    def _bytes(self, token: int) -> bytes:
        if token > BYTES:
            return self.words[token - BYTES - 1].encode()
        return bytes([token - 1]) if token else b""


def rows(table: tuple[np.ndarray, np.ndarray], places: Sequence[int]) -> np.ndarray:
    """Rows of a table of numbers, times their scales: one scale per row, or per group in it."""
    numbers, scales = table[0][places], table[1][places]
    width = -(-numbers.shape[1] // scales.shape[1])
    return numbers * np.repeat(scales, width, axis=1)[:, : numbers.shape[1]]


def train(texts: Iterable[str], names: Sequence[str], folder: Path) -> None:
    """Counts pairs of words, and the words that follow a name in the same text."""
    pieces = [PIECE.findall(text) for text in texts]
    words = sorted({piece for text in pieces for piece in text if piece.isascii()})
    tokens = {word: BYTES + 1 + at for at, word in enumerate(words)}
    known = {name: 1 + at for at, name in enumerate(names)}
    size = BYTES + 1 + len(words)
    after, about = np.full((size, size), RARE, np.float32), np.zeros((len(known) + 1, size))
    for text, times in Counter(map(tuple, pieces)).items():
        last, name = 0, 0
        for piece in (*text, None):
            token = 0 if piece is None else tokens[piece]
            after[last, token] += times
            about[name, token] += times if name else 0
            last, name = token, known.get((piece or "").strip(), name)
    share = after.sum(axis=0) / after.sum()
    seen = about.sum(axis=1, keepdims=True)
    after = np.log(after / after.sum(axis=1, keepdims=True))
    about = np.log((about + 20 * share) / (seen + 20) / share)
    folder.mkdir(parents=True)
    vocabulary = json.dumps({"words": words, "names": list(names)})
    (folder / "vocabulary.json").write_text(vocabulary, "utf-8")
    (folder / "config.json").write_text(json.dumps({"scheme": None}), "utf-8")
    plain = [(table.astype(np.float32), np.ones((len(table), 1))) for table in (after, about)]
    _save(folder, *plain)


def quantize(source: Path, target: Path, scheme: str, *, bits: int, group: int | None) -> None:
    """Rounds both tables to integers with a scale per row, or per ``group`` numbers of it."""
    model = WordPairs(source)
    target.mkdir(parents=True)
    (target / "vocabulary.json").write_bytes((source / "vocabulary.json").read_bytes())
    (target / "config.json").write_text(json.dumps({"scheme": scheme}), "utf-8")
    after, about = (_rounded(table, bits, group) for table, _ in (model.after, model.about))
    _save(target, after, about)


def _rounded(table: np.ndarray, bits: int, group: int | None) -> tuple[np.ndarray, np.ndarray]:
    width = group or table.shape[1]
    starts = range(0, table.shape[1], width)
    most = [np.abs(table[:, at : at + width]).max(axis=1) for at in starts]
    scales = np.maximum(np.stack(most, axis=1) / (2 ** (bits - 1) - 1), 1e-8)
    each = np.repeat(scales, width, axis=1)[:, : table.shape[1]]
    return np.rint(table / each).astype(np.int8), scales.astype(np.float32)


def _save(folder: Path, after: Sequence[np.ndarray], about: Sequence[np.ndarray]) -> None:
    names = ("after", "after_scale", "about", "about_scale")
    np.savez(folder / "weights.npz", **dict(zip(names, (*after, *about), strict=True)))
