"""Edits from a text to a transcript, under a stated protocol of what counts as the same word."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple

from llasa_search.errors import InputError

ProtocolName = Literal["whisper", "seed-tts-eval"]
PROTOCOLS: tuple[ProtocolName, ...] = ("whisper", "seed-tts-eval")


class Errors(NamedTuple):
    """Edits of one transcript, and the length of its text, in words (Chinese: in characters).

    The corpus value of many is the sum of edits over the sum of lengths.
    """

    edits: int
    length: int

    @property
    def rate(self) -> float:
        """Edits as a share of the length, 0 or more."""
        return self.edits / self.length


def errors(text: str, transcript: str, language: str, protocol: ProtocolName = "whisper") -> Errors:
    """Substitutions, deletions and insertions on the shortest way from `text` to `transcript`.

    >>> errors("The captain found a coin.", "the captain found the coin", "en")
    Errors(edits=1, length=5)
    >>> errors("今天天氣好。", "今天天汽好", "zh").rate
    0.2
    >>> errors("It cost $21.", "it cost twenty one dollars", "en").edits
    0
    >>> errors("It cost $21.", "it cost twenty one dollars", "en", "seed-tts-eval").edits
    3

    Raises:
        InputError: nothing of the text is left after normalisation.
    """
    import jiwer

    normalise = normaliser(text, language, protocol)
    reference, heard = normalise(text), normalise(transcript)
    if not reference:
        raise InputError(f"the text {text!r} has no words to compare")
    counts = jiwer.process_words([" ".join(reference)], [" ".join(heard)])
    return Errors(counts.substitutions + counts.deletions + counts.insertions, len(reference))


def normaliser(text: str, language: str, protocol: ProtocolName = "whisper") -> Callable[[str], list[str]]:
    """What both sides are compared by: a function from writing to words, or to characters for Chinese.

    - "whisper": Whisper's English normaliser (arXiv 2212.04356, appendix C), which unites spellings, numbers
      and contractions. It leaves nothing of some texts, such as "Hmm."; these are compared as they are.
      Chinese: letters and digits, full-width forms and traditional characters folded.
    - "seed-tts-eval": as in that benchmark's run_wer.py. Punctuation but the apostrophe is deleted, English
      is put in lower case, and numbers stay as they are written. Chinese: characters, traditional ones
      folded; here those of the text too, which the benchmark expects to be simplified.

    Raises:
        InputError: there is no such protocol.
    """
    require_protocol(protocol)
    if protocol == "seed-tts-eval":
        return _unpunctuated_characters if language == "zh" else _unpunctuated_words
    if language == "zh":
        return _characters
    return _english_words if _english_words(text) else _plain_words


def require_protocol(protocol: str) -> None:
    """Refuses what is no protocol.

    Raises:
        InputError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol={protocol!r}: there are {' and '.join(map(repr, PROTOCOLS))}")


def _unpunctuated_words(text: str) -> list[str]:
    return text.translate(_punctuation()).lower().split()


def _unpunctuated_characters(text: str) -> list[str]:
    return list("".join(_simplified(text).translate(_punctuation()).split()))


def _characters(text: str) -> list[str]:
    folded = _simplified(unicodedata.normalize("NFKC", text)).lower()
    return [character for character in folded if unicodedata.category(character)[0] in "LN"]


def _plain_words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _english_words(text: str) -> list[str]:
    try:
        normal = str(_english()(text))
    except (AssertionError, ValueError):  # Python reads numbers of 4,300 digits at most
        return _plain_words(text)
    # The normaliser keeps dots, as they may belong to numbers, and so leaves some of an ellipsis.
    return [word for word in normal.split() if any(map(str.isalnum, word))]


def _simplified(text: str) -> str:
    return str(_converter().convert(text))


@cache
def _english() -> Any:
    from whisper.normalizers import EnglishTextNormalizer

    return EnglishTextNormalizer()


@cache
def _converter() -> Any:
    from opencc import OpenCC

    # Of its configurations, the one for Taiwan also folds variants such as 看著; none of them changes words.
    return OpenCC("tw2s")


@cache
def _punctuation() -> dict[int, None]:
    from zhon.hanzi import punctuation

    return dict.fromkeys(map(ord, set(punctuation + string.punctuation) - {"'"}))
