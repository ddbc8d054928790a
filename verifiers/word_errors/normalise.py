"""Normalises text and transcript before they are compared, under one of two protocols."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, TypeAlias

from llasa_search.checkpoints.imports import explain_missing_imports, import_from_extra
from llasa_search.errors import InputError
from llasa_search.text.language import has_spaces
from llasa_search.text.spoken_form import Segment, segments

ProtocolName = Literal["whisper", "seed-tts-eval"]
PROTOCOLS: tuple[ProtocolName, ...] = ("whisper", "seed-tts-eval")

Choices: TypeAlias = tuple[tuple[str, ...], ...]
"""Ways to say one part of a text, in words (or characters), the usual one first."""


def normalised(
    text: str, language: str, protocol: ProtocolName = "whisper", *, transcript: bool = False
) -> list[Choices]:
    """Returns the words of a text or transcript; of scripts without spaces, the characters.

    - "whisper": the spoken form, with all usual ways to say each number, sign and abbreviation. English words
      then get one form for variants of spelling and contractions by Whisper's tables (arXiv 2212.04356,
      appendix C); unlike its normaliser, this keeps words in brackets and fillers such as "um", which a reader
      says. Chinese characters are folded one by one: traditional to simplified, 著 to 着, 幺 to 么.
    - "seed-tts-eval": exactly as in that benchmark's run_wer.py. Punctuation except the apostrophe is deleted,
      English is put in lower case, and numbers stay as written. Of Chinese, the transcript is simplified by
      zhconv, and the text is taken as simplified.

    Args:
        text: the text that should be spoken, or a transcript.
        language: a code of Whisper's list.
        protocol: "whisper" or "seed-tts-eval".
        transcript: whether it is a transcript; only the benchmark's protocol treats the two differently.

    Raises:
        InputError: there is no such protocol, or it is not defined for the language.
        ModelError: the protocol needs zhconv, which is not installed.
    """
    require_protocol(protocol)
    if protocol == "seed-tts-eval":
        return plain(_benchmark_words(text, language, transcript))
    words = _english_words if language == "en" else _words if has_spaces(language) else _characters
    units: list[Choices] = []
    parts = segments(text, language)
    for segment in _attached(parts) if language == "ko" else parts:
        said = [tuple(words(reading, language)) for reading in segment.readings]
        if segment.readings == (segment.written,):
            units += plain(said[0])
        else:
            units.append(tuple(dict.fromkeys(said)))
    return [choices for choices in units if choices != ((),)]


def plain(words: Sequence[str]) -> list[Choices]:
    """Returns words that can be said in one way each."""
    return [((word,),) for word in words]


def usual(units: Sequence[Choices]) -> list[str]:
    """Returns the words of the usual way to say everything."""
    return [word for choices in units for word in choices[0]]


def require_protocol(protocol: str) -> None:
    """Checks the name of a protocol.

    Raises:
        InputError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol={protocol!r}: there are {' and '.join(map(repr, PROTOCOLS))}")


def _benchmark_words(text: str, language: str, transcript: bool) -> list[str]:
    if language not in ("en", "zh"):
        raise InputError(
            f"protocol='seed-tts-eval' is defined for English and Chinese, and the text is {language!r}: "
            "take protocol='whisper'"
        )
    if transcript and language == "zh":
        text = import_from_extra("zhconv", "seed-tts-eval").convert(text, "zh-cn")
    text = text.translate(_punctuation()).replace("  ", " ")
    text = " ".join(text) if language == "zh" else text.lower()
    # As jiwer splits: one space of any other kind stays inside a word.
    return [word for word in re.sub(r"\s\s+", " ", text).strip().split(" ") if word]


def _attached(parts: Sequence[Segment]) -> list[Segment]:
    """Returns Korean parts in which a number has what it counts, in one word or in two: 세개 or 세 개."""
    found: list[Segment] = []
    for part in parts:
        letters = re.match(r"[^\W\d_]*", part.written)
        before = found[-1] if found else None
        is_plain = part.readings == (part.written,)
        if before and letters and letters[0] and is_plain and before.readings != (before.written,):
            ends = [f"{reading}{space}{letters[0]}" for reading in before.readings for space in ("", " ")]
            found[-1] = Segment(before.written + letters[0], tuple(ends))
            part = Segment(part.written[letters.end() :], (part.written[letters.end() :],))
        found.append(part)
    return found


def _english_words(text: str, language: str) -> list[str]:
    """Returns English words in one form: Whisper's normaliser without the parts that delete words or read numbers."""
    normaliser, remove_symbols = _english()
    text = re.sub(r"\s+'", "'", text.lower())
    for pattern, replacement in normaliser.replacers.items():
        text = re.sub(pattern, replacement, text)
    words: list[str] = normaliser.standardize_spellings(remove_symbols(text)).split()
    return words


def _words(text: str, language: str) -> list[str]:
    """Returns lower-case words of letters, marks and digits, with the apostrophes inside them."""
    kept = [char if _is_said(char) or char == "'" else " " for char in _folded_forms(text)]
    return [word for each in "".join(kept).split() if (word := each.strip("'"))]


def _characters(text: str, language: str) -> list[str]:
    """Returns characters, each with its vowel signs and tone marks."""
    fold = _simplified if language in ("zh", "yue") else str
    characters: list[str] = []
    for char in filter(_is_said, _folded_forms(text)):
        if characters and unicodedata.category(char)[0] == "M":
            characters[-1] += char
        else:
            characters.append(fold(char))
    return characters


def _folded_forms(text: str) -> str:
    """Returns lower-case text with full-width forms folded, without characters of no width."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(char for char in folded if unicodedata.category(char) != "Cf")


def _is_said(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


_ONE_FORM = {"著": "着", "幺": "么", "〇": "零"}
"""Characters that are written for one another, beyond OpenCC's table of traditional characters."""


@cache
def _simplified(character: str) -> str:
    """Returns a character's simplified form. Phrases play no part, so its neighbours do not matter."""
    folded = str(_converter().convert(character))
    return _ONE_FORM.get(folded, folded)


@cache
@explain_missing_imports()
def _english() -> tuple[Any, Any]:
    from whisper.normalizers import EnglishTextNormalizer
    from whisper.normalizers.basic import remove_symbols_and_diacritics

    return EnglishTextNormalizer(), remove_symbols_and_diacritics


@cache
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


@cache
def _punctuation() -> dict[int, None]:
    from zhon.hanzi import punctuation

    return dict.fromkeys(map(ord, set(punctuation + string.punctuation) - {"'"}))
