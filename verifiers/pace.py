"""Seconds a character: is the speech as long as its text?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llasa_search.audio import FRAME_SECONDS, speech_seconds
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice

PLAUSIBLE = {"en": (0.035, 0.16), "zh": (0.1, 0.5)}
"""Seconds a letter (English) or a character (Chinese).

Reading goes at some 6.2 English and 5.2 Mandarin syllables a second (Pellegrino, Coupé and Marsico 2011, "A
cross-language perspective on speech information rate"); with about 2.7 letters an English syllable and one
character a Mandarin one, that is .06 s a letter and .19 s a character. The range is from half to two and a
half times as much: what lies outside was cut off, skipped, or looped. It is our choice.
"""

TOLERANCE = 1.6
"""How many times faster or slower than the voice itself is still plausible; our choice."""

SLACK_SECONDS = 0.5
"""Added at the upper end: the shortest texts are spoken slowly."""

LETTERS_OF_DIGIT = {"en": 4, "zh": 1}
"""A digit is spoken as a word of about so many letters."""


class Pace(Verifier):
    """How far the speech is from a plausible length, in doublings: 0 inside, 1 at half or twice as long.

    Free, and blind to what is said: it finds speech that was cut off or that loops, and prefers nothing else.
    Silence at both ends is left out. The detail tells the seconds a character and the plausible seconds.

    Args:
        relative: expect the pace of the voice prompt by its transcript, 1.6 times faster or slower,
            instead of that of reading in general.
    """

    family = "pace"
    scale = (1.0, 0.0)

    def __init__(self, relative: bool = False) -> None:
        self.relative = relative
        self.needs = frozenset({"text", "voice"} if relative else {"text"})

    def check(self, prompt: Prompt) -> None:
        self._plausible(prompt.text, prompt.language, prompt.voice)

    def flops(self, seconds: float) -> float:
        return 0.0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [self._score(utterance) for utterance in utterances]

    def _score(self, utterance: Utterance) -> Score:
        if not np.isfinite(utterance.audio).all():
            raise InputError(f"{self} cannot judge audio that holds NaN or infinite samples")
        low, high = self._plausible(utterance.text, utterance.language, utterance.voice)
        # Silence would be infinitely far away.
        seconds = max(speech_seconds(utterance.audio, utterance.sample_rate), FRAME_SECONDS)
        outside = max(math.log2(low / seconds), math.log2(seconds / high), 0.0)
        pace = seconds / characters(utterance.text, utterance.language)
        detail = f"{seconds:.2f} s, {pace:.3f} s a character, plausible {low:.2f} to {high:.2f} s"
        return Score(outside, detail)

    def _plausible(self, text: str, language: str, voice: Voice | None) -> tuple[float, float]:
        """The shortest and the longest plausible seconds of `text`."""
        shortest, longest = self._own(voice, language) if self.relative else PLAUSIBLE[language]
        length = characters(text, language)
        return max(shortest * length, FRAME_SECONDS), longest * length + SLACK_SECONDS

    def _own(self, voice: Voice | None, language: str) -> tuple[float, float]:
        if voice is None or not voice.text:
            raise InputError(f"{self} compares with the voice's own pace: give a prompt with its transcript")
        pace = speech_seconds(voice.audio, voice.sample_rate) / characters(voice.text, language)
        return pace / TOLERANCE, pace * TOLERANCE


def characters(text: str, language: str) -> int:
    """Letters of `text`, without spaces and punctuation; in English a digit counts as four.

    Raises:
        InputError: there are none.

    >>> characters("It's 5 o'clock.", "en"), characters("现在五点。", "zh")
    (13, 4)
    """
    digits = sum(character.isdigit() for character in text)
    count = sum(character.isalpha() for character in text) + LETTERS_OF_DIGIT[language] * digits
    if not count:
        raise InputError(f"the text {text!r} has no letters to count")
    return count
