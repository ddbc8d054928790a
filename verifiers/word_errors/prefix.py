"""Errors of unfinished speech: its transcript is compared with the nearest prefix of the text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llasa_search.text.language import may_be
from llasa_search.verifiers.word_errors.lattice import Lattice
from llasa_search.verifiers.word_errors.normalise import Choices
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


def nearest_prefix(units: Sequence[Choices], said: Sequence[Choices]) -> tuple[int, int]:
    """Finds the prefix of `units` with the fewest edits to `said`; among equals, the nearest in length.

    Args:
        units: of the text, see `normalised`.
        said: of the transcript.

    Returns:
        Its length in words, and the edits.

    >>> from llasa_search.verifiers.word_errors.normalise import plain
    >>> nearest_prefix(plain("the captain found a coin".split()), plain("the captain phoned".split()))
    (3, 1)
    """
    lattice = Lattice(units, said)
    edits = lattice.edits[-1]
    fewest = min(edits)
    nearest = [lattice.words(place) for place in range(len(edits)) if edits[place] == fewest]
    prefix, _ = min(nearest, key=lambda pair: abs(len(pair[0]) - len(pair[1])))
    return len(prefix), fewest


def partial_error_rate(units: Sequence[Choices], said: Sequence[Choices], expected: int) -> float:
    """Returns the errors of unfinished speech as a share of the words that it has or should have.

    The last word of the transcript, or number, may have been cut, and is ignored. The value is
    (edits + max(0, expected - k)) / max(1, expected, k), where k is the length of the nearest prefix of the text.
    Silence, loops and skipped words get a high value.

    Args:
        units: of the text, see `normalised`.
        said: of the transcript.
        expected: words that should have been said by now, see `expected_units`.

    >>> from llasa_search.verifiers.word_errors.normalise import plain
    >>> text = plain("the captain found a silver coin".split())
    >>> partial_error_rate(text, plain("the captain found a sil".split()), 3)
    0.0
    >>> partial_error_rate(text, [], 3)
    1.0
    """
    length, edits = nearest_prefix(units, said[:-1])
    return (edits + max(0, expected - length)) / max(1, expected, length)
