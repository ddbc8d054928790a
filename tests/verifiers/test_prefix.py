"""Errors of unfinished speech: planted faults have the expected values, and correct prefixes have 0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.verifiers.word_errors.normalise import normalised, plain
from llasa_search.verifiers.word_errors.prefix import (
    expected_units,
    nearest_prefix,
    partial_error_rate,
    units_per_second,
)
from llasa_search.voice import Voice

SENTENCE = "the captain found a silver coin near the lake and gave it to his friend"
TEXT = SENTENCE.split()
SECONDS, PACE = 4.0, 3.0  # so that six words are expected


def rate(said: str, text: list[str] = TEXT) -> float:
    return partial_error_rate(plain(text), plain(said.split()), expected_units(SECONDS, PACE))


@pytest.mark.parametrize(
    ("fault", "said", "value"),
    [
        ("none", "the captain found a silver coin near", 0.0),
        ("the last word is cut", "the captain found a silver coin ne", 0.0),
        ("the last word is wrong", "the captain found a silver coin banana", 0.0),
        ("silence", "", 1.0),
        ("one word, then silence", "the captain", 5 / 6),
        ("slow", "the captain found a", 3 / 6),
        ("a loop", "the captain the captain the captain the captain", 5 / 7),
        ("a skip", "the captain near the lake and gave it to", 4 / 12),
        ("a wrong word", "the captain found a golden coin near", 1 / 6),
        ("babble", "um so well then er yes no maybe", 7 / 7),
    ],
)
def test_planted_faults_have_the_expected_rate(fault: str, said: str, value: float) -> None:
    """Silence, loops and skipped words have errors; a correct prefix has none, also with a cut last word."""
    assert rate(said) == pytest.approx(value), fault


def test_faults_have_a_higher_rate_than_correct_speech_of_the_same_length() -> None:
    correct = rate("the captain found a silver coin near")
    for faulty in ("", "the captain the captain the captain the", "the captain near the lake and gave"):
        assert rate(faulty) > correct + 0.3


def test_nothing_is_expected_in_the_first_half_second() -> None:
    """Silence of half a second has no errors."""
    assert partial_error_rate(plain(TEXT), [], expected_units(0.5, PACE)) == 0.0


@given(st.lists(st.sampled_from("abc"), max_size=4), st.lists(st.sampled_from("abc"), max_size=4))
def test_nearest_prefix_equals_an_exhaustive_search(units: list[str], said: list[str]) -> None:
    """The prefix and its edits are those found by counting the edits of every prefix."""

    def edits(a: list[str], b: list[str]) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))

    tried = [(edits(units[:k], said), abs(k - len(said)), k) for k in range(len(units) + 1)]
    fewest, _, length = min(tried)
    assert nearest_prefix(plain(units), plain(said)) == (length, fewest)


@given(
    st.lists(st.sampled_from(TEXT), min_size=1, max_size=8),
    st.lists(st.sampled_from(TEXT), max_size=12),
    st.integers(0, 12),
)
def test_the_rate_is_0_only_for_a_long_enough_prefix(text: list[str], said: list[str], due: int) -> None:
    value = partial_error_rate(plain(text), plain(said), due)
    assert value >= 0 and math.isfinite(value)
    assert (value == 0) == (said[:-1] == text[: max(0, len(said) - 1)] and len(said[:-1]) >= due)


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("It cost $21 in 1999 and", 0.0),
        ("it cost twenty one dollars in", 0.0),
        ("it cost twenty one dollars in nineteen ninety nine and", 0.0),
        ("it cost twenty", 2 / 4),
        ("it cost twenty two dollars in", 1 / 5),
        ("It cost $22 in", 1 / 5),
    ],
)
def test_numbers_of_unfinished_speech_are_compared_as_spoken(said: str, value: float) -> None:
    """On commit dd163da "$21" was one word: "it cost twenty" had an error for "twenty", and "$22" cost 1/4."""
    units, words = (normalised(each, "en") for each in ("It cost $21 in 1999 and more.", said))
    assert partial_error_rate(units, words, 4) == pytest.approx(value)


def voice(text: str | None, seconds: float = 2.0) -> Voice:
    return Voice(np.resize([0.1, -0.1], int(seconds * 16_000)).astype(np.float32), text, sample_rate=16_000)


def test_the_pace_is_that_of_the_voice() -> None:
    def count(text: str) -> int:
        return len(text.split())

    assert units_per_second(voice("one two three"), "en", count, 3.0) == 1.5
    for silent in (None, voice(None), voice("...")):
        assert units_per_second(silent, "en", lambda text: 0, 3.0) == 3.0


def test_a_voice_in_another_language_does_not_set_the_pace() -> None:
    """The default pace of the text's language is used instead."""
    assert units_per_second(voice("one two three"), "zh", len, 5.2) == 5.2
    assert units_per_second(voice("今天天气"), "zh", len, 5.2) == 2.0
