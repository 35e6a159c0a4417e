"""Trains the model of this example, in a few seconds: python make_model.py FOLDER."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from wordpairs import train  # noqa: E402
from world import World, training_texts  # noqa: E402

TEXTS = {"facts": 40_000, "questions": 20_000, "stories": 6_000}


def main() -> None:
    """Words and names of the small world of ../tasks."""
    texts = [one.text for kind, n in TEXTS.items() for one in islice(training_texts(kind), n)]
    train(texts, World().names, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
