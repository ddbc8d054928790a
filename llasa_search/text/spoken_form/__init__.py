"""The spoken form of a text: what a reader says, with numbers, signs and abbreviations in words.

One file per language or family of languages. What verifiers compare with it belongs in `verifiers.word_errors`.
"""

from __future__ import annotations

import re

from llasa_search.text.language import has_spaces
from llasa_search.text.spoken_form import chinese, english, other_languages
from llasa_search.text.spoken_form.segments import Segment, joined, split

__all__ = ["FULL", "Segment", "fold_apostrophes", "letters", "segments", "spoken_form"]

FULL = ("en", "zh")
"""Languages whose numbers, dates, times, money, units, abbreviations and signs are read.

In `other_languages.LANGUAGES`, numbers, percentages and money are; in any other language everything stays as written.
"""

_APOSTROPHES = re.compile("[\u2019\u02bc\uff07]|(?<=[^\\W\\d_])[\u2018\u0060\u00b4](?=[^\\W\\d_])")
_CHINESE = ("zh", "yue")


def spoken_form(text: str, language: str) -> str:
    """Returns what a reader says, with the punctuation of the text.

    Args:
        text: cleaned, see `clean_text`.
        language: a code of Whisper's list, such as "en".

    >>> spoken_form("Dr. Smith paid $5.50 on May 3, 1999 (at 10:30).", "en")
    'Doctor Smith paid five dollars and fifty cents on may third nineteen ninety nine (at ten thirty).'
    >>> spoken_form("2024年有50%的人迟到。", "zh")
    '二零二四年有百分之五十的人迟到。'
    """
    # In Korean, a number and what it counts are one word.
    apart = has_spaces(language) and language != "ko"
    return joined(segments(text, language), " " if apart else "")


def segments(text: str, language: str) -> list[Segment]:
    """Returns the parts of a text, each with all usual ways to say it.

    Args:
        text: cleaned.
        language: a code of Whisper's list.

    >>> segments("Room 205.", "en")[1].readings[:4]
    ('two hundred five', 'two hundred and five', 'two oh five', 'two zero five')
    """
    text = fold_apostrophes(text)
    if language == "en":
        return split(text, english.RULES)
    if language in _CHINESE:
        return split(text.translate(chinese.FULL_WIDTH), chinese.RULES)
    if language in other_languages.LANGUAGES:
        return split(text, other_languages.rules(language))
    return [Segment(text, (text,))] if text else []


def fold_apostrophes(text: str) -> str:
    """Returns the text with one sign for the apostrophe, the one of ASCII.

    >>> fold_apostrophes("It’s the captain´s ‘coin’.")
    "It's the captain's ‘coin'."
    """
    return _APOSTROPHES.sub("'", text)


def letters(text: str) -> str:
    """Returns what a reader of English says, as lower-case words of letters and apostrophes.

    >>> letters("Café No. 21, isn't it?")
    "cafe number twenty one isn't it"
    """
    return english.plain_letters(spoken_form(text, "en"))
