"""The language of a text."""

from __future__ import annotations

import re
import unicodedata

from llasa_search.errors import InputError

LANGUAGES = ("en", "zh")
# Chinese characters: the unified ideographs, extension A, and the supplementary planes' extensions.
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def language_of(text: str, language: str | None = None) -> str:
    """`language` if it is given, else "zh" where most letters are Chinese characters, else "en".

    Raises:
        InputError: a language other than these.

    >>> language_of("今天天气很好, OK"), language_of("The word 好 means good.")
    ('zh', 'en')
    """
    if language is not None:
        if language not in LANGUAGES:
            raise InputError(f"language={language!r}: Llasa speaks {' and '.join(LANGUAGES)}")
        return language
    letters = sum(unicodedata.category(c)[0] == "L" for c in text)
    return "zh" if 2 * len(_CHINESE.findall(text)) > letters else "en"
