"""Counts the edits between a text and a transcript."""

from __future__ import annotations

from typing import NamedTuple

from llasa_search.errors import InputError
from llasa_search.verifiers.word_errors.normalise import ProtocolName, normaliser


class Errors(NamedTuple):
    """Edits of one transcript, and the length of its text, in words (Chinese: characters).

    The error rate of a corpus is the sum of all edits divided by the sum of all lengths.
    """

    edits: int
    length: int

    @property
    def rate(self) -> float:
        """Edits divided by the length, 0 or more."""
        return self.edits / self.length


def errors(text: str, transcript: str, language: str, protocol: ProtocolName = "whisper") -> Errors:
    """Returns the fewest substitutions, deletions and insertions that turn `text` into `transcript`.

    >>> errors("The captain found a coin.", "the captain found the coin", "en")
    Errors(edits=1, length=5)
    >>> errors("今天天氣好。", "今天天汽好", "zh").rate
    0.2
    >>> errors("It cost $21.", "it cost twenty one dollars", "en").edits
    0
    >>> errors("It cost $21.", "it cost twenty one dollars", "en", "seed-tts-eval").edits
    3

    Args:
        text: what should be said.
        transcript: what a recogniser wrote.
        language: a code of Whisper's list, such as "en".
        protocol: how both are normalised, see `normaliser`.

    Raises:
        InputError: normalisation leaves nothing of the text.
    """
    import jiwer

    normalise = normaliser(text, language, protocol)
    expected, said = normalise(text), normalise(transcript)
    if not expected:
        raise InputError(f"the text {text!r} has no words to compare")
    counts = jiwer.process_words([" ".join(expected)], [" ".join(said)])
    return Errors(counts.substitutions + counts.deletions + counts.insertions, len(expected))
