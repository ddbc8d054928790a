"""Splits a text into steps that are spoken one after the other: sentences, or parts of long ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

LONGEST_SECONDS = 8.0
"""Longer sentences are split. Our choice: with 15 s of voice prompt even slow speech fits the window."""

SHORTEST_SECONDS = 1.0
"""Shorter steps are joined to a neighbour: few verifiers can score one word. Our choice."""

_OPENING = "\"'“‘«([「『《（【"
_CLOSING = "\"'”’»)]」』》）】"
_CLOSED = f"[{re.escape(_CLOSING)}]*"
# Latin marks end something only before a space or a Chinese character: not inside 3.14, 1,000 or 3:30.
_APART = r"(?:\s+|(?=[\u3400-\u9fff]))"

_LATIN_END = re.compile(rf"(?P<mark>[.!?…]+){_CLOSED}{_APART}")
_CHINESE_END = re.compile(rf"(?P<mark>[。！？]+)(?P<closed>{_CLOSED})\s*")
_PLACES = (
    re.compile(rf"[;:!?]{_CLOSED}{_APART}|[。！？；：…—]+{_CLOSED}\s*|–\s+"),
    re.compile(rf",{_CLOSED}{_APART}|[，、]{_CLOSED}\s*"),
    re.compile(r"\s+"),
    re.compile(r"(?=\w)"),
)
"""Where a long sentence may be split, best first: at a colon or similar, a comma, a space, any character."""

_ABBREVIATION = re.compile(
    "mr|mrs|ms|mx|dr|prof|st|mt|ft|rev|hon|gen|col|maj|capt|cmdr|lt|sgt|gov|sen|rep|pres|jr|sr|messrs|mme|mlle"
    r"|vs|cf|ca|approx|dept|univ|est|ph\.d"
)
_BEFORE_NUMBER = re.compile(
    "nos?|pp?|vol|figs?|ch|chap|sec|art|eq|ed|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
_INITIALS = re.compile(r"(?!i$|a\.m$|p\.m$)(?:[^\W\d_]\.)*[^\W\d_]")
"""Initials of names, but not "I", "a.m." and "p.m.", which can end a sentence."""


def split(text: str, seconds: Callable[[str], float]) -> list[str]:
    """Returns the steps of a text. Joined, they are exactly the text, including its spaces.

    A full stop after an abbreviation or an initial, or before a lower-case letter, does not end a sentence. A
    sentence of more than 8 s is halved at the best place near its middle until no part is longer. A step of less
    than 1 s, or without a letter or digit, is joined to the next one; the last one, to the one before.

    Args:
        text: English, Chinese, or both.
        seconds: returns how long speech of a text usually takes.

    >>> split("Dr. Smith paid $3.50 for it. “Really?” she asked. No. 5 was free!", lambda text: len(text) / 9)
    ['Dr. Smith paid $3.50 for it. ', '“Really?” she asked. ', 'No. 5 was free!']
    >>> split("今天天气真好。“你去哪儿？”他问道。我说：“去湖边。”", lambda text: len(text) / 5)
    ['今天天气真好。', '“你去哪儿？”他问道。', '我说：“去湖边。”']
    """
    starts = [0, *sorted(_sentence_ends(text)), len(text)]
    sentences = [text[start:end] for start, end in pairwise(starts) if start < end]
    return _together([part for sentence in sentences for part in _halved(sentence, seconds)], seconds)


def _sentence_ends(text: str) -> Iterator[int]:
    for match in _LATIN_END.finditer(text):
        following = text[match.end() :].lstrip(_OPENING)[:1]
        if not following.islower() and not (match["mark"] == "." and _abbreviates(text, match, following)):
            yield match.end()
    for match in _CHINESE_END.finditer(text):
        # “…？”他问: a quoted question and the words that introduce its speaker are one sentence.
        quoted = match["closed"] and match["mark"][-1] in "！？" and text[match.end() :][:1] not in _OPENING
        if not quoted:
            yield match.end()


def _abbreviates(text: str, stop: re.Match[str], following: str) -> bool:
    """Whether the full stop belongs to the abbreviation before it."""
    words = text[max(0, stop.start() - 20) : stop.start()].split()
    word = words[-1].lstrip(_OPENING).lower() if words else ""
    kinds = [_ABBREVIATION, _INITIALS, *([_BEFORE_NUMBER] if following.isdigit() else [])]
    return any(kind.fullmatch(word) for kind in kinds)


def _halved(piece: str, seconds: Callable[[str], float]) -> list[str]:
    """Returns the piece, split until no part is too long or no place to split is left."""
    if seconds(piece) <= LONGEST_SECONDS:
        return [piece]
    for place in _PLACES:
        cuts = [match.end() for match in place.finditer(piece)]
        if inside := [cut for cut in cuts if len(piece) <= 4 * cut <= 3 * len(piece)]:
            middle = min(inside, key=lambda cut: abs(2 * cut - len(piece)))
            return _halved(piece[:middle], seconds) + _halved(piece[middle:], seconds)
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
