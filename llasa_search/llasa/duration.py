"""The range of durations of a text: END is forbidden before the minimum, and rows end at the maximum."""

from __future__ import annotations

import unicodedata

TYPICAL_RATE = 15.0
"""Characters per second of read English: 150 words per minute (a common figure for audiobooks) of six
characters, including the space."""

FASTEST, SLOWEST = 2.0, 0.4
"""Factors of the typical rate. Our choice: they include fast and slow readers, and exclude silence and loops."""

PAUSE_SECONDS = 1.0
"""Added at the slowest rate, for silence at the edges."""

_HAN = 3.0
"""A Chinese character takes as long as three Latin ones: about five syllables per second."""

_DIGIT = 5.0
"""A digit is read as a word, "seven"; so are the signs (%, &, $)."""


def typical_seconds(text: str) -> float:
    """Returns the seconds that reading the text usually takes."""
    return sum(map(_weight, text)) / TYPICAL_RATE


def seconds_range(text: str) -> tuple[float, float]:
    """Returns the fewest and the most seconds that reading the text may take.

    >>> low, high = seconds_range("The captain found a silver coin near the lake.")
    >>> 1 < low < 2 and 8 < high < 9
    True
    """
    typical = typical_seconds(text)
    return typical / FASTEST, typical / SLOWEST + PAUSE_SECONDS


def _weight(char: str) -> float:
    kind = unicodedata.category(char)
    if kind == "Lo" and unicodedata.east_asian_width(char) in "WF":
        return _HAN
    if kind[0] == "N" or kind in ("Sc", "Sm") or char in "%&@#":
        return _DIGIT
    return 1.0 if kind[0] in "LMZ" else 0.5
