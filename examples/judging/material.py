"""What is spoken and judged: the evaluation texts, each with a voice and a style, and how it was recorded."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from llasa_search.candidate import Audio
from llasa_search.voice import Voice

sys.path.append(str(Path(__file__).resolve().parents[1] / "train_tiny"))

import speech
import texts

SAMPLE_RATE = speech.SAMPLE_RATE
STRENGTH = 0.8  # of the style, as in the built-in voices' own recordings


@dataclass(frozen=True)
class Item:
    """One text to speak.

    Attributes:
        id: such as "standard-007".
        text: as it is written.
        spoken: the words that are heard, the judges' reference.
        kind: which generator made it.
        voice: a built-in voice's name.
        style: one of its styles.
        prompted: whether the model is given that voice; otherwise any voice will do.
    """

    id: str
    text: str
    spoken: str
    kind: str
    voice: str
    style: str
    prompted: bool

    @property
    def set(self) -> str:
        """The evaluation set that it belongs to."""
        return self.id.rpartition("-")[0]

    @property
    def prompt(self) -> Voice | None:
        """The voice prompt, if the model is given one."""
        return Voice.builtin(self.voice, self.style) if self.prompted else None


def items(name: str, limit: int | None = None) -> list[Item]:
    """The texts of an evaluation set ("dev", "standard", "hard"), or the first `limit` of them.

    Every voice in every style takes its turn, and after each round every voice once without a prompt, so that a
    fifth of the texts go without; rounds are shuffled, so that no kind of text meets the same voice each time.
    """
    group = texts.evaluation_sets()[name]
    styles = list(speech.STYLES)
    deck = [(voice, style, True) for voice in Voice.builtins() for style in styles]
    deck += [(voice, style, False) for voice, style in zip(Voice.builtins(), cycle(styles), strict=False)]
    rng, turns = random.Random(f"voices of {name}"), []
    while len(turns) < len(group):
        turns += rng.sample(deck, len(deck))
    made = (
        Item(f"{name}-{i:03d}", text.text, text.spoken, text.kind, *turn)
        for i, (text, turn) in enumerate(zip(group, turns, strict=False))
    )
    return list(islice(made, limit))


def record(text: str, voice: str, style: str, pace: float = 1.0) -> Audio:
    """An original recording, as the synthesiser behind the training speech makes it: float32 [samples], 16 kHz.

    Args:
        text: what to say.
        voice: a built-in voice's name.
        style: one of its styles.
        pace: ratio of its duration to the usual one.
    """
    speaker = next(each for each in speech.speakers() if each.name == voice)
    audio = speech.speak(text, speech.Delivery(speaker, style, STRENGTH, pace_jitter=pace))
    return np.asarray(audio, np.float32)
