"""Aligns two texts whose parts can be said in several ways, and chooses the ways with the fewest edits.

As in NIST's sclite, whose references can have alternatives: the words counted are those of the chosen ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from llasa_search.verifiers.word_errors.normalise import Choices, usual

Arcs: TypeAlias = list[list[tuple[int, str | None]]]
"""For each place, in order: the places before it, and the word on the way from there (None: no word)."""

_UNREACHED = 10**9


class Lattice:
    """All alignments of two texts whose parts can be said in several ways.

    Args:
        expected: of the text.
        said: of the transcript.

    Attributes:
        edits: Levenshtein's table, [places in `said`][places in `expected`]: the fewest edits between the words
            up to there. The last row is for all of `said`.
    """

    def __init__(self, expected: Sequence[Choices], said: Sequence[Choices]) -> None:
        self._columns, self._rows = _arcs(expected), _arcs(said)
        self.edits: list[list[int]] = []
        for to_row in self._rows:
            self._add_row(to_row)

    def words(self, place: int) -> tuple[list[str], list[str]]:
        """Returns the words of both sides on the best way to a place in `expected`, and to the end of `said`."""
        expected: list[str] = []
        said: list[str] = []
        j, i = len(self.edits) - 1, place
        while j or i:
            j, i, unit, word = self._step_to(j, i)
            expected += [] if unit is None else [unit]
            said += [] if word is None else [word]
        return expected[::-1], said[::-1]

    def _add_row(self, to_row: list[tuple[int, str | None]]) -> None:
        row: list[int] = []
        above = [(self.edits[k], word) for k, word in to_row]
        for i, to_column in enumerate(self._columns):
            best = _UNREACHED if i or self.edits else 0
            for costs, word in above:
                best = min(best, costs[i] + (word is not None))
                for h, unit in to_column:
                    if word is not None and unit is not None:
                        best = min(best, costs[h] + (word != unit))
            for h, unit in to_column:
                best = min(best, row[h] + (unit is not None))
            row.append(best)
        self.edits.append(row)

    def _step_to(self, j: int, i: int) -> tuple[int, int, str | None, str | None]:
        """Returns the pair of places before this one on a best way, and the words: both, or one, or none."""
        edits = self.edits[j][i]
        for k, word in self._rows[j]:
            for h, unit in self._columns[i]:
                if None not in (word, unit) and self.edits[k][h] + (word != unit) == edits:
                    return k, h, unit, word
        for h, unit in self._columns[i]:
            if self.edits[j][h] + (unit is not None) == edits:
                return j, h, unit, None
        return next(
            (k, i, None, word) for k, word in self._rows[j] if self.edits[k][i] + (word is not None) == edits
        )


def chosen(expected: Sequence[Choices], said: Sequence[Choices]) -> tuple[list[str], list[str]]:
    """Returns the words of both sides, each part in the way that gives the fewest edits between the sides.

    Among equals the more usual way is taken.

    >>> text = [(("ten", "thirty"), ("half", "past", "ten")), (("sharp",),)]
    >>> chosen(text, [(("half",),), (("past",),), (("ten",),), (("sharp",),)])
    (['half', 'past', 'ten', 'sharp'], ['half', 'past', 'ten', 'sharp'])
    """
    if all(len(choices) == 1 for choices in (*expected, *said)):
        return usual(expected), usual(said)
    start = _shared(expected, said)
    end = _shared(expected[start:][::-1], said[start:][::-1])
    lattice = Lattice(expected[start : len(expected) - end], said[start : len(said) - end])
    ours, theirs = lattice.words(len(lattice.edits[-1]) - 1)
    head, tail = usual(expected[:start]), usual(expected[len(expected) - end :])
    return head + ours + tail, head + theirs + tail


def _arcs(units: Sequence[Choices]) -> Arcs:
    """Returns the places between words, numbered so that every word leads to a later place."""
    found: Arcs = [[]]
    for choices in units:
        start, ends = len(found) - 1, []
        for words in choices:
            before = start
            for word in words[:-1]:
                found.append([(before, word)])
                before = len(found) - 1
            ends.append((before, words[-1] if words else None))
        found.append(ends)
    return found


def _shared(expected: Sequence[Choices], said: Sequence[Choices]) -> int:
    """Returns how many words both begin with; there, no other alignment has fewer edits."""
    count = 0
    for ours, theirs in zip(expected, said, strict=False):
        if ours != theirs or len(ours) > 1:
            break
        count += 1
    return count
