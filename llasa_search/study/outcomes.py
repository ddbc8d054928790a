"""A judge's scores of one arm, by text and seed, with intervals and tests.

Every value is a ratio of totals over texts: errors to words for an error rate, sums to counts for a mean.
The bootstrap resamples texts first, then the seeds of each text (see `evaluation.statistics.estimate`).
The variance between the seeds of a text therefore counts twice: if nothing else varies, the interval of k
seeds is too wide by a factor of sqrt(2 - 1/k), which is 1.22 for two seeds.
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
from llasa_search.evaluation.statistics import RESAMPLES, Estimate, estimate
from llasa_search.registry import suggest
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.study.plan import Row


@dataclass(frozen=True, eq=False)
class Outcome:
    """The scores of one arm by one judge.

    Attributes:
        cases: ids of the texts, sorted.
        totals: errors or values, [texts, seeds]; NaN where the judge has no score.
        lengths: words (characters for Chinese), or ones, [texts].
    """

    cases: tuple[str, ...]
    totals: FloatArray
    lengths: FloatArray

    @classmethod
    def of(cls, rows: Sequence[Row], judge: str, total_of: Callable[[Sequence[Row]], float]) -> Outcome:
        """Returns the outcome of one arm.

        Args:
            rows: of one arm.
            judge: gives the lengths.
            total_of: takes the rows of one search and returns its total.

        Raises:
            InputError: the rows are of several arms, or of none; there is no such judge; or some texts have
                more seeds than others.
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
            totals.setdefault(case, []).append(total_of(search))
            known = [x for row in search if not np.isnan(x := measured(row["judges"][judge])[1])]
            lengths[case] = known[0] if known else lengths.get(case, np.nan)
        if len({len(each) for each in totals.values()}) != 1:
            raise InputError(f"arm {arms[0]!r}: some texts have more seeds than others")
        return cls(tuple(totals), np.array(list(totals.values())), np.array([lengths[c] for c in totals]))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which texts the judge has scored in every seed, [texts]."""
        return np.asarray(~np.isnan(self.totals).any(axis=1) & ~np.isnan(self.lengths))


def chosen(rows: Sequence[Row], judge: str) -> Outcome:
    """Returns the judge's scores of the candidate that each search of one arm has chosen."""

    def total_of(search: Sequence[Row]) -> float:
        (row,) = [row for row in search if row["chosen"]]
        return measured(row["judges"][judge])[0]

    return Outcome.of(rows, judge, total_of)


def unscored(rows: Sequence[Row], judge: str) -> int:
    """Returns how many candidates the judge could not score, such as those without a voice."""
    return sum(math.isnan(measured(row["judges"][judge])[0]) for row in rows)


def shared(rows: Sequence[Row], judges: Sequence[str]) -> list[Row]:
    """Returns the rows of the texts of which every judge has scored every candidate.

    Figures of several judges can be compared over these. A judge that has scored no candidate is not asked.
    """
    known = {judge: [not math.isnan(measured(row["judges"][judge])[0]) for row in rows] for judge in judges}
    used = [scored for scored in known.values() if any(scored)]
    missing = {row["case"] for i, row in enumerate(rows) if not all(scored[i] for scored in used)}
    return [row for row in rows if row["case"] not in missing]


def counts_errors(rows: Sequence[Row], judge: str) -> bool:
    """Returns whether a judge measures an error rate (lower is better)."""
    return any("edits" in row["judges"][judge] for row in rows)


def measured(record: ScoreRecord) -> tuple[float, float]:
    """Returns errors and words of a score; the value and 1 if it does not count errors; NaN if it has no value."""
    if "edits" in record:
        return float(record["edits"]), float(record["length"])
    value = record["value"]
    return (np.nan, np.nan) if value is None else (value, 1.0)


def rate(outcome: Outcome, seed: int = 0) -> Estimate:
    """Returns the ratio of totals with its 95% interval, over the texts that the judge has scored."""
    return _estimate([outcome], lambda only: only, seed)


def difference(outcome: Outcome, other: Outcome, seed: int = 0) -> Estimate:
    """Returns the ratio of `outcome` minus that of `other`, over the texts that both have scores for."""
    return _estimate([outcome, other], lambda one, two: one - two, seed)


def recovered(single: Outcome, chosen: Outcome, oracle: Outcome, seed: int = 0) -> Estimate:
    """Returns a choice's gain over single samples as a share of the oracle's gain."""
    return _estimate([single, chosen, oracle], lambda s, c, o: (s - c) / (s - o), seed)


def share_above(rows: Sequence[Row], judge: str, bound: float = 0.5) -> list[Row]:
    """Returns the rows with the judge's values replaced by 1 above `bound`, else by 0."""
    return share_where(rows, judge, lambda _, record: (record["value"] or 0.0) > bound)


def share_where(rows: Sequence[Row], judge: str, holds: Callable[[Row, ScoreRecord], bool]) -> list[Row]:
    """Returns the rows with the judge's values replaced by 1 where `holds` is true, else by 0; missing values stay."""

    def of(row: Row) -> ScoreRecord:
        record = row["judges"][judge]
        value = None if record["value"] is None else float(holds(row, record))
        return {"value": value, "detail": record["detail"], "status": record["status"]}

    return [{**row, "judges": {**row["judges"], judge: of(row)}} for row in rows]


def self_judged(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows with the verifiers' scores in place of the judges'."""
    return [{**row, "judges": row["scores"]} for row in rows]


def p_value(outcome: Outcome, other: Outcome, seed: int = 0) -> float:
    """Returns the p-value of equal ratios, by a two-sided paired permutation test.

    The two values of each text are swapped at random. NaN if fewer than two texts have both values.
    """
    from scipy.stats import permutation_test

    mask = _shared([outcome, other])
    if mask.sum() < 2:
        return np.nan
    values = [each.totals[mask].mean(axis=1) / each.lengths[mask].sum() for each in (outcome, other)]
    if np.array_equal(values[0], values[1]):
        return 1.0
    return float(
        permutation_test(
            values,
            lambda a, b, axis: a.sum(axis=axis) - b.sum(axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(seed),
        ).pvalue
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values corrected for multiple comparisons (Holm 1979).

    NaN means that there is no test: it stays NaN and is not counted.

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
    """Returns which texts all outcomes have scores for, [texts]."""
    if len({outcome.cases for outcome in outcomes}) != 1:
        raise InputError("the arms have different texts: compare arms of the same cases")
    return np.asarray(np.all([outcome.known for outcome in outcomes], axis=0))


def _estimate(outcomes: Sequence[Outcome], combine: Callable[..., FloatArray], seed: int) -> Estimate:
    """Returns `combine` of the outcomes' ratios, over the texts that the judge has scored in all of them."""
    mask = _shared(outcomes)
    if not mask.any():
        return Estimate(np.nan, np.nan, np.nan)
    columns = [column[mask] for outcome in outcomes for column in (outcome.totals, outcome.lengths)]

    def of_totals(*totals: FloatArray) -> FloatArray:
        return combine(*(total / length for total, length in zip(totals[::2], totals[1::2], strict=True)))

    return estimate(of_totals, *columns, seed=seed, quantile="closest_observation")
