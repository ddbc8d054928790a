"""English: the order of the rules, and the projection onto letters."""

from __future__ import annotations

import re
import unicodedata

from llasa_search.text.spoken_form import english_dates, english_quantities, english_words

RULES = (*english_words.RULES[:1], *english_dates.RULES, *english_quantities.RULES, *english_words.RULES[1:])
"""An address comes first, because it can contain dates and numbers; of others, the longer expression."""

_LIGATURES = str.maketrans(
    {"œ": "oe", "ø": "o", "æ": "ae", "ß": "ss", "đ": "d", "ð": "d", "þ": "th", "ł": "l"}
)


def plain_letters(text: str) -> str:
    """Returns lower-case words of the letters a to z and apostrophes.

    >>> plain_letters("Café? Isn't it!")
    "cafe isn't it"
    """
    plain = unicodedata.normalize("NFKD", text).lower().translate(_LIGATURES)
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(word.strip("'") for word in re.findall(r"[a-z']*[a-z][a-z']*", plain))
