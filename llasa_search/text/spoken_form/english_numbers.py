"""English numbers in words. Each function returns all usual readings, the most usual first."""

from __future__ import annotations

from functools import cache

from llasa_search.text.spoken_form.segments import Readings, distinct

LONGEST = 9
"""Longer numbers without commas are codes, and are read digit by digit."""

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@cache
def cardinal(number: int, joint: str = " ") -> str:
    """Returns a whole number in words; `joint` stands before the last two digits.

    >>> cardinal(1204), cardinal(1204, " and ")
    ('one thousand two hundred four', 'one thousand two hundred and four')
    """
    from num2words import num2words

    words = str(num2words(number)).replace(",", "").replace("-", " ")
    return words.replace("minus ", "").replace(" and ", joint)


def ordinal(number: int) -> Readings:
    """Returns the readings of an ordinal number.

    >>> ordinal(121)
    ('one hundred twenty first', 'one hundred and twenty first')
    """
    from num2words import num2words

    words = str(num2words(number, to="ordinal")).replace(",", "").replace("-", " ")
    return distinct(words.replace(" and ", " "), words)


def digits(code: str) -> Readings:
    """Returns the readings of a number that is read digit by digit.

    >>> digits("205")
    ('two zero five', 'two oh five')
    """
    words = " ".join(_DIGITS[int(digit)] for digit in code)
    return distinct(words, words.replace("zero", "oh"))


def integer(number: str) -> Readings:
    """Returns the readings of a whole number without a sign.

    >>> integer("1,500")
    ('one thousand five hundred', 'fifteen hundred', 'a thousand five hundred')
    """
    plain = number.replace(",", "")
    grouped = plain != number
    if (len(plain) > LONGEST and not grouped) or (len(plain) > 1 and plain[0] == "0") or len(plain) > 60:
        return digits(plain)
    value = int(plain)
    words = [cardinal(value), cardinal(value, " and ")]
    if value >= 100:
        words += _hundreds(value)
        words += ["a " + each.removeprefix("one ") for each in words if each.startswith("one ")]
    if len(plain) > 2 and not grouped:
        words += [*_pairs(value), *digits(plain)]
    return distinct(*words)


def year(number: str) -> Readings:
    """Returns the readings of a year.

    >>> year("1999")[0], year("1905")[0], year("2005")[0], year("2024")[0], year("1900")[0]
    ('nineteen ninety nine', 'nineteen oh five', 'two thousand five', 'twenty twenty four', 'nineteen hundred')
    """
    value = int(number)
    others = integer(number)
    if not 1001 <= value <= 9999 or 2000 <= value <= 2009 or value % 1000 == 0:
        return others
    first = _hundreds(value)[:1] if value % 100 == 0 else _pairs(value)
    return distinct(*first, *others)


def decimal(whole: str, fraction: str) -> Readings:
    """Returns the readings of a number with decimals.

    Args:
        whole: the digits before the point, or "".
        fraction: the digits after it.

    >>> decimal("3", "14")
    ('three point one four', 'three point fourteen')
    """
    ends = [
        *digits(fraction),
        *([cardinal(int(fraction))] if len(fraction) == 2 and fraction[0] != "0" else []),
    ]
    starts = ["", "zero", "oh"] if not whole else list(integer(whole)[:8])
    if whole == "0":
        starts = ["zero", "", "oh"]
    return distinct(*(f"{start} point {end}".strip() for start in starts for end in ends))


def number(text: str) -> Readings:
    """Returns the readings of a number without a sign, such as "1,234.5"."""
    whole, point, fraction = text.partition(".")
    return decimal(whole, fraction) if point else integer(text)


def _hundreds(value: int) -> list[str]:
    """Returns "nineteen hundred five" and its like, for four digits."""
    if not 1100 <= value <= 9999 or value // 100 % 10 == 0:
        return []
    start, rest = f"{cardinal(value // 100)} hundred", value % 100
    return [f"{start} {cardinal(rest)}", f"{start} and {cardinal(rest)}"] if rest else [start]


def _pairs(value: int) -> list[str]:
    """Returns "nineteen oh five" and its like, for three or four digits."""
    start, rest = divmod(value, 100)
    if not 1 <= start <= 99 or not rest:
        return []
    if rest >= 10:
        return [f"{cardinal(start)} {cardinal(rest)}"]
    return [f"{cardinal(start)} oh {cardinal(rest)}"] + [f"{cardinal(start)} {cardinal(rest)}"] * (start > 9)
