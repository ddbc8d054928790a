"""What is spoken and judged: the evaluation texts, their voices and styles, and how they are recorded."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from llasa_search.candidate import Audio
from llasa_search.voice import Voice

sys.path.append(str(Path(__file__).resolve().parents[1] / "train_tiny"))

import speech
import texts

CHANNELS = ("original", "codec")
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
    """The texts of an evaluation set ("dev", "standard", "hard"), or the first `limit` of them."""
    group = texts.evaluation_sets()[name]
    made = (
        Item(f"{name}-{i:03d}", text.text, text.spoken, text.kind, *turn)
        for i, (text, turn) in enumerate(zip(group, _turns(name), strict=False))
    )
    return list(islice(made, limit))


def _turns(name: str) -> Iterator[tuple[str, str, bool]]:
    """Voice, style, and whether it is prompted, for one text after the other.

    In each round every voice takes its turn in every style, and once more without a prompt: a fifth of the
    texts. Rounds are shuffled, so that no kind of text meets the same voice each time.
    """
    voices, styles = Voice.builtins(), list(speech.STYLES)
    deck = [(voice, style, True) for voice in voices for style in styles]
    deck += [(voice, style, False) for voice, style in zip(voices, cycle(styles), strict=False)]
    rng = random.Random(f"voices of {name}")
    while True:
        yield from rng.sample(deck, len(deck))


def record(text: str, voice: str, style: str, pace: float = 1.0) -> Audio:
    """An original recording by the synthesiser behind the training speech: float32 [samples] at 16 kHz.

    Args:
        text: what to say.
        voice: a built-in voice's name.
        style: one of its styles.
        pace: ratio of its duration to the usual one.
    """
    speaker = next(each for each in speech.speakers() if each.name == voice)
    audio = speech.speak(text, speech.Delivery(speaker, style, STRENGTH, pace_jitter=pace))
    return np.asarray(audio, np.float32)
