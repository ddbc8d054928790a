"""The language of a text."""

from __future__ import annotations

import re
import unicodedata

from llasa_search.errors import InputError

LANGUAGES = ("en", "zh")
# The unified ideographs, extension A, and the extensions in the supplementary planes.
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def language_of(text: str, language: str | None = None) -> str:
    """Returns the given language, or detects it: "zh" if most letters are Chinese characters, else "en".

    Args:
        text: to detect the language of.
        language: "en", "zh", or None to detect it.

    Raises:
        InputError: another language was given.

    >>> language_of("今天天气很好, OK"), language_of("The word 好 means good.")
    ('zh', 'en')
    """
    if language is not None:
        if language not in LANGUAGES:
            raise InputError(f"language={language!r}: Llasa speaks {' and '.join(LANGUAGES)}")
        return language
    letters = sum(unicodedata.category(c)[0] == "L" for c in text)
    return "zh" if 2 * len(_CHINESE.findall(text)) > letters else "en"
