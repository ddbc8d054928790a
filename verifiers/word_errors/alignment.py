"""Counts the edits between a text and a transcript."""

from __future__ import annotations

from typing import NamedTuple

from llasa_search.errors import InputError
from llasa_search.verifiers.word_errors.lattice import chosen
from llasa_search.verifiers.word_errors.normalise import ProtocolName, normalised


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
        language: a code of Whisper's list.
        protocol: how both are normalised, see `normalised`.

    Raises:
        InputError: normalisation leaves nothing of the text, or the protocol is not defined for the language.
    """
    import jiwer

    expected, said = compared_words(text, transcript, language, protocol)
    counts = jiwer.process_words([" ".join(expected)], [" ".join(said)])
    return Errors(counts.substitutions + counts.deletions + counts.insertions, len(expected))


def compared_words(
    text: str, transcript: str, language: str, protocol: ProtocolName = "whisper"
) -> tuple[list[str], list[str]]:
    """Returns the words of text and transcript that are compared; arguments and errors are those of `errors`.

    What can be said in several ways, such as 1999, stands on both sides in the way that gives the fewest edits.

    >>> compared_words("In 1999.", "in nineteen ninety eight", "en")
    (['in', 'nineteen', 'ninety', 'nine'], ['in', 'nineteen', 'ninety', 'eight'])
    """
    units = normalised(text, language, protocol)
    if not units:
        raise InputError(f"the text {text!r} has no words to compare")
    return chosen(units, normalised(transcript, language, protocol, transcript=True))
