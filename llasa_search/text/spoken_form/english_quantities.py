"""English amounts of money, quantities with a unit, fractions, ordinals, decades and other numbers."""

from __future__ import annotations

import re
import unicodedata

from llasa_search.text.spoken_form.english_numbers import cardinal, integer, number, ordinal, year
from llasa_search.text.spoken_form.segments import Readings, Rule, after, before, distinct

NUMBER = r"(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<![\w.])\.\d+)"
_START = r"(?<!\d)"
_MINUS = r"(?:(?<![\w)\].,])[-−–](?=[\d.$£€¥₹]))"
_RANGE = r"\s?[-–—~]\s?"

CURRENCIES: dict[str, tuple[Readings, Readings, Readings, Readings]] = {
    "$": (("dollar",), ("dollars",), ("cent",), ("cents",)),
    "£": (("pound",), ("pounds",), ("penny",), ("pence", "p")),
    "€": (("euro",), ("euros", "euro"), ("cent",), ("cents",)),
    "¥": (("yen", "yuan"), ("yen", "yuan"), ("sen",), ("sen",)),
    "₹": (("rupee",), ("rupees",), ("paisa",), ("paise",)),
}
"""Each sign's unit and hundredth, singular and plural."""

_COUNTRIES = {"US": "u s", "A": "australian", "AU": "australian", "C": "canadian", "HK": "hong kong", "": ""}
_SCALES = {
    "k": "thousand",
    "m": "million",
    "mn": "million",
    "b": "billion",
    "bn": "billion",
    "tn": "trillion",
}

UNITS: dict[str, tuple[str, str, Readings]] = {
    "%": ("percent", "percent", ("per cent",)),
    "‰": ("per mille", "per mille", ("per thousand",)),
    "°C": ("degree celsius", "degrees celsius", ("degrees centigrade", "degrees c")),
    "°F": ("degree fahrenheit", "degrees fahrenheit", ("degrees f",)),
    "°": ("degree", "degrees", ()),
    "mm": ("millimeter", "millimeters", ()),
    "cm": ("centimeter", "centimeters", ()),
    "m": ("meter", "meters", ()),
    "km": ("kilometer", "kilometers", ("k",)),
    "mi": ("mile", "miles", ()),
    "ft": ("foot", "feet", ()),
    "yd": ("yard", "yards", ()),
    "mg": ("milligram", "milligrams", ()),
    "g": ("gram", "grams", ()),
    "kg": ("kilogram", "kilograms", ("kilos", "kilo")),
    "lb": ("pound", "pounds", ()),
    "lbs": ("pound", "pounds", ()),
    "oz": ("ounce", "ounces", ()),
    "ml": ("milliliter", "milliliters", ("mils",)),
    "mL": ("milliliter", "milliliters", ("mils",)),
    "l": ("liter", "liters", ()),
    "L": ("liter", "liters", ()),
    "ms": ("millisecond", "milliseconds", ()),
    "min": ("minute", "minutes", ()),
    "h": ("hour", "hours", ()),
    "hr": ("hour", "hours", ()),
    "hrs": ("hour", "hours", ()),
    "mph": ("mile per hour", "miles per hour", ("m p h",)),
    "rpm": ("revolution per minute", "revolutions per minute", ("r p m",)),
    "Hz": ("hertz", "hertz", ()),
    "kHz": ("kilohertz", "kilohertz", ()),
    "MHz": ("megahertz", "megahertz", ()),
    "GHz": ("gigahertz", "gigahertz", ()),
    "KB": ("kilobyte", "kilobytes", ("k b",)),
    "MB": ("megabyte", "megabytes", ("megs", "m b")),
    "GB": ("gigabyte", "gigabytes", ("gigs", "g b")),
    "TB": ("terabyte", "terabytes", ("t b",)),
    "W": ("watt", "watts", ()),
    "kW": ("kilowatt", "kilowatts", ()),
    "MW": ("megawatt", "megawatts", ()),
    "kWh": ("kilowatt hour", "kilowatt hours", ()),
    "V": ("volt", "volts", ()),
    "dB": ("decibel", "decibels", ()),
    "kcal": ("kilocalorie", "kilocalories", ()),
}
"""Singular, plural, and other readings. Left out: in (a word), A and s (too short to be sure)."""

_PER = {
    "h": "hour",
    "hr": "hour",
    "s": "second",
    "min": "minute",
    "kg": "kilogram",
    "l": "liter",
    "L": "liter",
}
_POWERS = {"²": "square", "2": "square", "³": "cubic", "3": "cubic"}
_NAMES = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
UNIT = rf"(?P<unit>{_NAMES})(?:/(?P<per>{'|'.join(_PER)})|(?P<power>[²³]))?(?![\w²³])"

_ARTICLE = re.compile(r"\b[Aa]n? $")
"""Before a singular unit, as in "a $5 bill"."""

_YEAR_AFTER = re.compile(
    r"\b(?:in|since|from|until|year|during|before|after|around|circa|early|late|mid|summer|winter|spring|autumn"
    r"|fall|between|copyright|class|(?:battle|war|treaty|crash|summer|winter|spring|autumn|fall|class) of)\W+$",
    re.IGNORECASE,
)
_COUNTED_AFTER = re.compile(
    r"\b(?:page|room|number|no|chapter|line|flat|apartment|channel|route|flight)\W+$", re.IGNORECASE
)
_COUNTED = re.compile(
    r"[\s-]+(?!(?:was|is|as|has|its|his|this|does)\b)(?:[a-z]+s|people|men|women|children|feet)\b"
)


def _money(match: re.Match[str]) -> list[Readings] | None:
    country, sign = match["country"] or "", match["sign"] or match["after"]
    unit, units, cent, cents = CURRENCIES[sign]
    amount, scale = match["amount"], match["scale"]
    parts: list[Readings] = [("minus", "negative")] if match["minus"] else []
    if match["to"]:
        parts += [number(amount), ("to",), number(match["to"])]
    elif not scale and re.fullmatch(r"[\d,]*\.\d\d", amount):
        return [*parts, _with_cents(amount, (unit, units, cent, cents))]
    else:
        parts.append(number(amount))
    if scale:
        word = _SCALES.get(scale.lower(), scale.lower())
        parts.append(distinct(word, scale.lower()))
    one = amount == "1" and not scale and not match["to"]
    one = one or _ARTICLE.search(before(match)) is not None
    if _COUNTRIES[country]:
        parts.append((_COUNTRIES[country], ""))
    parts.append(distinct(*(unit + units if one else units + unit)))
    return parts


def _with_cents(amount: str, names: tuple[Readings, Readings, Readings, Readings]) -> Readings:
    """Returns the readings of an amount such as 5.50."""
    whole, _, rest = amount.partition(".")
    (unit, *_), units, (cent, *_), cents = names
    many, small = int(whole.replace(",", "") or 0), int(rest)
    wholes = [f"{each} {unit if many == 1 else units[0]}" for each in integer(whole or "0")[:3]]
    if not small:
        return distinct(*wholes, f"{wholes[0]} and zero {cents[0]}")
    smalls = [f"{cardinal(small)} {cent if small == 1 else each}" for each in cents]
    if not many:
        return distinct(*smalls, *(f"{wholes[0]} and {each}" for each in smalls))
    said = [f"{each} {joint}{low}" for each in wholes for joint in ("and ", "") for low in smalls]
    bare = [f"{each} {cardinal(small)}" for each in wholes]
    both = f"{cardinal(many)} {cardinal(small) if small > 9 else f'oh {cardinal(small)}'}"
    points = [f"{each} {units[0]}" for each in number(amount.replace(",", ""))[:2]]
    # British amounts are read without "pence".
    return distinct(*(bare + said if cents[0] == "pence" else said + bare), both, *points)


def _quantity(match: re.Match[str]) -> list[Readings]:
    parts: list[Readings] = [("minus", "negative")] if match["minus"] else []
    parts.append(number(match["amount"]))
    if match["to"]:
        parts += [("to",), number(match["to"])]
    one = match["amount"] == "1" and not match["to"]
    return [*parts, _unit(match, one or _ARTICLE.search(before(match)) is not None)]


def _unit(match: re.Match[str], one: bool) -> Readings:
    name = match["unit"]
    singular, plural, others = UNITS[name]
    bare = name.lower() if name.isalpha() else ""
    if match["power"]:
        power = _POWERS[match["power"]]
        return distinct(*(f"{power} {each}" for each in ((singular, plural) if one else (plural, singular))))
    if match["per"]:
        per = _PER[match["per"]]
        said = [
            f"{each} {joint} {per}"
            for joint in ("per", "an" if per == "hour" else "a")
            for each in (plural, singular)
        ]
        return distinct(*said, *(f"{each} per {per}" for each in others), f"{bare} {match['per']}")
    return distinct(*((singular, plural) if one else (plural, singular)), *others, bare)


def _fraction(match: re.Match[str]) -> list[Readings] | None:
    whole, above, below = match[1], match[2], match[3]
    if match[4]:
        above, _, below = unicodedata.normalize("NFKC", match[4]).partition("⁄")
    if (above, below) == ("24", "7"):
        return [("twenty four seven",)]
    if not int(below) or above == "" or below == "":
        return None
    said = _parts_of_one(int(above), int(below))
    if whole:
        halves = ["a half"] if (above, below) == ("1", "2") else []
        return [integer(whole), distinct(*(f"and {each}" for each in halves + said))]
    high, low = cardinal(int(above)), cardinal(int(below))
    return [distinct(*said, *(f"{high} {joint}{low}" for joint in ("over ", "slash ", "out of ", "")))]


def _parts_of_one(above: int, below: int) -> list[str]:
    if below == 2:
        return ["one half", "a half", "half"] if above == 1 else [f"{cardinal(above)} halves"]
    if below == 1:
        return [f"{cardinal(above)} over one"]
    names = [*(["quarter"] if below == 4 else []), ordinal(below)[0]]
    count = ["one", "a"] if above == 1 else [cardinal(above)]
    return [f"{each} {name}{'s' * (above > 1)}" for name in names for each in count]


def _ordinal(match: re.Match[str]) -> list[Readings]:
    value = int(match[1].replace(",", ""))
    pairs = (
        [f"{cardinal(value // 100)} {ordinal(value % 100)[0]}"]
        if 100 < value < 1000 and value % 100 > 9
        else []
    )
    return [distinct(*ordinal(value), *pairs)]


def _plural(match: re.Match[str]) -> list[Readings]:
    """Reads 1990s, '90s and 747s."""
    written = match[1]
    said = year(written) if len(written) == 4 else integer(written)
    if len(written) == 2 and int(written) >= 20 and written[1] == "0":
        said = (*said, f"nineteen {cardinal(int(written))}")
    return [distinct(*map(_plural_of, said))]


def _plural_of(words: str) -> str:
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def _version(match: re.Match[str]) -> list[Readings]:
    groups = [integer(each) for each in match[0].split(".")]
    parts = [groups[0]]
    for group in groups[1:]:
        parts += [("point", "dot"), group]
    return parts


def _range(match: re.Match[str]) -> list[Readings]:
    first, second = match[1], match[2]
    years = _may_be_year(first) and (_may_be_year(second) or len(second) == 2)
    start = year(first) if years else number(first)
    end = year(second) if years and len(second) == 4 else number(second)
    subtraction = re.match(r"\s?=", after(match))
    joints = ("minus", "take away") if subtraction else ("to", "", "dash", "minus", "through", "hyphen")
    return [start, joints, end]


def _product(match: re.Match[str]) -> list[Readings]:
    return [number(match[1]), ("by", "times", "x"), number(match[2])]


def _ratio(match: re.Match[str]) -> list[Readings]:
    return [integer(match[1]), ("to", ""), integer(match[2])]


def _height(match: re.Match[str]) -> list[Readings]:
    return [integer(match[1]), ("foot", "feet", ""), integer(match[2]), ("", "inches")]


def _number(match: re.Match[str]) -> list[Readings]:
    amount = match["amount"]
    parts: list[Readings] = [("minus", "negative")] if match["minus"] else []
    parts += [("plus",)] if match["plus"] else []
    is_year = (
        _may_be_year(amount) and not parts and _in_years_context(before(match), after(match), int(amount))
    )
    return [*parts, year(amount) if is_year else number(amount)]


def _may_be_year(amount: str) -> bool:
    return len(amount) == 4 and amount.isdigit() and 1001 <= int(amount) <= 2099


def _in_years_context(start: str, end: str, value: int) -> bool:
    if _COUNTED_AFTER.search(start):
        return False
    if _YEAR_AFTER.search(start):
        return True
    usual = value >= 1500 and (value % 100 > 0 or value in (1900, 2000))
    return usual and not _COUNTED.match(end)


RULES = (
    Rule(
        re.compile(
            rf"(?P<minus>{_MINUS})?(?:\b(?P<country>US|AU|A|C|HK))?(?:(?P<sign>[$£€¥₹])\s?(?P<amount>{NUMBER})"
            rf"(?:{_RANGE}[$£€¥₹]?(?P<to>{NUMBER}))?)"
            r"(?:[ -]?(?P<scale>thousand|million|billion|trillion|[kKmMbB]|[bmt]n)\b)?(?P<after>)"
        ),
        _money,
    ),
    Rule(
        re.compile(
            rf"{_START}(?P<minus>{_MINUS})?(?P<amount>{NUMBER})(?:{_RANGE}(?P<to>{NUMBER}))?\s?(?P<after>[£€¥₹])"
            r"(?P<country>)(?P<sign>)(?P<scale>)(?![\d])"
        ),
        _money,
    ),
    Rule(
        re.compile(rf"{_START}(\d+)\s?(¢)"),
        lambda match: [integer(match[1]), ("cent" if match[1] == "1" else "cents",)],
    ),
    Rule(
        re.compile(
            rf"{_START}(?P<minus>{_MINUS})?(?P<amount>{NUMBER})(?:{_RANGE}(?P<to>{NUMBER}))?[\s-]?{UNIT}"
        ),
        _quantity,
    ),
    Rule(
        re.compile(
            rf"{_START}(?<!/)(?:(\d+)(?:[ -]|(?=[¼-¾⅐-⅞])))?(?:(\d{{1,3}})[/⁄](\d{{1,4}})|([¼-¾⅐-⅞]))(?![\d/])"
        ),
        _fraction,
    ),
    Rule(re.compile(rf"{_START}(\d{{1,3}}(?:,\d{{3}})+|\d{{1,12}})(?:st|nd|rd|th|ST|ND|RD|TH)\b"), _ordinal),
    Rule(re.compile(rf"(?<!\w)'?{_START}(\d{{1,4}})'?s\b"), _plural),
    Rule(re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?!\w|\.\d)"), _version),
    Rule(re.compile(rf"(?<![\w.,-])({NUMBER}){_RANGE}({NUMBER})(?!\w|,\d|[-–]\d|\.\d)"), _range),
    Rule(re.compile(rf"{_START}({NUMBER})\s?[x×]\s?({NUMBER})(?!\w|,\d|\.\d)"), _product),
    Rule(re.compile(r"(?<![\w.,:])(\d+):(\d+)(?![\w:])"), _ratio),
    Rule(re.compile(r"(?<![\w.,])(\d)' ?(\d{1,2})(?:\"|''|”)?(?!\w)"), _height),
    Rule(re.compile(rf"{_START}(?P<minus>{_MINUS})?(?P<plus>(?<!\w)\+)?(?P<amount>{NUMBER})"), _number),
)
"""Money, units, fractions, ordinals, decades, versions, ranges, and any other number."""
