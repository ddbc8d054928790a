"""Normalises text and transcript before they are compared, under one of two protocols."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.errors import InputError
from llasa_search.text.language import has_spaces

ProtocolName = Literal["whisper", "seed-tts-eval"]
PROTOCOLS: tuple[ProtocolName, ...] = ("whisper", "seed-tts-eval")


def normaliser(text: str, language: str, protocol: ProtocolName = "whisper") -> Callable[[str], list[str]]:
    """Returns the function that splits both text and transcript into words (Chinese: characters).

    - "whisper": Whisper's English normaliser (arXiv 2212.04356, appendix C), which gives variants of spellings,
      numbers and contractions one form. It removes all of some texts, such as "Hmm."; only their case and
      punctuation are normalised. Chinese: letters and digits, with full-width forms and traditional characters
      folded. Other languages: as by Whisper's basic normaliser, case and punctuation are normalised and numbers
      stay as written; but accents and vowel signs, which distinguish words, and words in brackets are kept.
      Scripts without spaces are split into characters, each with its marks.
    - "seed-tts-eval": as in that benchmark's run_wer.py. Punctuation except the apostrophe is deleted, English
      is put in lower case, and numbers stay as written. Chinese: characters, traditional ones folded; here
      also those of the text, which the benchmark expects to be simplified.

    Args:
        text: the text that should be spoken, which decides whether Whisper's normaliser can be used.
        language: a code of Whisper's list, such as "en".
        protocol: "whisper" or "seed-tts-eval".

    Raises:
        InputError: there is no such protocol.
    """
    require_protocol(protocol)
    if protocol == "seed-tts-eval":
        return _unpunctuated_characters if language == "zh" else _unpunctuated_words
    if language in ("zh", "yue"):
        return _characters
    if language != "en":
        return _marked_words if has_spaces(language) else _marked_characters
    return _english_words if _english_words(text) else _plain_words


def require_protocol(protocol: str) -> None:
    """Checks the name of a protocol.

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


def _marked_words(text: str) -> list[str]:
    lower = unicodedata.normalize("NFKC", text).lower()
    visible = [char for char in lower if unicodedata.category(char) != "Cf"]
    return "".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in visible).split()


def _marked_characters(text: str) -> list[str]:
    characters: list[str] = []
    for char in "".join(_marked_words(text)):
        if characters and unicodedata.category(char)[0] == "M":
            characters[-1] += char
        else:
            characters.append(char)
    return characters


def _plain_words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _english_words(text: str) -> list[str]:
    try:
        normal = str(_english()(text))
    except (AssertionError, ValueError):  # Python reads numbers of 4,300 digits at most
        return _plain_words(text)
    # The normaliser keeps dots, which may belong to numbers, so a part of an ellipsis is left.
    return [word for word in normal.split() if any(map(str.isalnum, word))]


def _simplified(text: str) -> str:
    return str(_converter().convert(text))


@cache
@explain_missing_imports()
def _english() -> Any:
    from whisper.normalizers import EnglishTextNormalizer

    return EnglishTextNormalizer()


@cache
def _converter() -> Any:
    from opencc import OpenCC

    # The configuration for Taiwan also folds variants such as 看著. None of the configurations changes words.
    return OpenCC("tw2s")


@cache
def _punctuation() -> dict[int, None]:
    from zhon.hanzi import punctuation

    return dict.fromkeys(map(ord, set(punctuation + string.punctuation) - {"'"}))
