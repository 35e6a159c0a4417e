"""Makes the items of the four example tasks for lm-eval, whose YAML files lie in examples/tasks."""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from world import RELATIONS, SEED, World, draw_sum, held_out_stories, pattern_line

ITEMS = 1500
PICKED = "animal"  # what the answers of the pattern task have in common
UNSEEN = 0.4  # share of the other words in the pattern task that training never sorted
DIGITS = (5, 5, 5, 5, 5, 10)  # in one sum of the sum task; ten are more than training ever adds


def recall_items(world: World) -> list[dict[str, Any]]:
    """Four values of one relation each; the right one stands equally often in each place."""
    rng = random.Random(f"recall {SEED}")
    facts = sorted(world.held_out[:ITEMS], key=lambda fact: fact.question)
    rng.shuffle(facts)
    items = []
    for number, fact in enumerate(facts):
        others = [value for value in RELATIONS[fact.relation][2] if value != fact.value]
        choices = rng.sample(others, 3)
        answer = number % 4
        choices.insert(answer, fact.value)
        items.append({"question": fact.question, "choices": choices, "answer": answer})
    rng.shuffle(items)
    return items


def pattern_items(count: int, *, test: bool) -> list[dict[str, Any]]:
    """Lines of four words; the right one stands equally often in each place.

    In the test the right word is one that training never sorted: the model must know from
    stories what kind of word it is.
    """
    rng = random.Random(f"pattern {'test' if test else 'train'} {SEED}")
    unseen = UNSEEN if test else 0.0
    items: dict[str, dict[str, Any]] = {}
    while len(items) < count:
        words, picked = pattern_line(rng, PICKED, unseen=unseen, pick_unseen=test)
        words.remove(picked)
        answer = len(items) % 4
        words.insert(answer, picked)
        line = " ".join(words)
        items.setdefault(line, {"words": line, "choices": words, "answer": answer})
    shuffled = list(items.values())
    rng.shuffle(shuffled)
    return shuffled


def sum_items() -> list[dict[str, Any]]:
    """Different sums that training leaves out."""
    rng = random.Random(f"sum {SEED}")
    drawn: dict[str, str] = {}
    while len(drawn) < ITEMS:
        drawn.update([draw_sum(rng, rng.choice(DIGITS), held_out=True)])
    return [{"prompt": prompt, "answer": answer} for prompt, answer in drawn.items()]


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """One JSON object a line."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(lines):,} items")


def make(folder: Path) -> None:
    """Writes all items into `folder`, the same bytes every time."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World()
    write_jsonl(folder / "recall.jsonl", recall_items(world))
    write_jsonl(folder / "pattern-train.jsonl", pattern_items(100, test=False))
    write_jsonl(folder / "pattern.jsonl", pattern_items(ITEMS, test=True))
    write_jsonl(folder / "sum.jsonl", sum_items())
    write_jsonl(folder / "stories.jsonl", ({"text": text} for text in held_out_stories(world)))


def main() -> None:
    """Reads the command line and writes the items."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parent / "tasks"
    parser.add_argument("--out", type=Path, default=default, help="folder (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="overwrite what is there")
    arguments = parser.parse_args()
    present = sorted(path.name for path in arguments.out.glob("*.jsonl"))
    if present and not arguments.force:
        parser.error(f"{arguments.out} already holds {present[0]}; --force overwrites it")
    make(arguments.out)


if __name__ == "__main__":
    main()
