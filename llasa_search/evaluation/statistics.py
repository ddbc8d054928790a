"""Ratios of totals over texts, with 95% bootstrap intervals.

A corpus word error rate is a ratio of totals: all errors over all words. Texts are resampled, and the totals
are taken again from each resample; comparisons resample the same texts on both sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llasa_search.arrays import FloatArray
from llasa_search.errors import InputError

RESAMPLES = 9999


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval.

    Attributes:
        value: the ratio.
        low: lower end of the interval; NaN without an interval (one text, or 0 divided by 0).
        high: upper end, or NaN.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def estimate(
    ratio: Callable[..., FloatArray],
    *columns: ArrayLike,
    seed: int = 0,
    quantile: Literal["linear", "closest_observation"] = "linear",
) -> Estimate:
    """Returns a function of column totals, with its percentile bootstrap interval over texts.

    Texts are resampled first. In a column with several seeds per text, the seeds of each drawn text are then
    resampled too, and their mean counts. Resamples whose ratio is 0 divided by 0 are left out.

    Args:
        ratio: takes one total for each column (arrays of resampled totals) and returns their ratio.
        columns: [texts] or [texts, seeds] each; the same texts are drawn from all.
        seed: of the resampling.
        quantile: how the ends of the interval are found, as in `numpy.quantile`; "closest_observation" for
            ratios that can be infinite, between which nothing can be interpolated.

    Raises:
        InputError: there are no texts, or the columns have different lengths.
    """
    data = [np.asarray(column, np.float64) for column in columns]
    texts = {column.shape[0] if column.ndim in (1, 2) else 0 for column in data}
    if len(texts) != 1 or not (count := texts.pop()):
        shapes = sorted(column.shape for column in data)
        raise InputError(
            f"columns of shapes {shapes}: give each one value per text, or one per text and seed"
        )
    rng = np.random.default_rng(seed)
    drawn = rng.integers(count, size=(RESAMPLES, count))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(ratio(*(_per_text(column).sum() for column in data)))
        values = np.asarray(ratio(*(_resampled_totals(column, drawn, rng) for column in data)))
    known = values[~np.isnan(values)]
    if count == 1 or not known.size:
        return Estimate(value, np.nan, np.nan)
    with np.errstate(invalid="ignore"):  # between two infinite ratios
        low, high = np.quantile(known, [0.025, 0.975], method=quantile)
    return Estimate(value, float(low), float(high))


def _per_text(column: FloatArray) -> FloatArray:
    """Returns the mean over seeds, [texts]."""
    return column if column.ndim == 1 else np.asarray(column.mean(axis=1))


def _resampled_totals(column: FloatArray, drawn: NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
    """Returns the column's total in each resample, [resamples], for the texts `drawn` [resamples, texts]."""
    if column.ndim == 1 or column.shape[1] == 1:
        return np.asarray(_per_text(column)[drawn].sum(axis=1))
    seeds = rng.integers(column.shape[1], size=(*drawn.shape, column.shape[1]))
    return np.asarray(column[drawn[:, :, None], seeds].mean(axis=2).sum(axis=1))


def error_rate(errors: ArrayLike, words: ArrayLike) -> Estimate:
    """Returns the corpus error rate: all errors [texts] over all words [texts].

    >>> error_rate([1, 0, 2], [10, 10, 10]).value
    0.1
    """
    return estimate(lambda e, w: e / w, errors, words)


def difference(errors: ArrayLike, others: ArrayLike, words: ArrayLike) -> Estimate:
    """Returns the corpus error rate of `errors` less that of `others`, over the same texts and words.

    >>> difference([1, 0, 2], [0, 0, 0], [10, 10, 10]).value
    0.1
    """
    return estimate(lambda e, o, w: (e - o) / w, errors, others, words)


def share_removed(before: ArrayLike, after: ArrayLike, floor: ArrayLike) -> Estimate:
    """Returns the share of the errors `before` above `floor` that are removed `after`; all are errors [texts].

    The interval is wide and without meaning if `before` hardly exceeds `floor`.

    >>> share_removed([4, 4], [2, 3], [1, 1]).value
    0.5
    """
    return estimate(lambda b, a, f: (b - a) / (b - f), before, after, floor)


def share_within(values: ArrayLike) -> float:
    """Returns the share of the variance of `values` [texts, candidates] that lies within texts, in [0, 1].

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
