"""Joins parts of a text: lines, or the transcript of a voice prompt and what is spoken after it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable


def join_texts(parts: Iterable[str]) -> str:
    """Returns the parts in one line, with single spaces; none between Chinese or Japanese characters.

    White space inside a part becomes one space. Parts without text are left out. Korean is joined with spaces.

    >>> join_texts(["The captain found it.", "He left."]), join_texts(["你好。", "突然,", "他走了。"])
    ('The captain found it. He left.', '你好。突然,他走了。')
    """
    joined = ""
    for part in (" ".join(part.split()) for part in parts):
        joined += " " + part if joined and part and _spaced(joined, part) else part
    return joined


def _spaced(before: str, after: str) -> bool:
    """Whether a space belongs between two texts."""
    if _is_wide_mark(before[-1]) or _is_wide_mark(after[0]):
        return False
    last = next(filter(str.isalpha, reversed(before)), "")
    first = next(filter(str.isalpha, after), "")
    return not (_is_unspaced_letter(last) and _is_unspaced_letter(first))


def _is_wide_mark(character: str) -> bool:
    """Whether this is punctuation that has its space within it, such as 。 and 《."""
    wide = unicodedata.east_asian_width(character) in "WF"
    return wide and unicodedata.category(character)[0] == "P"


def _is_unspaced_letter(character: str) -> bool:
    """Whether this is a letter of a script without spaces: Chinese characters, kana and bopomofo."""
    name = unicodedata.name(character, "") if character else ""
    return name.startswith(("CJK", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "BOPOMOFO"))
