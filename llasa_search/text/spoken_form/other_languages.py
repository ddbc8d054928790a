"""Languages whose numbers num2words knows: numbers, percentages, money, times. What is not known stays as written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial

from llasa_search.text.spoken_form.segments import Readings, Rule, after, before, distinct

LANGUAGES = frozenset(
    re.findall(
        r"\w+",
        "az be bn ca cs da de es fi fr he hu id is it ja kk ko lt lv nl no pl pt ro ru sk sl sv th uk vi",
    )
)
"""Codes of Whisper's list. num2words is wrong about some numbers of others that it has, such as Arabic and Turkish."""

_WITHOUT_DECIMALS = frozenset({"ca", "cs", "sk", "sl", "vi"})
"""Languages in which num2words is wrong about decimals."""

_CODES = {"kk": "kz"}
_DECIMAL_POINT = frozenset({"bn", "he", "ja", "ko", "th"})
"""The others write a decimal comma, and group digits by points or spaces."""

PERCENT: dict[str, Readings] = {
    "de": ("Prozent",),
    "fr": ("pour cent",),
    "es": ("por ciento",),
    "it": ("per cento", "percento"),
    "pt": ("por cento",),
    "nl": ("procent",),
    "sv": ("procent",),
    "da": ("procent",),
    "no": ("prosent",),
    "pl": ("procent", "procenta", "procentów"),
    "ru": ("процентов", "процента", "процент"),
    "ja": ("パーセント",),
    "ko": (" 퍼센트", " 프로"),
}

CURRENCIES: dict[str, dict[str, Readings]] = {
    "de": {"€": ("Euro",), "$": ("Dollar",), "£": ("Pfund",)},
    "fr": {"€": ("euros", "euro"), "$": ("dollars", "dollar"), "£": ("livres", "livre")},
    "es": {"€": ("euros", "euro"), "$": ("dólares", "dólar"), "£": ("libras", "libra")},
    "it": {"€": ("euro",), "$": ("dollari", "dollaro"), "£": ("sterline", "sterlina")},
    "pt": {"€": ("euros", "euro"), "$": ("dólares", "dólar"), "£": ("libras", "libra")},
    "nl": {"€": ("euro",), "$": ("dollar",), "£": ("pond",)},
    "ru": {"€": ("евро",), "$": ("долларов", "доллара", "доллар")},
    "ja": {"€": ("ユーロ",), "$": ("ドル",), "£": ("ポンド",), "¥": ("円",)},
    "ko": {"€": (" 유로",), "$": (" 달러",), "£": (" 파운드",), "₩": (" 원",)},
}

GENDERS: dict[str, dict[str, Readings]] = {
    "de": {"1": ("ein", "eine", "einen", "einem", "einer")},
    "fr": {"1": ("une",)},
    "es": {"1": ("un", "una")},
    "it": {"1": ("un", "una")},
    "pt": {"1": ("uma",), "2": ("duas",)},
    "ru": {"1": ("одна", "одно", "одну"), "2": ("две",)},
    "pl": {"1": ("jedna", "jedno"), "2": ("dwie", "dwóch")},
    "ko": {
        **{
            "1": ("한",),
            "2": ("두",),
            "3": ("세",),
            "4": ("네",),
            "5": ("다섯",),
            "6": ("여섯",),
            "7": ("일곱",),
        },
        **{"8": ("여덟",), "9": ("아홉",), "10": ("열",), "11": ("열한",), "12": ("열두",), "20": ("스무",)},
    },
}
"""Other forms of a number, which depend on what is counted."""

_CLOCK = {"de": (" Uhr ", " Uhr"), "nl": (" uur ", " uur"), "fr": (" heures ", " heures"), "ja": ("時", "時")}
"""What stands between hour and minute, and after a full hour."""

_KOREAN_COUNTERS = ("개", "명", "마리", "살", "번", "잔", "권", "시", "병", "장")
"""Counted with native numbers, up to 99."""

_GERMAN_MONTHS = "Januar|Februar|März|April|Mai|Juni|Juli|August|September|Oktober|November|Dezember"


@cache
def rules(language: str) -> tuple[Rule, ...]:
    """Returns the rules of a language of `LANGUAGES`."""
    point, group = (r"\.", ",") if language in _DECIMAL_POINT else (",", "[.\u00a0\u202f ]")
    number = rf"(?:\d{{1,3}}(?:{group}\d{{3}})+(?!\d)|\d+)(?:{point}\d+)?"
    start, end = r"(?<![\w.,:/])", r"(?![^\W_]|[:/]\d|[.,]\d|[º°ª])"
    if language in ("ja", "ko", "th"):  # no space between a number and a word
        start, end = r"(?<![\d.,:/])", r"(?![A-Za-z]|[:/]\d|[.,]\d|[º°ª])"
    minus = r"(?P<minus>(?<!\S)[-−](?=\d))?"
    found = []
    if language == "de":
        found.append(Rule(re.compile(rf"{start}(\d{{1,2}})\. ?(?={_GERMAN_MONTHS})"), _german_day))
    found.append(
        Rule(
            re.compile(rf"{start}(\d{{1,2}})(?::|(?<=\d)h)(\d{{2}})(?P<clock> Uhr| uur)?(?![\d:])"),
            partial(_time, language),
        )
    )
    if signs := "".join(map(re.escape, CURRENCIES.get(language, ""))):
        money = (
            rf"(?P<sign>[{signs}])\s?(?P<amount>{number})|{start}(?P<value>{number})\s?(?P<after>[{signs}])"
        )
        found.append(Rule(re.compile(rf"(?:{money})(?!\d)"), partial(_money, language)))
    if language in PERCENT:
        found.append(
            Rule(re.compile(rf"{start}{minus}(?P<amount>{number})\s?%"), partial(_percent, language))
        )
    # A full stop after a German number makes it an ordinal, unless the sentence ends there.
    ordinal = r"(?!\. ?[a-zäöü])" if language == "de" else ""
    found.append(
        Rule(re.compile(rf"{start}{minus}(?P<amount>{number}){end}{ordinal}"), partial(_number, language))
    )
    return tuple(found)


def _number(language: str, match: re.Match[str]) -> Sequence[Readings] | None:
    said = _said(match["amount"], language)
    minus = _minus(language)
    rest = after(match).lstrip()
    # A year in a Slavic language is an ordinal, and its ending depends on the sentence.
    if not said or (match["minus"] and not minus) or rest.startswith(("год", "рік", "рок")):
        return None
    if language == "ko" and rest.startswith(_KOREAN_COUNTERS) and not rest.startswith("시간"):
        said = (*GENDERS["ko"].get(match["amount"], ()), *said)
    return [*([(minus,)] if match["minus"] else []), said]


def _percent(language: str, match: re.Match[str]) -> Sequence[Readings] | None:
    number = _number(language, match)
    return number and [*number, PERCENT[language]]


def _money(language: str, match: re.Match[str]) -> Sequence[Readings] | None:
    said = _said(match["amount"] or match["value"], language)
    units = CURRENCIES[language][match["sign"] or match["after"]]
    whole, _, cents = (match["amount"] or match["value"]).partition(",")
    if len(cents) == 2 and int(cents) and language not in _DECIMAL_POINT:
        small = _said(cents.lstrip("0"), language)
        joints = ("", "con ", "y ", "e ") if language in ("es", "it", "pt") else ("",)
        amounts = [
            f"{high} {unit} {joint}{low}"
            for high in _said(whole, language)
            for low in small
            for unit in units
            for joint in joints
        ]
        return [distinct(*amounts)] if amounts else None
    return [said, units] if said else None


def _time(language: str, match: re.Match[str]) -> Sequence[Readings] | None:
    hour, minute = match[1], match[2]
    if int(hour) > 24 or int(minute) > 59:
        return None
    between, full = _CLOCK.get(language, (" ", ""))
    minutes = "分" if language == "ja" else ""
    hours = distinct(*(_said(hour.lstrip("0") or "0", language)))
    if not hours:
        return None
    if not int(minute):
        return [hours, (full, "")]
    said = [f"{each}{minutes}" for each in _said(minute.lstrip("0"), language)]
    return [hours, (between, " ") if between != " " else (" ", " y ", " e "), tuple(said)]


def _german_day(match: re.Match[str]) -> Sequence[Readings] | None:
    from num2words import num2words

    name = str(num2words(int(match[1]), to="ordinal", lang="de"))
    dative = re.search(r"(?i)\b(?:am|vom|zum|den|dem|bis|seit|ab)(?: \w+,)? $", before(match))
    forms = [name + ending for ending in ("", "r", "n", "s", "m")]
    return [distinct(*([name + "n"] if dative else []), *forms), (" ",)]


@cache
def _said(written: str, language: str) -> Readings:
    """Returns the readings of a number, none where num2words does not know it."""
    point = "." if language in _DECIMAL_POINT else ","
    whole, _, fraction = written.partition(point)
    plain = re.sub(r"\D", "", whole)
    if len(plain) > 1 and plain[0] == "0":
        return tuple(_join([_words(digit, language) for digit in plain], language))
    if fraction and language in _WITHOUT_DECIMALS:
        return ()
    if fraction:
        decimal = _words(f"{plain}.{fraction}", language)
        return distinct(decimal.replace("punto", "coma") if language == "es" else decimal)
    words = [_words(plain, language)]
    if len(plain) == 4 and plain == whole:
        words.append(_words(plain, language, "year"))
    if language == "de":
        words += [re.sub("^ein(?=tausend|hundert)", "", each) for each in words]
    return distinct(*words, *GENDERS.get(language, {}).get(plain, ()))


def _join(words: list[str], language: str) -> list[str]:
    return [("" if language == "ja" else " ").join(words)] if all(words) else []


@cache
def _words(number: str, language: str, to: str = "cardinal") -> str:
    """Returns a number by num2words, "" where it does not know it."""
    from decimal import Decimal

    from num2words import num2words

    try:
        value = Decimal(number) if "." in number else int(number)
        return str(num2words(value, lang=_CODES.get(language, language), to=to)).replace("-", " ")
    except (
        Exception
    ):  # num2words raises whatever its converters do: a language may lack large or decimal numbers
        return ""


def _minus(language: str) -> str:
    """Returns the word for a negative sign, from num2words' reading of -5."""
    negative, positive = _words("-5", language), _words("5", language)
    return negative.removesuffix(positive).strip() if positive and negative.endswith(positive) else ""
