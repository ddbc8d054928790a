"""Splits a text into steps that are spoken one after the other: sentences, or parts of long ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

LONGEST_SECONDS = 8.0
"""Longer sentences are split. Our choice: with 15 s of voice prompt even slow speech fits the window."""

SHORTEST_SECONDS = 1.0
"""Shorter steps are joined to a neighbour: few verifiers can score one word. Our choice."""

_OPENING = "\"'“‘„‚«»‹›([「『《〈（【¿¡"
_CLOSING = "\"'”’»›)]」』》〉）】"
_LATIN = ".!?…"
_OTHER = "。！？｡؟۔।॥။។៕༎።፧։"
"""Ends of sentences in scripts other than Latin, Greek and Cyrillic; none of them occurs inside a number."""

_LOW_QUOTES = frozenset(re.split(" ", "de lb cs sk sl hr bs sr bg mk is fo lt lv et ka"))
"""Languages that write „so“ and »so«: the closing marks are opening marks elsewhere."""

_ORDINALS = frozenset(re.split(" ", "de lb da no nn is fo fi et lv cs sk sl hr bs sr hu tr eu"))
"""Languages that write "the third" as 3. with a full stop."""

_ABBREVIATIONS = {
    "": "mr|mrs|ms|mx|dr|prof|st|mt|ft|rev|hon|gen|col|maj|capt|cmdr|lt|sgt|gov|sen|rep|pres|jr|sr|messrs|mme|mlle"
    r"|vs|cf|ca|approx|dept|univ|est|ph\.d",
    "de": r"bzw|usw|evtl|ggf|inkl|max|min|mio|mrd|vgl|hr|hrn|fr|bd|abs|geb|gest|jh|u\.a|z\.b|d\.h|z\.t|sog|tel|str",
    "fr": "mm|mmes|mlles|mgr|env|éd|av|bd|ste|hab|tél",
    "es": r"sra|srta|sres|dra|ud|uds|vd|vds|dña|lic|ing|pág|núm|ej|aprox|av|ee\.uu",
    "it": "sig|sigg|sig.ra|dott|dott.ssa|ing|avv|on|pag|ecc|es|sec",
    "pt": r"sra|srta|dra|profa|eng|av|pág|núm|exa|v\.exa|ltda",
    "nl": r"dhr|mevr|mw|drs|ir|bijv|bv|enz|blz|nl|d\.w\.z|o\.a|i\.v\.m|m\.b\.t|t\.o\.v",
    "sv": r"t\.ex|bl\.a|osv|m\.m|d\.v\.s|s\.k|kl|resp|fr\.o\.m",
    "da": r"f\.eks|bl\.a|osv|m\.m|hr|fr|kl|d\.v\.s|pga",
    "no": r"f\.eks|bl\.a|osv|m\.m|hr|fr|kl|dvs|pga",
    "pl": "mgr|inż|np|tzn|ul|al|św|godz|tys|mln|mld|im|ok|tzw|m.in|itd|itp",
    "cs": "např|tzv|atd|apod|ing|mgr|ul|tj|resp|mil|tis",
    "hu": "pl|stb|kb|ún|özv|ifj|id",
    "ru": r"г|гг|ул|д|кв|им|руб|тыс|млн|млрд|см|стр|рис|проф|акад|т\.е|т\.д|т\.п|др|пр|напр",
    "uk": r"р|рр|вул|буд|кв|ім|грн|тис|млн|млрд|див|стор|рис|проф|акад|т\.д|т\.п|напр",
    "tr": "örn|vb|vs|doç|yrd|av|cad|sok|mah|no",
}
"""What a full stop after it does not end, in lower case: in all languages, and in one."""

_BEFORE_NUMBER = re.compile(
    "nos?|nr|pp?|vol|figs?|ch|chap|sec|art|eq|ed|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|núm|pág|str|č|стр|рис"
)
_INITIALS = re.compile(r"(?!i$|a\.m$|p\.m$)(?:[^\W\d_]\.)*[^\W\d_]")
"""Initials of names, but not "I", "a.m." and "p.m.", which can end a sentence."""


class _Rules(NamedTuple):
    """Patterns of a language: ends of sentences, abbreviations, and where a long sentence may be split, best first."""

    latin_end: re.Pattern[str]
    other_end: re.Pattern[str]
    abbreviation: re.Pattern[str]
    places: tuple[re.Pattern[str], ...]


@cache
def _rules(language: str) -> _Rules:
    closing = re.escape(_CLOSING + ("“‘«‹" if language in _LOW_QUOTES else ""))
    closed = rf"(?:\s?[»›]|[{closing}])*" if language == "fr" else f"[{closing}]*"
    # Latin marks end something only before a space or a Chinese character: not inside 3.14, 1,000 or 3:30.
    apart = r"(?:\s+|(?=[\u3400-\u9fff]))"
    marks = _LATIN + (";" if language == "el" else "")  # the Greek question mark
    ended = rf"[;:!?]{closed}{apart}|[{_OTHER}；：…—؛፤]+{closed}\s*|–\s+"
    return _Rules(
        re.compile(rf"(?P<mark>[{marks}]+){closed}{apart}"),
        re.compile(rf"(?P<mark>[{_OTHER}]+)(?P<closed>{closed})\s*"),
        re.compile("|".join(filter(None, (_ABBREVIATIONS[""], _ABBREVIATIONS.get(language))))),
        # A colon or similar, a comma, a space, any letter.
        (
            re.compile(ended),
            re.compile(rf",{closed}{apart}|[，、،၊፣།]{closed}\s*"),
            re.compile(r"\s+"),
            re.compile(r"(?=\w)"),
        ),
    )


def split(text: str, seconds: Callable[[str], float], language: str = "en") -> list[str]:
    """Returns the steps of a text. Joined, they are exactly the text, including its spaces.

    A full stop after an abbreviation or an initial, or before a lower-case letter, does not end a sentence. A
    sentence of more than 8 s is halved at the best place near its middle until no part is longer. A step of less
    than 1 s, or without a letter or digit, is joined to the next one; the last one, to the one before.

    Args:
        text: in any language, which may be mixed with Chinese or English.
        seconds: returns how long speech of a text usually takes.
        language: of the text: its abbreviations, ordinal numbers and quotation marks.

    >>> split("Dr. Smith paid $3.50 for it. “Really?” she asked. No. 5 was free!", lambda text: len(text) / 9)
    ['Dr. Smith paid $3.50 for it. ', '“Really?” she asked. ', 'No. 5 was free!']
    >>> split("今天天气真好。“你去哪儿？”他问道。我说：“去湖边。”", lambda text: len(text) / 5)
    ['今天天气真好。', '“你去哪儿？”他问道。', '我说：“去湖边。”']
    """
    starts = [0, *sorted(_sentence_ends(text, language)), len(text)]
    sentences = [text[start:end] for start, end in pairwise(starts) if start < end]
    return _together(
        [part for sentence in sentences for part in _halved(sentence, seconds, language)], seconds
    )


def _sentence_ends(text: str, language: str) -> Iterator[int]:
    rules = _rules(language)
    for match in rules.latin_end.finditer(text):
        rest = text[match.end() :]
        following = rest.lstrip(_OPENING)[:1]
        continues = following.islower() and rest[:1] not in "¿¡"
        if not continues and not (match["mark"] == "." and _abbreviates(text, match, following, language)):
            yield match.end()
    for match in rules.other_end.finditer(text):
        # “…？”他问: a quoted question and the words that introduce its speaker are one sentence.
        asked = match["mark"][-1] in "！？؟" or language == "ja"
        quoted = match["closed"] and asked and text[match.end() :][:1] not in _OPENING
        if not quoted:
            yield match.end()


def _abbreviates(text: str, stop: re.Match[str], following: str, language: str) -> bool:
    """Whether the full stop belongs to the abbreviation or ordinal number before it."""
    words = text[max(0, stop.start() - 20) : stop.start()].split()
    word = words[-1].lstrip(_OPENING).lower() if words else ""
    if language in _ORDINALS and word.isdecimal() and len(word) <= 2:
        return True
    kinds = [_rules(language).abbreviation, _INITIALS, *([_BEFORE_NUMBER] if following.isdigit() else [])]
    return any(kind.fullmatch(word) for kind in kinds)


def _halved(piece: str, seconds: Callable[[str], float], language: str) -> list[str]:
    """Returns the piece, split until no part is too long or no place to split is left."""
    if seconds(piece) <= LONGEST_SECONDS:
        return [piece]
    for place in _rules(language).places:
        cuts = [match.end() for match in place.finditer(piece)]
        if inside := [cut for cut in cuts if len(piece) <= 4 * cut <= 3 * len(piece)]:
            middle = min(inside, key=lambda cut: abs(2 * cut - len(piece)))
            return _halved(piece[:middle], seconds, language) + _halved(piece[middle:], seconds, language)
    return [piece]


def _together(pieces: list[str], seconds: Callable[[str], float]) -> list[str]:
    """Returns the pieces, with those that are too short joined to a neighbour."""
    steps: list[str] = []
    for piece in pieces:
        if steps and _too_short(steps[-1], seconds):
            steps[-1] += piece
        else:
            steps.append(piece)
    if len(steps) > 1 and _too_short(steps[-1], seconds):
        steps[-2:] = [steps[-2] + steps[-1]]
    return steps


def _too_short(piece: str, seconds: Callable[[str], float]) -> bool:
    return seconds(piece) < SHORTEST_SECONDS or not any(map(str.isalnum, piece))
