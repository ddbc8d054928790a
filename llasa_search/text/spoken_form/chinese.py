"""Chinese: dates, times, money, quantities, telephone and other numbers, and symbols."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from llasa_search.text.spoken_form.chinese_numbers import digits, integer, number, year
from llasa_search.text.spoken_form.segments import Readings, Rule, after, before, distinct

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?"
_START = r"(?<!\d)"
_MINUS = r"(?P<minus>(?<![A-Za-z0-9)\].])[-−](?=\d))?"
_RANGE = r"\s?(?:[-–—~～]|——)\s?"
_COUNTERS = frozenset(
    "个位只名次天周年条件本张块岁米公里小时分钟秒点斤吨层家间辆匹头杯瓶碗双对句段首部"
    "台套种类样倍人口颗粒朵棵座片群支把根千万亿"
)
"""Characters before which 2 is 两: measure words, units, and 千万亿."""

CURRENCIES: dict[str, Readings] = {
    "¥": ("元", "块", "块钱", "元人民币"),
    "$": ("美元", "美金"),
    "€": ("欧元",),
    "£": ("英镑",),
}

UNITS: dict[str, Readings] = {
    "km/h": ("公里每小时", "千米每小时"),
    "m/s": ("米每秒",),
    "km²": ("平方公里", "平方千米"),
    "m²": ("平方米", "平米"),
    "m³": ("立方米",),
    "cm": ("厘米", "公分"),
    "mm": ("毫米",),
    "km": ("公里", "千米"),
    "kg": ("公斤", "千克"),
    "mg": ("毫克",),
    "ml": ("毫升",),
    "mL": ("毫升",),
    "kWh": ("千瓦时", "度"),
    "kW": ("千瓦",),
    "kHz": ("千赫兹", "千赫"),
    "MHz": ("兆赫兹", "兆赫"),
    "Hz": ("赫兹",),
    "min": ("分钟",),
    "°C": ("摄氏度", "度"),
    "℃": ("摄氏度", "度"),
    "°F": ("华氏度",),
    "°": ("度",),
    "m": ("米",),
    "g": ("克",),
    "L": ("升",),
    "h": ("小时",),
    "s": ("秒",),
}
_UNIT = "|".join(map(re.escape, sorted(UNITS, key=len, reverse=True)))

SYMBOLS: dict[str, Readings] = {
    "&": ("和", "and"),
    "+": ("加",),
    "=": ("等于",),
    "×": ("乘以", "乘"),
    "÷": ("除以",),
    "<": ("小于",),
    ">": ("大于",),
    "≤": ("小于等于", "小于或等于"),
    "≥": ("大于等于", "大于或等于"),
    "@": ("at", "艾特"),
    "℃": ("摄氏度",),
    "°": ("度",),
}


def _times(*factors: Iterable[str]) -> Readings:
    """Returns all concatenations of one reading of each factor."""
    said = [""]
    for factor in factors:
        choices = tuple(factor)
        said = (
            [start + end for end in choices for start in said]
            if len(said) > 1
            else [s + e for s in said for e in choices]
        )
    return distinct(*said)


def _year(match: re.Match[str]) -> list[Readings]:
    return [year(match[1])]


def _date(match: re.Match[str]) -> list[Readings] | None:
    month, day = int(match[3]), int(match[4])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return [year(match[1]), ("年",), _plain(month), ("月",), _plain(day), ("日", "号")]


def _time(match: re.Match[str]) -> list[Readings] | None:
    """Reads 10:30 as a time, and what cannot be one, such as 3:1, as a ratio."""
    hour, minute, second = int(match[1]), int(match[2]), match[3]
    if len(match[2]) < 2 or hour > 24 or minute > 59 or int(second or 0) > 59:
        return None if second else [integer(match[1]), ("比",), integer(match[2])]
    low = _plain(minute)[0]
    if minute == 0:
        minutes: Readings = ("", "整", "零分")
    elif minute < 10:
        minutes = (f"零{low}分", f"零{low}", f"{low}分")
    else:
        minutes = (f"{low}分", low, *(["半"] if minute == 30 else []), *(["一刻"] if minute == 15 else []))
    parts = [_hours(hour), ("点",), minutes]
    if second:
        parts[-1] = (f"{low}分", f"零{low}分")
        parts.append(distinct(*_times(("", "零"), _plain(int(second)), ("秒",))))
    return parts


def _hours(hour: int) -> Readings:
    return ("两", "二") if hour == 2 else _plain(hour)


def _plain(value: int) -> Readings:
    return integer(str(value))[:1]


def _telephone(match: re.Match[str]) -> list[Readings]:
    return [
        ("加", "") if mark else digits(group, telephone=True)
        for group, mark in re.findall(r"(\d+)|(\+)", match[0])
    ]


def _percent(match: re.Match[str]) -> list[Readings]:
    base = {"%": "百分之", "‰": "千分之"}[match["sign"]]
    parts: list[Readings] = [("负",)] if match["minus"] else []
    parts += [(base,), number(match["amount"])]
    return [*parts, ("到", "至"), (base, ""), number(match["to"])] if match["to"] else parts


def _money(match: re.Match[str]) -> list[Readings]:
    amount, scale = match[2], match[3] or ""
    units = CURRENCIES[match[1]]
    said = _times(_counted(amount, scale), [scale], units)
    whole, _, rest = amount.partition(".")
    if match[1] == "¥" and len(rest) in (1, 2) and int(rest) and not scale:
        tenth, hundredth = _digit(rest[0]), _digit(rest[1:])
        for start in _counted(whole, ""):
            small = (f"{tenth}角" if rest[0] != "0" else "") + (
                f"{hundredth}分" if rest[1:] not in ("", "0") else ""
            )
            said = (*said, f"{start}元{small}", f"{start}块{small.replace('角', '毛')}")
            said = (*said, f"{start}块{tenth}") if rest[1:] in ("", "0") else said
    return [distinct(*said)]


def _digit(written: str) -> str:
    return digits(written)[0] if written else ""


def _quantity(match: re.Match[str]) -> list[Readings]:
    unit = match["unit"]
    parts: list[Readings] = []
    if match["minus"]:
        parts.append(("零下", "负") if "°" in unit or unit == "℃" else ("负",))
    if unit == "km/h" and not match["to"]:
        amount = number(match["amount"])
        return [
            *parts,
            distinct(*_times(amount, UNITS[unit]), *_times(["每小时", "时速"], amount, UNITS["km"])),
        ]
    parts.append(_counted(match["amount"], UNITS[unit][0]))
    if match["to"]:
        parts += [("到", "至"), _counted(match["to"], UNITS[unit][0])]
    return [*parts, distinct(*UNITS[unit], unit.lower() if unit.isalpha() else "")]


def _counted(amount: str, following: str) -> Readings:
    """Returns the readings of a number before what it counts: 2 is 两."""
    if amount == "2" and following[:1] in _COUNTERS | {
        "元",
        "美",
        "欧",
        "英",
        "公",
        "毫",
        "厘",
        "平",
        "立",
        "升",
        "克",
    }:
        return ("两", "二")
    return number(amount)


def _fraction(match: re.Match[str]) -> list[Readings] | None:
    above, below = match[1], match[2]
    if match[3]:
        above, _, below = unicodedata.normalize("NFKC", match[3]).partition("⁄")
    if not above or not below or not int(below):
        return None
    said = [f"{low}分之{high}" for low in integer(below)[:1] for high in integer(above)[:1]]
    if int(above) <= 12 and int(below) <= 31:
        said += [f"{_plain(int(above))[0]}月{_plain(int(below))[0]}{day}" for day in "日号"]
    return [distinct(*said, integer(above)[0] + "比" + integer(below)[0])]


def _range(match: re.Match[str]) -> list[Readings]:
    return [number(match[1]), ("到", "至", "比", "", "减"), number(match[2])]


_TELEPHONE = re.compile(r"(?:电话|手机|号码|拨打|热线|邮编|[Qq]{2}|编号|尾号|航班)\D{0,3}$")


def _number(match: re.Match[str]) -> list[Readings]:
    amount = match["amount"]
    parts: list[Readings] = [("负", "减", "零下")] if match["minus"] else []
    if amount == "2":
        return [*parts, ("两", "二") if _counts(match) else ("二", "两")]
    if amount.isdigit() and len(amount) > 2 and _TELEPHONE.search(before(match)):
        return [distinct(*digits(amount, telephone=True), *integer(amount))]
    return [*parts, number(amount)]


def _counts(match: re.Match[str]) -> bool:
    """Whether a 2 counts what follows it, as in 2个 and in 2点, but not in 第2个 and 2年级."""
    rest = after(match)
    if before(match).endswith("第") or rest.startswith("年级"):
        return False
    return rest[:1] in _COUNTERS


RULES = (
    Rule(re.compile(rf"{_START}(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}})(?![\d.])"), _date),
    Rule(re.compile(rf"{_START}(\d{{4}}|\d{{2}}(?=年(?!代)))(?=年)"), _year),
    Rule(re.compile(rf"{_START}(\d{{1,2}})[:：](\d{{1,2}})(?:[:：](\d{{2}}))?(?!\d)"), _time),
    Rule(
        re.compile(
            r"(?<![\d.])(?:\+?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)"
            r"|(?<![\d.])0\d{2,3}[ -]\d{7,8}(?!\d)|(?<![\d.])[48]00[ -]\d{3,4}[ -]\d{3,4}(?!\d)"
        ),
        _telephone,
    ),
    Rule(
        re.compile(rf"{_START}{_MINUS}(?P<amount>{NUMBER})%?(?:{_RANGE}(?P<to>{NUMBER}))?(?P<sign>[%‰])"),
        _percent,
    ),
    Rule(re.compile(rf"([¥$€£])\s?({NUMBER})([百千万亿]{{0,2}})"), _money),
    Rule(
        re.compile(
            rf"{_START}{_MINUS}(?P<amount>{NUMBER})(?:{_RANGE}(?P<to>{NUMBER}))?\s?(?P<unit>{_UNIT})(?![A-Za-z])"
        ),
        _quantity,
    ),
    Rule(re.compile(rf"{_START}(?<!/)(?:(\d{{1,4}})[/⁄](\d{{1,4}})|([¼-¾⅐-⅞]))(?![\d/])"), _fraction),
    Rule(re.compile(rf"(?<![A-Za-z0-9.-])({NUMBER}){_RANGE}({NUMBER})(?![-–~]?\d|\.\d)"), _range),
    Rule(re.compile(rf"{_START}{_MINUS}(?P<amount>{NUMBER})"), _number),
    Rule(re.compile(f"[{''.join(map(re.escape, SYMBOLS))}]"), lambda match: [SYMBOLS[match[0]]]),
)
"""Dates, years, times, telephone numbers, percentages, money, quantities, fractions, ranges, other numbers, symbols."""

FULL_WIDTH = {
    ord(wide): narrow
    for wide, narrow in zip("０１２３４５６７８９％．＋－￥＄", "0123456789%.+-¥$", strict=True)
}
"""Full-width digits and the signs that belong to them."""
