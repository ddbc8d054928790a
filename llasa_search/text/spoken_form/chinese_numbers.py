"""Chinese numbers in characters. Each function returns all usual readings, the most usual first."""

from __future__ import annotations

import re

from llasa_search.text.spoken_form.segments import Readings, distinct

_DIGITS = "零一二三四五六七八九"
LONGEST = 16
"""Longer numbers are read digit by digit."""


def digits(code: str, telephone: bool = False) -> Readings:
    """Returns the readings of a number that is read digit by digit; of a telephone number, 1 is 幺.

    >>> digits("110", telephone=True)
    ('幺幺零', '一一零')
    """
    words = "".join(_DIGITS[int(digit)] for digit in code)
    return distinct(words.replace("一", "幺"), words) if telephone else (words,)


def integer(number: str) -> Readings:
    """Returns the readings of a whole number without a sign.

    >>> integer("2024")
    ('两千零二十四', '二千零二十四', '二零二四')
    """
    plain = number.replace(",", "")
    grouped = plain != number
    if len(plain) > LONGEST or (len(plain) > 1 and plain[0] == "0"):
        return distinct(*digits(plain), *digits(plain, telephone=True))
    formal = _formal(int(plain))
    usual = re.sub("二(?=[千万亿])(?<![十百]二)", "两", formal)
    first = re.sub("^二(?=[千万亿])", "两", formal)
    colloquial = [re.sub("二(?=百)", "两", each) for each in (formal, usual)]
    said = [usual, first, formal, *colloquial]
    if len(plain) > 2 and not grouped:
        said += [*digits(plain), *digits(plain, telephone=True)]
    return distinct(*said)


def number(text: str) -> Readings:
    """Returns the readings of a number without a sign, such as "1,234.5".

    >>> number("3.50")
    ('三点五零', '三点五')
    """
    whole, point, fraction = text.partition(".")
    starts = integer(whole or "0")
    if not point:
        return starts
    ends = distinct(*digits(fraction), *digits(fraction.rstrip("0") or "0"))
    return distinct(*(f"{start}点{end}" for end in ends for start in starts[:3]))


def year(number: str) -> Readings:
    """Returns the readings of a year: digit by digit, or as a number."""
    if len(number) == 4 and not 1000 <= int(number) <= 2100:
        return distinct(*integer(number), *digits(number))
    return distinct(*digits(number), *integer(number))


def _formal(value: int) -> str:
    from cn2an import an2cn

    return str(an2cn(str(value), "low"))
