"""Reads the evaluation texts with their voices and styles, and makes original recordings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.study.cases import TEXTS, turns
from llasa_search.voice import Voice

ROOT = Path(__file__).resolve().parents[2]
CHANNELS = ("original", "codec")
SAMPLE_RATE = 16_000
STRENGTH = 0.8  # of the style, as in the recordings of the built-in voices


@dataclass(frozen=True)
class Item:
    """One text to synthesise.

    Attributes:
        id: such as "standard-007".
        text: written form.
        spoken: spoken form, which is the judges' reference.
        kind: generator of the text.
        voice: a built-in voice's name.
        style: one of its styles.
        prompted: whether that voice is the voice prompt; if not, there is none.
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
        """The evaluation set of the text."""
        return self.id.rpartition("-")[0]

    @property
    def prompt(self) -> Voice | None:
        """The voice prompt, or None."""
        return Voice.builtin(self.voice, self.style) if self.prompted else None


def items(name: str, limit: int | None = None) -> list[Item]:
    """Returns the texts of an evaluation set ("dev", "standard", "hard"), or the first `limit` of them."""
    lines = (TEXTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Item(**json.loads(line), voice=voice, style=style, prompted=prompted)
        for line, (voice, style, prompted) in islice(zip(lines, turns(name), strict=False), limit)
    ]


def record(text: str, voice: str, style: str, pace: float = 1.0) -> Audio:
    """Returns a recording by the TTS system that made the training speech: float32 [samples] at 16 kHz.

    Args:
        text: spoken form.
        voice: a built-in voice's name.
        style: one of its styles.
        pace: ratio of the duration to the usual duration.
    """
    from examples.train_tiny import speech

    speaker = next(each for each in speech.speakers() if each.name == voice)
    audio = speech.speak(text, speech.Delivery(speaker, style, STRENGTH, pace=pace))
    return np.asarray(audio, np.float32)
