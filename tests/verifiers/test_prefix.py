"""Unfinished speech against its text: planted faults score as they should, and sound prefixes score 0."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.verifiers.word_errors.prefix import (
    expected_units,
    nearest_prefix,
    partial_error_rate,
    units_a_second,
)
from llasa_search.voice import Voice

SENTENCE = "the captain found a silver coin near the lake and gave it to his friend"
TEXT = SENTENCE.split()
SECONDS, PACE = 4.0, 3.0  # so that six words are expected
PRIOR = {"en": 3.0, "zh": 5.2}


def rate(heard: str, text: list[str] = TEXT) -> float:
    return partial_error_rate(text, heard.split(), expected_units(SECONDS, PACE))


@pytest.mark.parametrize(
    ("fault", "heard", "value"),
    [
        ("none", "the captain found a silver coin near", 0.0),
        ("the last word is cut", "the captain found a silver coin ne", 0.0),
        ("the last word is another", "the captain found a silver coin banana", 0.0),
        ("silence", "", 1.0),
        ("one word, then silence", "the captain", 5 / 6),
        ("slow", "the captain found a", 3 / 6),
        ("a loop", "the captain the captain the captain the captain", 5 / 7),
        ("a skip", "the captain near the lake and gave it to", 4 / 12),
        ("a wrong word", "the captain found a golden coin near", 1 / 6),
        ("babble", "um so well then er yes no maybe", 7 / 7),
    ],
)
def test_planted_faults(fault: str, heard: str, value: float) -> None:
    """Guards against silence, loops and skips that score like sound speech which is merely not over."""
    assert rate(heard) == pytest.approx(value), fault


def test_faults_are_worse_than_sound_speech_of_the_same_length() -> None:
    sound = rate("the captain found a silver coin near")
    for faulty in ("", "the captain the captain the captain the", "the captain near the lake and gave"):
        assert rate(faulty) > sound + 0.3


def test_nothing_is_expected_at_once() -> None:
    """Guards against rows that are cut at half a second because nobody has said a word by then."""
    assert partial_error_rate(TEXT, [], expected_units(0.5, PACE)) == 0.0


@given(st.lists(st.sampled_from("abc"), max_size=4), st.lists(st.sampled_from("abc"), max_size=4))
def test_nearest_prefix_equals_trying_all(units: list[str], heard: list[str]) -> None:
    """Guards against a fault in the table: its slow twin counts the edits of every prefix apart."""

    def edits(a: list[str], b: list[str]) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))

    tried = [(edits(units[:k], heard), abs(k - len(heard)), k) for k in range(len(units) + 1)]
    fewest, _, length = min(tried)
    assert nearest_prefix(units, heard) == (length, fewest)


@given(
    st.lists(st.sampled_from(TEXT), min_size=1, max_size=8),
    st.lists(st.sampled_from(TEXT), max_size=12),
    st.integers(0, 12),
)
def test_value_is_never_negative_and_0_means_a_prefix(text: list[str], heard: list[str], due: int) -> None:
    value = partial_error_rate(text, heard, due)
    assert value >= 0 and math.isfinite(value)
    assert (value == 0) == (heard[:-1] == text[: max(0, len(heard) - 1)] and len(heard[:-1]) >= due)


def voice(text: str | None, seconds: float = 2.0) -> Voice:
    return Voice(np.full(int(seconds * 16_000), 0.1, np.float32), text, sample_rate=16_000)


def test_pace_is_that_of_the_voice() -> None:
    def count(text: str) -> int:
        return len(text.split())

    assert units_a_second(voice("one two three"), "en", count, PRIOR) == 1.5
    for silent in (None, voice(None), voice("...")):
        assert units_a_second(silent, "en", lambda text: 0, PRIOR) == 3.0


def test_a_voice_in_another_language_says_nothing_about_pace() -> None:
    """Guards against English letters counted as Chinese characters."""
    assert units_a_second(voice("one two three"), "zh", len, PRIOR) == 5.2
    assert units_a_second(voice("今天天气"), "zh", len, PRIOR) == 2.0
