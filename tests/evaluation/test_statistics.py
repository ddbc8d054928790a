"""Intervals equal those of a simple bootstrap, and shares have known values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.errors import InputError
from llasa_search.evaluation import statistics

COUNTS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 20)), min_size=2, max_size=12
)


def test_the_interval_equals_that_of_a_simple_bootstrap() -> None:
    """Columns are resampled together, and rates are those of totals, not means of rates."""
    rng = np.random.default_rng(1)
    words = rng.integers(3, 20, 60)
    before = rng.binomial(words, 0.4)
    after = rng.binomial(before, 0.5)
    floor = rng.binomial(after, 0.3)
    drawn = []
    for _ in range(4000):
        texts = rng.integers(0, 60, 60)
        b, a, f = before[texts].sum(), after[texts].sum(), floor[texts].sum()
        drawn.append((b / words[texts].sum(), (b - a) / words[texts].sum(), (b - a) / (b - f)))
    expected = np.percentile(drawn, [2.5, 97.5], axis=0).T
    found = [
        statistics.error_rate(before, words),
        statistics.difference(before, after, words),
        statistics.share_removed(before, after, floor),
    ]
    assert np.allclose([(each.low, each.high) for each in found], expected, atol=0.015)


@given(COUNTS)
def test_values_are_ratios_of_totals(counts: list[tuple[int, int, int]]) -> None:
    """A text of 20 words weighs ten times as much as one of 2."""
    errors, others, words = np.array(counts).T
    rate = statistics.error_rate(errors, words)
    assert rate.value == errors.sum() / words.sum()
    assert rate.low <= rate.value + 1e-9 and rate.value - 1e-9 <= rate.high
    assert statistics.difference(errors, others, words).value == pytest.approx(
        rate.value - statistics.error_rate(others, words).value
    )
    same = statistics.difference(errors, errors, words)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_the_same_seed_gives_the_same_interval() -> None:
    """A table that is written again does not change."""
    errors, words = [1, 0, 4, 2, 2], [9, 8, 10, 7, 9]
    assert statistics.error_rate(errors, words) == statistics.error_rate(errors, words)
    one = statistics.estimate(lambda e, w: e / w, errors, words, seed=1)
    assert one.value == statistics.error_rate(errors, words).value


def test_shares_have_known_values() -> None:
    """Shares are 0 without any effect, 1 for the full effect, and NaN if nothing varies."""
    before, floor = [4, 6, 5], [1, 2, 1]
    assert statistics.share_removed(before, before, floor).value == 0
    assert statistics.share_removed(before, floor, floor).value == 1
    assert np.isnan(statistics.share_removed(floor, floor, floor).value)
    assert statistics.share_within([[1, 1], [3, 3]]) == 0
    assert statistics.share_within([[1, 3], [3, 1]]) == 1
    assert statistics.share_within([[0, 2], [2, 4]]) == 0.5
    assert np.isnan(statistics.share_within([[1, 1], [1, 1]]))
    assert np.isnan(statistics.share_within([]))


def test_one_text_has_no_interval() -> None:
    """A single text has NaN and not an interval of width 0."""
    one = statistics.error_rate([1], [10])
    assert one.value == 0.1 and np.isnan([one.low, one.high]).all()


@pytest.mark.parametrize("columns", [(), ([],), ([1, 2], [1]), ([[[1, 2]]],)])
def test_columns_that_do_not_match_are_refused(columns: tuple[list[Any], ...]) -> None:
    """Columns of different lengths are an error, and are not broadcast."""
    with pytest.raises(InputError, match="one value per text"):
        statistics.estimate(lambda *totals: totals[0], *columns)


def test_resamples_without_a_value_are_left_out_of_the_interval() -> None:
    """Resamples without an excess (0 divided by 0) are left out of the interval."""
    share = statistics.share_removed([9, 3, 0, 3], [5, 2, 0, 1], [1, 0, 0, 0])
    assert 0 < share.low < share.value < share.high


def test_seeds_of_a_text_are_resampled_within_it() -> None:
    """Seeds that differ widen the interval; seeds that agree give that of one seed."""
    errors, words = np.array([1.0, 0, 4, 2, 2]), [9, 8, 10, 7, 9]
    one = statistics.error_rate(errors, words)
    agreeing = statistics.error_rate(np.stack([errors] * 3, axis=1), words)
    differing = statistics.error_rate(errors[:, None] + [-2, 0, 2], words)
    assert (agreeing.low, agreeing.high) == pytest.approx((one.low, one.high))
    assert differing.value == pytest.approx(one.value)
    assert differing.high - differing.low > one.high - one.low
