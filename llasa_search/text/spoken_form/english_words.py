"""English abbreviations, initials, Roman numerals, addresses and symbols."""

from __future__ import annotations

import re

from llasa_search.text.spoken_form.english_numbers import cardinal, integer, ordinal
from llasa_search.text.spoken_form.segments import Readings, Rule, after, before, distinct

_DOT = r"(?=\.)(?:\.(?!\W*$))?"
"""The full stop of an abbreviation. The one that also ends the text stays."""

TITLES = {
    "Mr": "mister", "Mrs": "missus", "Dr": "doctor", "Prof": "professor", "St": "saint",
    "Mt": "mount", "Gen": "general", "Col": "colonel", "Maj": "major", "Capt": "captain", "Lt": "lieutenant",
    "Sgt": "sergeant", "Gov": "governor", "Sen": "senator", "Rep": "representative", "Rev": "reverend",
    "Hon": "honorable", "Pres": "president", "Messrs": "messieurs",
}  # fmt: skip
"""Before a name."""

_WITHOUT_DOT = ("Mr", "Mrs", "Dr", "Prof", "St", "Mt")

ABBREVIATIONS: dict[str, Readings] = {
    "etc": ("et cetera", "etcetera"),
    "e.g": ("for example", "e g", "eg"),
    "i.e": ("that is", "i e", "ie"),
    "vs": ("versus",),
    "approx": ("approximately",),
    "dept": ("department",),
    "Ave": ("avenue",),
    "Blvd": ("boulevard",),
    "Rd": ("road",),
    "Jr": ("junior",),
    "Sr": ("senior",),
    "Ltd": ("limited",),
    "Inc": ("incorporated",),
    "Corp": ("corporation",),
    "Co": ("company",),
    "Ph.D": ("P H D", "PhD"),
    "a.m": ("a m", "am"),
    "p.m": ("p m", "pm"),
}
"""With their full stop. Each also as it is written, because recognisers write some of them."""

BEFORE_NUMBERS = {
    "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "p": "page", "pp": "pages", "Fig": "figure",
    "Figs": "figures", "Ch": "chapter", "Vol": "volume", "vol": "volume", "Sec": "section", "Art": "article",
    "Eq": "equation",
}  # fmt: skip

SYMBOLS: dict[str, Readings] = {
    "&": ("and",),
    "@": ("at",),
    "+": ("plus",),
    "=": ("equals", "is"),
    "×": ("times", "by", "x"),
    "÷": ("divided by",),
    "±": ("plus or minus", "plus minus"),
    "<": ("less than", "is less than"),
    ">": ("greater than", "is greater than", "more than"),
    "≤": ("less than or equal to",),
    "≥": ("greater than or equal to",),
    "≠": ("not equal to", "is not equal to"),
    "≈": ("approximately", "about"),
    "%": ("percent", "per cent"),
    "°": ("degrees", "degree"),
    "§": ("section",),
    "№": ("number",),
}

MONARCHS = (
    "Henry|Louis|Elizabeth|George|Charles|Edward|Richard|William|James|Philip|Frederick|Napoleon|Pius"
    "|John Paul|Benedict|Leo|Ferdinand|Catherine|Alexander|Nicholas|Peter|Francis|Christian|Gustav|Ramses|Ptolemy"
    "|Wilhelm|Leopold"
)
_COUNTED = "World War|Chapter|Part|Volume|Act|Scene|Book|Section|Phase|Type|Appendix|Article|Title|Super Bowl"
_ROMAN = r"(?=[IVXL])(?:XL|L?X{0,3})(?:IX|IV|V?I{0,3})"


def _roman(numeral: str) -> int:
    values = [{"I": 1, "V": 5, "X": 10, "L": 50}[letter] for letter in numeral]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _monarch(match: re.Match[str]) -> list[Readings]:
    value = _roman(match[2])
    return [(match[1],), (f"the {ordinal(value)[0]}", cardinal(value), match[2])]


def _counted(match: re.Match[str]) -> list[Readings]:
    value = _roman(match[2])
    return [(match[1],), (cardinal(value), f"the {ordinal(value)[0]}", match[2])]


def _title(match: re.Match[str]) -> list[Readings]:
    return [distinct(TITLES[match[1]], match[1])]


def _street(match: re.Match[str]) -> list[Readings]:
    return [("street", "St")]


def _abbreviation(match: re.Match[str]) -> list[Readings]:
    written = match[1]
    return [distinct(*ABBREVIATIONS[written], written.replace(".", " "))]


def _before_number(match: re.Match[str]) -> list[Readings]:
    return [distinct(BEFORE_NUMBERS[match[1]], match[1])]


def _initials(match: re.Match[str]) -> list[Readings]:
    letters = re.findall(r"[A-Za-z]", match[0])
    return [(" ".join(letters), "".join(letters))]


def _capitals(match: re.Match[str]) -> list[Readings] | None:
    """Reads BBC as it is written, or letter by letter. In a text of capitals they are words."""
    if not any(map(str.islower, before(match) + after(match))):
        return None
    return [(match[0], " ".join(match[1]) + match[2])]


def _number_sign(match: re.Match[str]) -> list[Readings]:
    return [("number", "hashtag", "pound", "hash") if match[1] else ("hashtag", "hash")]


def _symbol(match: re.Match[str]) -> list[Readings]:
    return [SYMBOLS[match[0]]]


def _address(match: re.Match[str]) -> list[Readings]:
    names = {".": "dot", "@": "at", "/": "slash", ":": "colon", "-": "dash", "_": "underscore", "+": "plus"}
    parts: list[Readings] = []
    for word, digits, mark in re.findall(r"([A-Za-z]+)|(\d+)|(.)", match[0]):
        if word:
            parts.append(("w w w", "www") if word == "www" else (word,))
        else:
            parts.append(integer(digits) if digits else (names.get(mark, mark),))
    return parts


NUMBER_SIGNS = (
    Rule(re.compile(rf"\b({'|'.join(BEFORE_NUMBERS)})\.\s?(?=\d)"), _before_number),
    Rule(re.compile(r"#(?:(?=(\d))|(?=\w))"), _number_sign),
)

RULES = (
    Rule(
        re.compile(
            r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
            r"|(?<![\w.-])(?:https?://)?(?:[A-Za-z0-9-]{1,63}\.){1,9}(?:com|org|net|edu|gov|io|ai|info|co\.uk|de|fr|cn)\b(?:/[\w./-]*\w)?"
        ),
        _address,
    ),
    Rule(
        re.compile(rf"\b({'|'.join(TITLES)})\. ?(?=[A-Z])|\b({'|'.join(_WITHOUT_DOT)})(?= [A-Z][a-z])"),
        lambda match: [distinct(TITLES[match[1] or match[2]], match[1] or match[2])],
    ),
    Rule(re.compile(rf"(?<=[a-z] )St{_DOT}(?! [A-Z])"), _street),
    Rule(re.compile(rf"\b({'|'.join(map(re.escape, ABBREVIATIONS))}){_DOT}"), _abbreviation),
    Rule(re.compile(r"\b(vs)\b"), _abbreviation),
    *NUMBER_SIGNS,
    Rule(
        re.compile(
            rf"\b[A-Z](?:\.[A-Z])+\b{_DOT}|\b[A-Z]\.(?: [A-Z]\.)+(?= [A-Z][a-z])|\b[a-z](?:\.[a-z])+\b{_DOT}"
        ),
        _initials,
    ),
    Rule(re.compile(rf"\b({MONARCHS}) ({_ROMAN})(?<=[IVX][IVXL])\b(?!')"), _monarch),
    Rule(re.compile(rf"\b({_COUNTED}) ({_ROMAN})\b(?!'|(?<=\bI) [a-z])"), _counted),
    Rule(re.compile(r"(?<![\w'.-])([A-Z]{2,5})(s?)(?![\w'])"), _capitals),
    Rule(re.compile(r"~(?=\d)"), lambda match: [("about", "approximately", "around")]),
    Rule(re.compile(r"(?<=[A-Za-z])/(?=[A-Za-z])"), lambda match: [(" ", "slash", "or")]),
    Rule(re.compile(f"[{''.join(map(re.escape, SYMBOLS))}]"), _symbol),
)
"""Addresses, titles, abbreviations, initials, Roman numerals, capitals and symbols."""
