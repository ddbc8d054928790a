"""English dates, times of day and telephone numbers."""

from __future__ import annotations

import re

from llasa_search.text.spoken_form.english_numbers import cardinal, digits, integer, ordinal, year
from llasa_search.text.spoken_form.segments import Readings, Rule, distinct

MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = "|".join(
    [*(month.capitalize() for month in MONTHS), r"(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?"]
)
_SUFFIX = "(?:st|nd|rd|th)?"
_YEAR = r"(?:(?:,? )(\d{4})(?![\d:,%]|\.\d))?"


def _iso(match: re.Match[str]) -> list[Readings] | None:
    return _date(int(match[3]), int(match[2]), match[1])


def _with_slashes(match: re.Match[str]) -> list[Readings] | None:
    """Reads 13/5/2021. Of 3/5/2021, whose day is unknown, the usual reading is its numbers."""
    first, second, years = int(match[1]), int(match[3]), match[4]
    dates = [(day, month) for month, day in ((first, second), (second, first)) if month <= 12]
    if not all(1 <= day <= 31 and month >= 1 for day, month in dates) or not dates:
        return None
    said = _two_digit_year(years) if len(years) == 2 else year(years)
    named = [reading for day, month in dates for reading in _month_and_day(month, day)]
    if len(set(dates)) == 1:
        return [tuple(named), said]
    as_numbers = [
        f"{cardinal(first)} {cardinal(second)}",
        f"{cardinal(first)} slash {cardinal(second)} slash",
    ]
    return [distinct(*as_numbers, *named), said]


def _month_first(match: re.Match[str]) -> list[Readings] | None:
    day = int(match[2])
    if not 1 <= day <= 31:
        return None
    name, *abbreviation = _month(match[1])
    said = list(_month_and_day(MONTHS.index(name) + 1, day))
    said += [f"{short} {each}" for short in abbreviation for each in (ordinal(day)[0], cardinal(day))]
    return [distinct(*said), *([year(match[3])] if match[3] else [])]


def _day_first(match: re.Match[str]) -> list[Readings] | None:
    day, month = int(match[1]), _month(match[2])[0]
    if not 1 <= day <= 31:
        return None
    th = ordinal(day)[0]
    said = [f"the {th} of {month}", f"{th} of {month}", f"the {th} {month}", f"{th} {month}"]
    said += [f"{cardinal(day)} {month}", *_month_and_day(MONTHS.index(month) + 1, day)]
    return [distinct(*said), *([year(match[3])] if match[3] else [])]


def _month_and_year(match: re.Match[str]) -> list[Readings]:
    return [_month(match[1]), year(match[2])]


def _date(day: int, month: int, years: str) -> list[Readings] | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return [_month_and_day(month, day), year(years)]


def _month_and_day(month: int, day: int) -> Readings:
    name, th = MONTHS[month - 1], ordinal(day)[0]
    return (
        *(f"{name} {th}", f"{name} the {th}", f"{name} {cardinal(day)}"),
        *(f"the {th} of {name}", f"{th} of {name}", f"{th} {name}", f"{cardinal(day)} {name}"),
    )


def _month(written: str) -> Readings:
    """Returns the name of a month, and the abbreviation that a recogniser may write."""
    start = written.rstrip(".").lower()
    name = next(month for month in MONTHS if month.startswith(start[:3]))
    return distinct(name, start)


def _two_digit_year(years: str) -> Readings:
    century = "20" if int(years) < 50 else "19"
    return distinct(*year(century + years), *integer(years), *digits(years))


def _time(match: re.Match[str]) -> list[Readings] | None:
    """Reads 10:30, 9:05 pm and 1:02:03; what is not a time, such as 16:90, is a ratio."""
    hour, minute, second, half = int(match[1]), int(match[2]), match[3], match[4]
    if hour > 24 or minute > 59 or int(second or 0) > 59:
        return None if second else [integer(match[1]), ("to", ""), integer(match[2])]
    parts: list[Readings] = [_hour(match[1])]
    if minute or second:
        parts.append(_minute(match[2]))
        parts += [_minute(second)] if second else []
    elif match["clock"] or not half:
        # Nobody reads the minutes of 10:00 as zero.
        parts.append(("o'clock", "", "hundred", "zero zero"))
    if half:
        parts.append((f"{half.lower()} m", f"{half.lower()}m"))
    return parts


def _full_hour(match: re.Match[str]) -> list[Readings] | None:
    hour, minute, half = match[1], match[2], match[3].lower()
    if not 1 <= int(hour) <= 12 or int(minute or 0) > 59:
        return None
    minutes = [_minute(minute)] if int(minute or 0) else []
    return [(cardinal(int(hour)),), *minutes, (f"{half} m", f"{half}m")]


def _hour(written: str) -> Readings:
    value = int(written)
    return distinct(cardinal(value), *(digits(written) if written[0] == "0" else []))


def _minute(written: str) -> Readings:
    value = int(written)
    if value >= 10:
        return (cardinal(value),)
    return distinct(f"oh {cardinal(value)}", f"zero {cardinal(value)}", cardinal(value))


def _telephone(match: re.Match[str]) -> list[Readings]:
    parts: list[Readings] = [("plus", "")] if match[0].startswith("+") else []
    groups = re.findall(r"\d+", match[0])
    for group in groups:
        pairs = integer(group) if len(group) == 4 or group.endswith("00") else ()
        parts.append(distinct(*digits(group), *pairs))
        if len(groups) == 2 and group == groups[0]:  # 150-2000 can also be a range
            parts[-1] = distinct(*parts[-1], *(f"{each} to" for each in integer(group)))
    return parts


_HALF = r"([AaPp])(?:\.[Mm](?:\.(?!\s*$))?|[Mm]\b)"

RULES = (
    Rule(re.compile(r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?![\w-])"), _iso),
    Rule(re.compile(r"(?<![\w/.])(\d{1,2})(/)(\d{1,2})/(\d{4}|\d{2})(?![\w/])"), _with_slashes),
    Rule(
        re.compile(rf"\b({_MONTH}) (\d{{1,2}}){_SUFFIX}(?![\w:/%]|[.,]\d|-\d{{3}}){_YEAR}"),
        _month_first,
    ),
    Rule(
        re.compile(rf"(?<![\w.,/$£€-])(?:[Tt]he )?(\d{{1,2}}){_SUFFIX}(?: of)? ({_MONTH})(?!\w){_YEAR}"),
        _day_first,
    ),
    Rule(re.compile(rf"\b({_MONTH}),? (\d{{4}})(?![\w:%]|[.,]\d)"), _month_and_year),
    Rule(
        re.compile(
            rf"(?<![\w:.])(\d{{1,2}}):(\d{{2}})(?::(\d{{2}}))?(?: ?{_HALF})?(?P<clock> o'clock)?(?![\w:])"
        ),
        _time,
    ),
    Rule(re.compile(rf"(?<![\w:.,])(\d{{1,2}})(?:\.(\d{{2}}))? ?{_HALF}(?!\w)"), _full_hour),
    Rule(
        re.compile(
            r"\+\d{1,3}(?:[ .-]?\(?\d{1,5}\)?){2,5}(?!\w)"
            r"|(?<![\w-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"
            r"|(?<![\w.-])\d{3}-\d{4}(?![\w-])"
            r"|(?<!\w)0\d{2,4} \d{3,4} ?\d{3,4}(?!\w)"
        ),
        _telephone,
    ),
)
"""ISO dates, dates with slashes, with the month or the day first, months of a year, times, telephone numbers."""
