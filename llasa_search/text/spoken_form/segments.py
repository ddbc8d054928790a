"""Segments of a text: what is written, and in which ways a reader says it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

Readings: TypeAlias = tuple[str, ...]
"""Ways to say the same thing, the usual one first."""


NEAR = 40
"""Characters around an expression that its reading may depend on."""

_SENTENCE_END = re.compile(r"[.!?][\"')\]”’]*\W*$")


class Segment(NamedTuple):
    """A part of a text.

    Attributes:
        written: as it stands in the text; the written parts, joined, are the text. A long expression, such as a
            date, can be several segments, of which the first has all of it.
        readings: ways to say it, the usual one first. Of plain words, the only one is what is written.
    """

    written: str
    readings: Readings


class Rule(NamedTuple):
    """How one kind of expression is read.

    Attributes:
        pattern: finds the expression.
        read: returns the readings of each part of what was found, or None if it is something else.
    """

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str]], Sequence[Readings] | None]


def split(text: str, rules: Sequence[Rule]) -> list[Segment]:
    """Returns the segments of a text. The leftmost match is taken first, and of equals, the earlier rule's."""
    segments, end = [], 0
    for match, parts in _matches(text, rules):
        if end < match.start():
            segments.append(_plain(text[end : match.start()]))
        first, *others = parts
        segments.append(Segment(match[0], first))
        segments += [Segment("", part) for part in others]
        end = match.end()
    return [*segments, _plain(text[end:])] if end < len(text) else segments


def joined(segments: Sequence[Segment], space: str) -> str:
    """Returns the usual reading of all segments as one text.

    Args:
        segments: of one text.
        space: what separates two words that nothing else separates: " ", or "" in a script without spaces.
    """
    parts: list[str] = []
    end = "."  # the last characters so far; a text begins as after a sentence
    for segment in segments:
        reading = segment.readings[0]
        if segment.readings != (segment.written,) and _SENTENCE_END.search(end):
            reading = reading[:1].upper() + reading[1:]
        if end[-1:].isalnum() and reading[:1].isalnum():
            reading = space + reading
        parts.append(reading)
        end = (end + reading)[-NEAR:]
    return "".join(parts)


def distinct(*readings: str) -> Readings:
    """Returns the readings, each once."""
    return tuple(dict.fromkeys(reading for reading in readings if reading))


def before(match: re.Match[str]) -> str:
    """Returns the text just before an expression."""
    return match.string[max(0, match.start() - NEAR) : match.start()]


def after(match: re.Match[str]) -> str:
    """Returns the text just after an expression."""
    return match.string[match.end() : match.end() + NEAR]


def _plain(text: str) -> Segment:
    return Segment(text, (text,))


def _matches(text: str, rules: Sequence[Rule]) -> Iterator[tuple[re.Match[str], Sequence[Readings]]]:
    """Yields matches that do not overlap, from left to right, with their readings."""
    pending = [rule.pattern.search(text) for rule in rules]
    end = 0
    while found := [(match.start(), i) for i, match in enumerate(pending) if match]:
        start, i = min(found)
        match = pending[i]
        assert match is not None
        parts = rules[i].read(match) if start >= end else None
        if parts:
            yield match, parts
            end = match.end()
        pending[i] = rules[i].pattern.search(text, max(end, start + 1))
