"""What a judge heard of one arm, by text and seed, and what can be said of it: intervals and tests.

Everything is a ratio of totals over texts: errors to words for an error rate, sums to counts for a mean.
Texts are resampled first, then the seeds of each, and the totals are taken again. Comparisons resample the
same texts on both sides. What differs between the seeds of a text so counts twice: where nothing else
differs, intervals of k seeds are sqrt(2 - 1/k) times as wide as they should be, 1.22 for two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import FloatArray
from llasa_search.errors import InputError
from llasa_search.evaluation.statistics import RESAMPLES, Estimate
from llasa_search.registry import suggest
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.study.plan import Row


@dataclass(frozen=True)
class Outcome:
    """One arm under one judge.

    Attributes:
        cases: ids of the texts, sorted.
        totals: errors, or values, [texts, seeds]; NaN where the judge failed.
        lengths: words (characters for Chinese), or ones, [texts].
    """

    cases: tuple[str, ...]
    totals: FloatArray
    lengths: FloatArray

    @classmethod
    def of(cls, rows: Sequence[Row], judge: str, take: Callable[[Sequence[Row]], float]) -> Outcome:
        """Gathers the rows of one arm.

        Args:
            rows: of one arm.
            judge: whose lengths count.
            take: from the rows of one search to its total.

        Raises:
            InputError: there are rows of several arms, or of none; no such judge; or texts differ in seeds.
        """
        arms = sorted({row["arm"] for row in rows})
        if len(arms) != 1:
            raise InputError(f"rows of the arms {arms}: give those of one")
        if judge not in rows[0]["judges"]:
            raise InputError(f"there is no judge {judge!r}; {suggest(judge, rows[0]['judges'])}")
        totals: dict[str, list[float]] = {}
        lengths: dict[str, float] = {}
        ordered = sorted(rows, key=lambda row: (row["case"], row["seed"], row["index"]))
        for (case, _), group in groupby(ordered, key=lambda row: (row["case"], row["seed"])):
            search = list(group)
            totals.setdefault(case, []).append(take(search))
            known = [x for row in search if not np.isnan(x := measured(row["judges"][judge])[1])]
            lengths[case] = known[0] if known else lengths.get(case, np.nan)
        if len({len(each) for each in totals.values()}) != 1:
            raise InputError(f"arm {arms[0]!r}: some texts have more seeds than others")
        return cls(tuple(totals), np.array(list(totals.values())), np.array([lengths[c] for c in totals]))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Texts that the judge has heard in every seed, [texts]."""
        return np.asarray(~np.isnan(self.totals).any(axis=1) & ~np.isnan(self.lengths))


def chosen(rows: Sequence[Row], judge: str) -> Outcome:
    """What `judge` heard of what each search of one arm has chosen."""

    def take(search: Sequence[Row]) -> float:
        (row,) = [row for row in search if row["chosen"]]
        return measured(row["judges"][judge])[0]

    return Outcome.of(rows, judge, take)


def unheard(rows: Sequence[Row], judge: str) -> int:
    """How many candidates `judge` could not judge: those in which it heard no voice, for example."""
    return sum(math.isnan(measured(row["judges"][judge])[0]) for row in rows)


def measured(verdict: ScoreRecord) -> tuple[float, float]:
    """Errors and words of a verdict; value and 1 where it counts no errors; NaN where it failed."""
    if "edits" in verdict:
        return float(verdict["edits"]), float(verdict["length"])
    value = verdict["value"]
    return (np.nan, np.nan) if value is None else (value, 1.0)


def rate(outcome: Outcome, seed: int = 0) -> Estimate:
    """The ratio of totals, with its 95 % interval; over the texts that the judge has heard."""
    return _estimate([outcome], lambda only: only, seed)


def difference(outcome: Outcome, other: Outcome, seed: int = 0) -> Estimate:
    """How much higher the ratio of `outcome` is than that of `other`, over the texts that both have."""
    return _estimate([outcome, other], lambda one, two: one - two, seed)


def recovered(plain: Outcome, chosen: Outcome, oracle: Outcome, seed: int = 0) -> Estimate:
    """The share of an oracle's gain over plain samples that a choice has, over the texts that all have."""
    return _estimate([plain, chosen, oracle], lambda p, c, o: (p - c) / (p - o), seed)


def share_above(rows: Sequence[Row], judge: str, bound: float = 0.5) -> list[Row]:
    """The rows with 1 for the judge's values above `bound`, and 0 for others: for shares of bad speech."""
    return share_where(rows, judge, lambda _, verdict: (verdict["value"] or 0.0) > bound)


def share_where(rows: Sequence[Row], judge: str, holds: Callable[[Row, ScoreRecord], bool]) -> list[Row]:
    """The rows with 1 where something holds of what a judge heard, and 0 elsewhere; failed ones stay so."""

    def of(row: Row) -> ScoreRecord:
        verdict = row["judges"][judge]
        value = None if verdict["value"] is None else float(holds(row, verdict))
        return {"value": value, "detail": verdict["detail"], "status": verdict["status"]}

    return [{**row, "judges": {**row["judges"], judge: of(row)}} for row in rows]


def self_judged(rows: Sequence[Row]) -> list[Row]:
    """The rows with the verifiers' scores in place of the judges': what a search believes to have found."""
    return [{**row, "judges": row["scores"]} for row in rows]


def p_value(outcome: Outcome, other: Outcome, seed: int = 0) -> float:
    """Two-sided paired permutation test of equal ratios: each text's two sides are exchanged at random.

    NaN where fewer than two texts have been heard on both.
    """
    from scipy.stats import permutation_test

    mask = _shared([outcome, other])
    if mask.sum() < 2:
        return np.nan
    sides = [each.totals[mask].mean(axis=1) / each.lengths[mask].sum() for each in (outcome, other)]
    if np.array_equal(*sides):
        return 1.0
    return float(
        permutation_test(
            sides,
            lambda a, b, axis: a.sum(axis=axis) - b.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979): each bounds the chance of any false finding so far.

    What is NaN was not tested: it stays, and does not count.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    given = np.array(p_values, np.float64)
    order = np.argsort(given, kind="stable")[: np.count_nonzero(~np.isnan(given))]  # NaN comes last
    scaled = given[order] * np.arange(len(order), 0, -1)
    corrected = np.full(len(given), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(p) for p in corrected]


def _shared(outcomes: Sequence[Outcome]) -> NDArray[np.bool_]:
    if len({outcome.cases for outcome in outcomes}) != 1:
        raise InputError("the arms have spoken different texts: compare arms of the same cases")
    return np.asarray(np.all([outcome.known for outcome in outcomes], axis=0))


def _estimate(outcomes: Sequence[Outcome], combine: Callable[..., FloatArray], seed: int) -> Estimate:
    mask = _shared(outcomes)
    if not mask.any():
        return Estimate(np.nan, np.nan, np.nan)
    data = [(outcome.totals[mask], outcome.lengths[mask]) for outcome in outcomes]
    rng = np.random.default_rng(seed)
    texts = rng.integers(mask.sum(), size=(RESAMPLES, mask.sum()))
    with np.errstate(divide="ignore", invalid="ignore"):  # a share of nothing is NaN
        value = float(combine(*(totals.mean(axis=1).sum() / lengths.sum() for totals, lengths in data)))
        drawn = combine(*(_resampled(totals, lengths, texts, rng) for totals, lengths in data))
    drawn = drawn[~np.isnan(drawn)]  # of nothing to nothing, as in `statistics.estimate`
    if len(data[0][1]) == 1 or not drawn.size:
        return Estimate(value, np.nan, np.nan)
    # Of two infinite ratios there is no mean: the ends are resamples themselves.
    low, high = np.quantile(drawn, [0.025, 0.975], method="closest_observation")
    return Estimate(value, float(low), float(high))


def _resampled(
    totals: FloatArray, lengths: FloatArray, texts: NDArray[np.int64], rng: np.random.Generator
) -> FloatArray:
    """Ratios [resamples]: the seeds of each drawn text are drawn anew."""
    count = totals.shape[1]
    if count == 1:
        return np.asarray(totals[:, 0][texts].sum(axis=1) / lengths[texts].sum(axis=1))
    seeds = rng.integers(count, size=(*texts.shape, count))
    drawn = totals[texts[:, :, None], seeds].mean(axis=2)
    return np.asarray(drawn.sum(axis=1) / lengths[texts].sum(axis=1))
