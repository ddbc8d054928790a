"""Errors of unfinished speech: its transcript is compared with the nearest prefix of the text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llasa_search.text.language import may_be
from llasa_search.voice import Voice

MIN_SECONDS = 0.5
"""Shorter unfinished speech contains too little of its text to be scored."""

EXPECTED_SHARE = 0.5
"""Share of the units at the voice's pace that is expected: speech may begin late, and pause."""


def units_per_second(
    voice: Voice | None, language: str, count: Callable[[str], int], default: float
) -> float:
    """Returns the pace of the voice prompt by its transcript, in words or characters per second.

    Args:
        voice: the voice prompt.
        language: of the text to be spoken; a prompt in another language is ignored.
        count: returns the number of units in a text.
        default: pace of speech without such a prompt.
    """
    if voice is None or not voice.text or not may_be(voice.text, language):
        return default
    return count(voice.text) / voice.seconds or default


def expected_units(seconds: float, units_per_second: float) -> int:
    """Returns the units that speech must have reached after `seconds`: half of those at its pace.

    >>> expected_units(4.0, 3.2)
    6
    """
    return math.floor(EXPECTED_SHARE * seconds * units_per_second)


def nearest_prefix(units: Sequence[str], said: Sequence[str]) -> tuple[int, int]:
    """Finds the prefix of `units` with the fewest edits to `said`; among equals, the nearest in length.

    Returns:
        Its length, and the edits.

    >>> nearest_prefix("the captain found a coin".split(), "the captain phoned".split())
    (3, 1)
    """
    # Levenshtein's table, row by row: edits[k] from units[:k] to the words of `said` so far.
    edits = list(range(len(units) + 1))
    for i, word in enumerate(said, 1):
        above, edits[0] = edits[:], i
        for k, unit in enumerate(units, 1):
            edits[k] = min(above[k] + 1, edits[k - 1] + 1, above[k - 1] + (word != unit))
    length = min(range(len(edits)), key=lambda k: (edits[k], abs(k - len(said))))
    return length, edits[length]


def partial_error_rate(units: Sequence[str], said: Sequence[str], expected: int) -> float:
    """Returns the errors of unfinished speech as a share of the words that it has or should have.

    The last word of the transcript may have been cut, and is ignored. The value is
    (edits + max(0, expected - k)) / max(1, expected, k), where k is the length of the nearest prefix of the text.
    Silence, loops and skipped words get a high value.

    Args:
        units: words of the text.
        said: words of the transcript.
        expected: words that should have been said by now, see `expected_units`.

    >>> text = "the captain found a silver coin".split()
    >>> partial_error_rate(text, "the captain found a sil".split(), 3)
    0.0
    >>> partial_error_rate(text, [], 3)
    1.0
    """
    length, edits = nearest_prefix(units, said[:-1])
    return (edits + max(0, expected - length)) / max(1, expected, length)
