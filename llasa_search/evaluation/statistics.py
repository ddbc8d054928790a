"""Figures that hold: ratios of totals over texts, with 95 % bootstrap intervals.

A corpus word error rate is a ratio of totals (all errors, all words), so texts are resampled, then totals are
taken again; comparisons resample the same texts on both sides. Needs scipy (extra `judges`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from llasa_search.arrays import FloatArray
from llasa_search.errors import InputError

RESAMPLES = 9999


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval, NaN where there is none (one text; a ratio of 0 to 0)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimate(ratio: Callable[..., FloatArray], *columns: ArrayLike, seed: int = 0) -> Estimate:
    """A function of column totals, with its percentile bootstrap interval over texts.

    Resamples in which it is 0 to 0, and has no value, are left out.

    Args:
        ratio: takes one total for each column (arrays of resampled totals) and returns their ratio.
        columns: [texts] each; all are resampled together.
        seed: of the resampling.

    Raises:
        InputError: no texts, or columns of different lengths.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    data = [np.asarray(column, np.float64) for column in columns]
    shapes = {column.shape for column in data}
    if len(shapes) != 1 or len(data[0].shape) != 1 or not data[0].size:
        raise InputError(f"columns of shapes {sorted(shapes)}: give each one value a text")

    def of_totals(*drawn: FloatArray, axis: int) -> FloatArray:
        return np.asarray(ratio(*(column.sum(axis=axis) for column in drawn)))

    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        value = float(of_totals(*data, axis=0))
        if data[0].size == 1:
            return Estimate(value, np.nan, np.nan)
        warnings.simplefilter("ignore", DegenerateDataWarning)
        values = bootstrap(
            data,
            of_totals,
            paired=True,
            vectorized=True,
            method="percentile",
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
        known = values[~np.isnan(values)]
        low, high = np.quantile(known, [0.025, 0.975]) if known.size else (np.nan, np.nan)
    return Estimate(value, float(low), float(high))


def error_rate(errors: ArrayLike, words: ArrayLike) -> Estimate:
    """Corpus error rate: all errors [texts] over all words [texts].

    >>> error_rate([1, 0, 2], [10, 10, 10]).value
    0.1
    """
    return estimate(lambda e, w: e / w, errors, words)


def difference(errors: ArrayLike, others: ArrayLike, words: ArrayLike) -> Estimate:
    """Corpus error rate of `errors` less that of `others`, over the same texts and words.

    >>> difference([1, 0, 2], [0, 0, 0], [10, 10, 10]).value
    0.1
    """
    return estimate(lambda e, o, w: (e - o) / w, errors, others, words)


def share_removed(before: ArrayLike, after: ArrayLike, floor: ArrayLike) -> Estimate:
    """How much of the errors `before` in excess of `floor` is gone `after`; all are errors [texts].

    The interval is wide, and meaningless, where there is hardly an excess.

    >>> share_removed([4, 4], [2, 3], [1, 1]).value
    0.5
    """
    return estimate(lambda b, a, f: (b - a) / (b - f), before, after, floor)


def share_within(values: ArrayLike) -> float:
    """Share of the variance of `values` [texts, candidates] that lies within texts, in [0, 1].

    The sum of squares around each text's mean over that around the common mean; NaN where nothing varies,
    or without texts.

    >>> share_within([[0.0, 2.0], [0.0, 2.0]])
    1.0
    """
    table = np.asarray(values, np.float64)
    if not table.size:
        return float("nan")
    within = ((table - table.mean(axis=1, keepdims=True)) ** 2).sum()
    total = ((table - table.mean()) ** 2).sum()
    return float(within / total) if total else float("nan")
