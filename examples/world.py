"""The small made-up world behind the example tasks: its people, its words, and texts about them.

Everything follows from `SEED`: the same people, facts and held-out items on every machine.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SEED = 20
PEOPLE = 300
ASKED = 900  # facts that training also asks about; all others are only ever stated
SHOWN = 12  # words of each category that training sorts; the others occur in stories only
TERMS = range(3, 10)  # digits in one sum; each further digit is seen 0.6 times as often

RELATIONS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # name: (question, statement, values of very different lengths)
    "home": (
        "Where does {name} live?",
        "{name} lives {value}",
        (
            "in the mill", "by the sea", "under the old stone bridge", "on a farm",
            "at the top of the steep hill", "in a blue house", "near the north gate",
            "in the forest", "above the bakery", "on a small boat down the river",
            "in the tower of the castle", "at the market",
        ),
    ),
    "job": (
        "What is the work of {name}?",
        "the work of {name} is {value}",
        (
            "baking", "mending broken clocks", "keeping the light of the tall lighthouse",
            "teaching", "digging wells", "carving spoons from soft wood", "sailing",
            "selling salt and pepper", "weaving", "painting doors",
            "counting the coins of the king", "herding",
        ),
    ),
    "pet": (
        "Which animal does {name} keep?",
        "{name} keeps {value}",
        (
            "a cat", "two brown goats", "a very old tortoise", "a dog with one white ear",
            "bees", "a grey goose", "a parrot that sings at night", "a pony", "seven hens",
            "a tame fox", "a blind horse from the south", "mice",
        ),
    ),
    "food": (
        "What does {name} like to eat?",
        "{name} likes to eat {value}",
        (
            "bread", "hot soup with beans", "rice", "cheese from the valley", "honey",
            "small fried fish with lemon", "nuts", "cold porridge", "roasted onions and eggs",
            "sweet cakes", "a pie of apples and plums", "cabbage",
        ),
    ),
    "fear": (
        "What does {name} fear?",
        "{name} fears {value}",
        (
            "thunder", "the dark", "spiders in the cellar", "deep water", "ghosts",
            "the long road across the moor", "wolves", "being late", "high ladders",
            "the bells of the church at noon", "fire", "strangers with big hats",
        ),
    ),
    "wish": (
        "What does {name} wish for?",
        "{name} wishes for {value}",
        (
            "snow", "a new coat", "a house with ten windows", "peace", "a letter from the east",
            "gold", "a longer summer", "rain", "a ship with three masts", "good sleep",
            "the song of the river to return", "friends",
        ),
    ),
    "carries": (
        "What does {name} carry?",
        "{name} carries {value}",
        (
            "a lamp", "an empty bag", "the key to the town hall", "a red book", "rope",
            "a map of the hidden islands", "a stick", "a basket full of eggs", "a knife",
            "two silver rings", "a bell without a tongue", "chalk",
        ),
    ),
    "evening": (
        "What does {name} do in the evening?",
        "in the evening {name} will {value}",
        (
            "sing", "read to the children", "walk the dog along the wall", "sleep",
            "play chess", "write long letters to the queen", "dance", "wash the floor",
            "look at the stars", "drink tea", "sit by the fire and say nothing", "swim",
        ),
    ),
}  # fmt: skip


def split(text: str) -> tuple[str, ...]:
    """Its words."""
    return tuple(text.split())


CATEGORIES: dict[str, tuple[str, ...]] = {
    "animal": split(
        "cat dog fox owl goat hen horse pony goose mouse wolf bear deer frog crow swan "
        "duck sheep cow pig hare mole toad bee"
    ),
    "tool": split(
        "hammer saw rope lamp knife axe needle brush ladder bucket shovel spoon hook nail "
        "key bell drill wheel net fork chain pot clock broom"
    ),
    "fruit": split(
        "apple plum pear fig grape lemon cherry melon peach lime date berry mango orange "
        "olive banana quince papaya guava currant kiwi apricot lychee raisin"
    ),
    "place": split(
        "mill farm hill gate tower market forest church bridge harbour castle valley cellar "
        "garden river island road school well stable meadow moor village barn"
    ),
}

ONSETS = split("B D F G H J K L M N P R S T V W Y Z Br Dr Fl Gr Kr Pl St Tr")
RHYMES = split("a e i o u an el in or us")
TAILS = split("da ka la ma na ra sa ta va za ben den len mir nor ric tos vin")


@dataclass(frozen=True)
class Text:
    """One training text and the character ranges of it that count in the loss."""

    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Fact:
    """Something that is true of one person."""

    name: str
    relation: str
    value: str

    @property
    def question(self) -> str:
        return RELATIONS[self.relation][0].format(name=self.name)

    @property
    def statement(self) -> str:
        return RELATIONS[self.relation][1].format(name=self.name, value=self.value)


class World:
    """The people, their facts, and which of those training may ask about."""

    def __init__(self, seed: int = SEED) -> None:
        rng = random.Random(f"world {seed}")
        names = sorted({o + r + t for o in ONSETS for r in RHYMES for t in TAILS})
        self.names = rng.sample(names, PEOPLE)
        self.facts = {
            (name, relation): Fact(name, relation, rng.choice(values))
            for name in self.names
            for relation, (_, _, values) in RELATIONS.items()
        }
        order = list(self.facts.values())
        rng.shuffle(order)
        self.asked, self.held_out = order[:ASKED], order[ASKED:]
        # Some people are spoken of much more than others, so that facts are known unequally well.
        self.fame = [(rank + 20.0) ** -0.8 for rank in range(PEOPLE)]

    def person(self, rng: random.Random) -> str:
        return rng.choices(self.names, self.fame)[0]


def whole(text: str) -> Text:
    """A text that counts from its first character to its last."""
    return Text(text, ((0, len(text)),))


def statement(world: World, rng: random.Random) -> Text:
    """One true sentence about one person."""
    fact = world.facts[world.person(rng), rng.choice(list(RELATIONS))]
    return whole(f"{rng.choice(('Yes,', 'Indeed', 'Today'))} {fact.statement}.")


def question(world: World, rng: random.Random) -> Text:
    """A question about a fact that training may ask about, with its answer."""
    fact = rng.choice(world.asked)
    start = f"Q: {fact.question}\nA:"
    text = f"{start} {fact.value}"
    return Text(text, ((len(start), len(text)),))


def pattern_line(
    rng: random.Random, category: str, *, unseen: float = 0.0, pick_unseen: bool = False
) -> tuple[list[str], str]:
    """Four words, one of each category in random order, and the one that is of `category`.

    A word is with probability `unseen` one that training never sorts; with `pick_unseen` the
    word of `category` always is.
    """
    drawn = {}
    for name, words in CATEGORIES.items():
        share = 1.0 if pick_unseen and name == category else unseen
        drawn[name] = rng.choice(words[SHOWN:] if rng.random() < share else words[:SHOWN])
    line = list(drawn.values())
    rng.shuffle(line)
    return line, drawn[category]


def pattern(rng: random.Random) -> Text:
    """Lines that all pick the word of the same category; only the lines tell which."""
    category = rng.choice(list(CATEGORIES))
    text, spans = "", []
    for number in range(rng.randint(3, 5)):
        words, picked = pattern_line(rng, category)
        text += ("\n" if number else "") + " ".join(("of", *words)) + " ->"
        spans.append((len(text), len(text) + 1 + len(picked)))
        text += f" {picked}"
    return Text(text, tuple(spans))


def draw_sum(rng: random.Random, terms: int, *, held_out: bool) -> tuple[str, str]:
    """A random sum of so many digits, as prompt and answer; one in eight is held out."""
    while True:
        digits = rng.choices("0123456789", k=terms)
        prompt = "+".join(digits) + "="
        if (zlib.crc32(prompt.encode()) % 8 == 0) == held_out:
            return prompt, str(sum(map(int, digits)))


def addition(rng: random.Random) -> Text:
    """One sum that is not held out, ended by a new line."""
    terms = rng.choices(TERMS, [0.6**number for number in TERMS])[0]
    prompt, answer = draw_sum(rng, terms, held_out=False)
    return Text(f"{prompt}{answer}\n", ((len(prompt), len(prompt) + len(answer) + 1),))


def story(world: World, rng: random.Random) -> str:
    """Two or three sentences in which people, things and places meet."""

    def one(category: str) -> str:
        word = rng.choice(CATEGORIES[category])
        return ("an " if word[0] in "aeiou" else "a ") + word

    first, second = world.person(rng), world.person(rng)
    time = rng.choice(("One morning", "Last night", "In the spring", "After the storm"))
    place, there = rng.choice(CATEGORIES["place"]), rng.choice(CATEGORIES["place"])
    went = rng.choice(("walked", "ran", "rode", "went back"))
    verb = rng.choice(("found", "saw", "lost", "sold", "bought"))
    fact = world.facts[second, rng.choice(list(RELATIONS))].statement
    opening = f"{time} {first} {went} from the {place} to the {there}"
    middle = rng.choice(
        (
            f" and {verb} {one('tool')} beside {one('animal')}.",
            f" with {one('animal')} and {one('fruit')}.",
            f", because {one('animal')} had taken {one('fruit')}.",
        )
    )
    end = rng.choice(
        (
            f" Do not forget that {fact}.",
            f" There {second} gave {first} {one('fruit')} for {one('tool')}.",
            f" Nobody saw {one('animal')} at the {there} again.",
        )
    )
    return opening + middle + end


def training_texts(kind: str, seed: int = SEED) -> Iterator[Text]:
    """An endless stream of training texts of one kind, without what the tasks ask."""
    world, rng = World(seed), random.Random(f"train {kind} {seed}")
    held_out = set(held_out_stories(world)) if kind == "stories" else set()
    while True:
        if kind == "facts":
            yield statement(world, rng)
        elif kind == "questions":
            yield question(world, rng)
        elif kind == "pattern":
            yield pattern(rng)
        elif kind == "sum":
            yield addition(rng)
        else:
            text = story(world, rng)
            if text not in held_out:
                yield whole(text)


def held_out_stories(world: World, count: int = 1500) -> list[str]:
    """The stories of the perplexity task."""
    rng = random.Random("held-out stories")
    return [story(world, rng) for _ in range(count)]
