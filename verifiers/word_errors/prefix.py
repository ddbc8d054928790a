"""Judging unfinished speech: how much of the text has been said, and how much should have been by now?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llasa_search.text.language import language_of
from llasa_search.voice import Voice

MIN_SECONDS = 0.5
"""Shorter unfinished speech says too little of its text to be judged by it."""

SHARE_EXPECTED = 0.5
"""Of what the pace says should have been said by now: speech may begin late, and pause."""


def units_a_second(
    voice: Voice | None, language: str, count: Callable[[str], int], prior: dict[str, float]
) -> float:
    """Pace of the voice prompt by its transcript, in words or characters a second.

    Args:
        voice: the voice prompt.
        language: what is being spoken; a prompt in another language says nothing about it.
        count: number of units in a text.
        prior: by language, for speech without such a prompt.
    """
    if voice is None or not voice.text or language_of(voice.text) != language:
        return prior[language]
    return count(voice.text) / voice.seconds or prior[language]


def expected_units(seconds: float, units_a_second: float) -> int:
    """Units that speech must have reached after `seconds`: half of what its pace would make.

    >>> expected_units(4.0, 3.2)
    6
    """
    return math.floor(SHARE_EXPECTED * seconds * units_a_second)


def nearest_prefix(units: Sequence[str], heard: Sequence[str]) -> tuple[int, int]:
    """The prefix of `units` with the fewest edits to `heard`; of equals, the nearest in length.

    Returns:
        Its length, and the edits.

    >>> nearest_prefix("the captain found a coin".split(), "the captain phoned".split())
    (3, 1)
    """
    # Levenshtein's table, row by row: edits[k] from units[:k] to what has been read of `heard`.
    edits = list(range(len(units) + 1))
    for i, word in enumerate(heard, 1):
        above, edits[0] = edits[:], i
        for k, unit in enumerate(units, 1):
            edits[k] = min(above[k] + 1, edits[k - 1] + 1, above[k - 1] + (word != unit))
    length = min(range(len(edits)), key=lambda k: (edits[k], abs(k - len(heard))))
    return length, edits[length]


def partial_error_rate(units: Sequence[str], heard: Sequence[str], expected: int) -> float:
    """Errors of unfinished speech, as a share of what it has said or should have said.

    The last word heard may have been cut, and is left out. With k, the length of the nearest prefix of the
    text, it is (edits + max(0, expected - k)) / max(1, expected, k): silence, loops and skips score badly.

    Args:
        units: words of the text.
        heard: words of the transcript.
        expected: how many should have been said by now, see `expected_units`.

    >>> text = "the captain found a silver coin".split()
    >>> partial_error_rate(text, "the captain found a sil".split(), 3)
    0.0
    >>> partial_error_rate(text, [], 3)
    1.0
    """
    said, edits = nearest_prefix(units, heard[:-1])
    return (edits + max(0, expected - said)) / max(1, expected, said)
