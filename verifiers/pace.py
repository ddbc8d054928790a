"""Pace: seconds of speech per character of its text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llasa_search.audio import FRAME_SECONDS, speech_seconds
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.text.language import has_spaces
from llasa_search.text.speech_rates import RATES, letters_per_second
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice

PLAUSIBLE = {"en": (0.035, 0.16), "zh": (0.1, 0.5)}
"""Plausible seconds per letter (English) or per character (Chinese), (shortest, longest).

Read speech has about 6.2 English or 5.2 Mandarin syllables per second (Pellegrino, Coupé and Marsico 2011, "A
cross-language perspective on speech information rate"). With about 2.7 letters per English syllable and one
character per Mandarin syllable, that is 0.06 s per letter and 0.19 s per character. The range, our choice, is
about half to two and a half times that; speech outside it was cut off, skips words, or loops.
"""

SHORTEST, LONGEST = 0.5, 2.5
"""The range of other languages, as factors of the usual seconds per letter."""

TOLERANCE = 1.6
"""Largest plausible ratio to the pace of the voice prompt; our choice."""

SLACK_SECONDS = 0.5
"""Added to the longest plausible length, because the shortest texts are spoken slowly."""

LETTERS_OF_DIGIT = 4
"""Letters of the word for a digit, on average, in English; in scripts without spaces, a digit is one character."""


class Pace(Verifier):
    """Distance of the speech's length from the plausible range, in doublings: 0 inside, 1 at twice or half as long.

    It needs no model, and does not depend on the words: it finds speech that was cut off or that loops, and does
    not rank other speech. Silence at both ends is ignored. The detail has the seconds per character and the plausible
    range.

    Args:
        relative: takes the range around the pace of the voice prompt by its transcript, up to 1.6 times faster or
            slower, instead of that of read speech in general.
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
            raise InputError(f"{self} cannot score audio that holds NaN or infinite samples")
        low, high = self._plausible(utterance.text, utterance.language, utterance.voice)
        # For silence, the logarithm would be infinite.
        seconds = max(speech_seconds(utterance.audio, utterance.sample_rate), FRAME_SECONDS)
        outside = max(math.log2(low / seconds), math.log2(seconds / high), 0.0)
        pace = seconds / characters(utterance.text, utterance.language)
        detail = f"{seconds:.2f} s, {pace:.3f} s per character, plausible {low:.2f} to {high:.2f} s"
        return Score(outside, detail)

    def _plausible(self, text: str, language: str, voice: Voice | None) -> tuple[float, float]:
        """Returns the shortest and the longest plausible seconds of `text`."""
        return plausible_seconds(
            text, language, self._range_of_voice(voice, language) if self.relative else None
        )

    def _range_of_voice(self, voice: Voice | None, language: str) -> tuple[float, float]:
        if voice is None or not voice.text:
            raise InputError(f"{self} compares with the pace of the voice: give a prompt with its transcript")
        pace = speech_seconds(voice.audio, voice.sample_rate) / characters(voice.text, language)
        return pace / TOLERANCE, pace * TOLERANCE


def plausible_seconds(
    text: str, language: str, pace: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Returns the shortest and the longest plausible length of speech, in seconds.

    Args:
        text: that is spoken.
        language: of the text.
        pace: shortest and longest seconds per character; None for those of read speech.

    Raises:
        InputError: the text has no letters.
    """
    shortest, longest = pace or plausible(language)
    length = characters(text, language)
    return max(shortest * length, FRAME_SECONDS), longest * length + SLACK_SECONDS


def plausible(language: str) -> tuple[float, float]:
    """Returns the plausible seconds per letter, (shortest, longest).

    For languages other than English and Chinese they follow from `speech_rates`; for one without a figure, the range
    is twice as wide on either side.

    >>> plausible("en")
    (0.035, 0.16)
    """
    if language in PLAUSIBLE:
        return PLAUSIBLE[language]
    unknown = 1 if language in RATES else 2
    rate = letters_per_second(language)
    return SHORTEST / unknown / rate, LONGEST * unknown / rate


def characters(text: str, language: str) -> int:
    """Returns the number of letters of `text`, without spaces and punctuation; a digit counts as its word.

    Raises:
        InputError: there are none.

    >>> characters("It's 5 o'clock.", "en"), characters("现在五点。", "zh")
    (13, 4)
    """
    digits = sum(character.isdigit() for character in text)
    count = (
        sum(character.isalpha() for character in text)
        + (LETTERS_OF_DIGIT if has_spaces(language) else 1) * digits
    )
    if not count:
        raise InputError(f"the text {text!r} has no letters to count")
    return count
