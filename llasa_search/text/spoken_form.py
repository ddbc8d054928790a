"""The spoken form of a text: lower-case words, numbers in words."""

from __future__ import annotations

import re
import unicodedata

_ONES = re.split(
    " ",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
)
_TENS = re.split(" ", "twenty thirty forty fifty sixty seventy eighty ninety")
_LARGE = ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))


def letters(text: str) -> str:
    """Returns English text as lower-case words of letters and apostrophes, with numbers in words.

    >>> letters("Café No. 21, isn't it?")
    "cafe no twenty one isn't it"
    """
    plain = unicodedata.normalize("NFKD", text.replace("’", "'")).lower()
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", plain)
    plain = re.sub(r"\d+", lambda number: f" {_number(number[0])} ", plain)
    return " ".join(word.strip("'") for word in re.findall(r"[a-z']*[a-z][a-z']*", plain))


def _number(digits: str) -> str:
    # Codes and telephone numbers are spoken digit by digit.
    if len(digits) > 9 or (len(digits) > 1 and digits[0] == "0"):
        return " ".join(_ONES[int(digit)] for digit in digits)
    return _words(int(digits))


def _words(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return _TENS[tens - 2] + (f" {_ONES[rest]}" if rest else "")
    size, name = next(each for each in _LARGE if number >= each[0])
    count, rest = divmod(number, size)
    return f"{_words(count)} {name}" + (f" {_words(rest)}" if rest else "")
