"""The alignment of texts whose parts can be said in several ways."""

from __future__ import annotations

import itertools

import jiwer
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.verifiers.word_errors.lattice import Lattice, chosen
from llasa_search.verifiers.word_errors.normalise import Choices, plain

WAYS = st.lists(st.sampled_from("ab"), max_size=3).map(tuple)
CHOICES = st.lists(WAYS, min_size=1, max_size=3, unique=True).map(tuple).filter(lambda ways: ways != ((),))
UNITS = st.lists(CHOICES, max_size=4)


def edits(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    if not a or not b:
        return len(a) + len(b)
    counts = jiwer.process_words(" ".join(a), " ".join(b))
    return int(counts.substitutions + counts.deletions + counts.insertions)


def ways(units: list[Choices]) -> set[tuple[str, ...]]:
    """Returns everything that can be said."""
    return {tuple(itertools.chain(*each)) for each in itertools.product(*units)}


@given(UNITS, UNITS)
def test_the_edits_are_the_fewest_of_all_pairs_of_ways(expected: list[Choices], said: list[Choices]) -> None:
    """The table's last cell, and the words chosen, have as few edits as the best of all ways written out."""
    fewest = min(edits(a, b) for a in ways(expected) for b in ways(said))
    assert Lattice(expected, said).edits[-1][-1] == fewest
    ours, theirs = map(tuple, chosen(expected, said))
    assert ours in ways(expected) and theirs in ways(said) and edits(ours, theirs) == fewest


@given(st.lists(st.sampled_from("abc"), max_size=6), st.lists(st.sampled_from("abc"), max_size=6))
def test_plain_words_stay_as_they_are(a: list[str], b: list[str]) -> None:
    assert chosen(plain(a), plain(b)) == (a, b)


def test_an_error_elsewhere_is_not_hidden() -> None:
    """Each part has its own best way: two whole forms, of which one is chosen, would count two errors more."""
    year = (("nineteen", "ninety"), ("one", "nine", "nine", "zero"))
    time = (("ten", "thirty"), ("half", "past", "ten"))
    said = plain(["nineteen", "ninety", "was", "half", "past", "ten"])
    assert Lattice([year, (("is",),), time], said).edits[-1][-1] == 1
