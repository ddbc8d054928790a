"""Generates texts: sentences from templates, random word strings, numbers and names, and the evaluation sets.

Each text has two forms: `text` as a user writes it ("27 boxes"), and `spoken`, the spoken form.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from num2words import num2words

from examples.train_tiny import words as w


@dataclass(frozen=True)
class Text:
    """One text with its written form, its spoken form and the name of its generator."""

    text: str
    spoken: str
    kind: str


TEMPLATES = """
The {person} {verb} a {adjective} {thing} {preposition} the {place}.
The {adjective} {person} {verb} the {thing} {time}.
{name} {verb} the {adjective} {thing} {adverb}.
A {adjective} {animal} {motion} {preposition} the {place} {time}.
The {animal} {motion} {adverb} {preposition} the {adjective} {place}.
Did the {person} {base} the {thing} in the {place}?
{name} and {name} {motion} {preposition} the {place} {time}.
My {person} wants to {base} the {adjective} {thing} tomorrow.
We never {verb} the {adjective} {thing} from the {place}.
Please {base} the {thing} before the {person} comes back.
There is a {adjective} {thing} {preposition} the {place}.
Why was the {adjective} {animal} {preposition} the {place}?
The {person} from {town} {verb} every {thing} in the {place}.
She {verb} the {thing}, but the {person} {verb} it again.
He said that the {place} was {adjective} and {adjective}.
Nobody knew who {verb} the {adjective} {thing}.
The {thing} and the {thing} were {preposition} the {adjective} {place}.
{name} could not {base} the {animal} without a {thing}.
When the {person} {motion} {preposition} the {place}, the {animal} {motion} {adverb}.
Two {adjective} people {verb} the {thing} {time}.
I think the {person} will {base} the {thing} {time}.
The road to {town} is {adjective} and {adjective} {time}.
""".strip().splitlines()

NUMBER_TEMPLATES = """
The {person} counted {number} {unit} {time}.
{name} paid {number} dollars for the {adjective} {thing}.
There were {number} {unit} and {number} {unit} in the {place}.
The {place} is {number} miles from {town}.
Chapter {number} has {number} pages.
{name} lives at number {number} on {town} street.
The train to {town} leaves in {number} minutes.
About {number} percent of the {unit} were {adjective}.
""".strip().splitlines()


def _number(rng: random.Random) -> tuple[str, str]:
    value = rng.choice([rng.randint(2, 20), rng.randint(21, 99), rng.randint(100, 999)])
    spoken_form = num2words(value).replace("-", " ").replace(" and ", " ")
    return (str(value) if rng.random() < 0.7 else spoken_form), spoken_form


def _fill(template: str, rng: random.Random, kind: str) -> Text:
    choices: dict[str, list[str]] = {
        "person": w.PEOPLE,
        "animal": w.ANIMALS,
        "thing": w.THINGS,
        "place": w.PLACES,
        "adjective": w.ADJECTIVES,
        "verb": w.VERBS_PAST,
        "base": w.VERBS_BASE,
        "motion": w.MOTION_PAST,
        "adverb": w.ADVERBS,
        "preposition": w.PREPOSITIONS,
        "time": w.TIMES,
        "name": w.NAMES,
        "town": w.TOWNS,
        "unit": w.UNITS,
    }
    written, spoken_form = template, template
    while match := re.search(r"\{(\w+)\}", written):
        slot = match.group(0)
        one = two = rng.choice(choices[match.group(1)]) if match.group(1) != "number" else ""
        if not one:
            one, two = _number(rng)
        written, spoken_form = written.replace(slot, one, 1), spoken_form.replace(slot, two, 1)
    fixed = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", written)
    return Text(
        fixed[0].upper() + fixed[1:], spoken(re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", spoken_form)), kind
    )


def spoken(text: str) -> str:
    """Returns lower-case words without punctuation except apostrophes."""
    return " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())


def sentence(rng: random.Random) -> Text:
    return _fill(rng.choice(TEMPLATES), rng, "sentence")


def numbers(rng: random.Random) -> Text:
    return _fill(rng.choice(NUMBER_TEMPLATES), rng, "numbers")


def _word(rng: random.Random) -> str:
    return rng.choice(w.HAND_WRITTEN if rng.random() < 0.4 else w.trainable())


def word_string(rng: random.Random, low: int = 1, high: int = 6) -> Text:
    chosen = [_word(rng) for _ in range(rng.randint(low, high))]
    return Text(" ".join(chosen).capitalize() + ".", spoken(" ".join(chosen)), "words")


def uncommon_words(rng: random.Random) -> Text:
    chosen = rng.sample(w.uncommon(), rng.randint(2, 5))
    return Text(" ".join(chosen).capitalize() + ".", " ".join(chosen), "uncommon")


def names(rng: random.Random) -> Text:
    chosen = [*rng.sample(w.NAMES, rng.randint(2, 4)), rng.choice(w.TOWNS)]
    return Text(
        ", ".join(chosen[:-1]) + " and " + chosen[-1] + ".",
        spoken(" ".join([*chosen[:-1], "and", chosen[-1]])),
        "names",
    )


def long_sentence(rng: random.Random) -> Text:
    """Returns two sentences that are joined into one with 15 to 22 words."""
    while True:
        a, b = sentence(rng), sentence(rng)
        joined = f"{a.text.rstrip('.?')}, and then {b.text[0].lower()}{b.text[1:]}"
        if 15 <= len(joined.split()) <= 22 and "?" not in joined:
            return Text(joined, spoken(joined), "long")


Mix = Mapping[Callable[[random.Random], Text], float]

MIX: Mix = {sentence: 25, long_sentence: 10, word_string: 25, uncommon_words: 15, numbers: 18, names: 7}
"""The kinds of training texts, in percent."""


def training_text(rng: random.Random, mix: Mix = MIX) -> Text:
    """Returns one training text."""
    return rng.choices(list(mix), list(mix.values()))[0](rng)


def rare_words(rng: random.Random) -> Text:
    chosen = [rng.choice(w.trainable()[-500:]) for _ in range(5)]
    return Text(" ".join(chosen).capitalize() + ".", " ".join(chosen), "rare")


def held_out_words(rng: random.Random) -> Text:
    """Returns a sentence with two or three words that no training text contains."""
    chosen = rng.sample(w.held_out(), 3)
    template = rng.choice(
        [
            f"The {{person}} said {chosen[0]} and {chosen[1]} {{time}}.",
            f"We {{verb}} {chosen[0]} {chosen[1]} {{preposition}} the {{place}}.",
            f"{chosen[0]} {chosen[1]} {{adjective}} {{thing}} {chosen[2]}.",
        ]
    )
    return _fill(template, rng, "held out")


def _distinct(
    count: int, makers: list[Callable[[random.Random], Text]], seed: int, taken: set[str]
) -> list[Text]:
    rng = random.Random(seed)
    found: list[Text] = []
    while len(found) < count:
        text = makers[len(found) % len(makers)](rng)
        if text.spoken not in taken:
            taken.add(text.spoken)
            found.append(text)
    return found


def evaluation_sets() -> dict[str, list[Text]]:
    """Returns the sets dev (50), standard (100) and hard (100); no text is in two sets."""
    taken: set[str] = set()
    return {
        "dev": _distinct(50, [sentence, sentence, long_sentence, numbers, held_out_words], 101, taken),
        "standard": _distinct(100, [sentence], 102, taken),
        "hard": _distinct(100, [long_sentence, numbers, rare_words, held_out_words], 103, taken),
    }


def write_sets(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in evaluation_sets().items():
        lines = [json.dumps({"id": f"{name}-{i:03d}", **asdict(text)}) for i, text in enumerate(texts)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
