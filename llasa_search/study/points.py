"""The points of a study's curves: quality and cost, and the comparison with best-of-N."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llasa_search.evaluation.statistics import Estimate
from llasa_search.study import costs, curves, outcomes
from llasa_search.study.plan import Row

LABELS = {
    "best of n": "best-of-N",
    "likeliest": "highest log-probability",
    "a random one": "mean of all candidates",
}
"""How names are printed that files store in another form."""


@dataclass(frozen=True)
class Point:
    """One arm, or one n of a pool, under one judge.

    Attributes:
        curve: the name that the points of one curve share: that of a pool's key or of an arm's strategy.
        name: of the point itself.
        judge: name of the judge.
        costs: by axis, see `costs.AXES`.
        value: the judge's score, a ratio of totals.
        texts: how many the judge could score.
        unscored: candidates that the judge could not score; no value includes them.
        n: for a pool, the number of candidates to choose from; None for an arm.
        equal: the axis on which an arm is compared with best-of-N; "" for a pool's point.
        gain: an arm's `value` minus that of best-of-N at the same cost on that axis; None if no n has that
            cost.
        p: uncorrected p-value of the gain.
    """

    curve: str
    name: str
    judge: str
    costs: dict[str, float]
    value: Estimate
    texts: int
    unscored: int
    n: float | None = None
    equal: str = ""
    gain: Estimate | None = None
    p: float | None = None

    @property
    def label(self) -> str:
        """The printed name."""
        return self.name if self.n is None else f"{label(self.curve)}, N = {self.n:g}"


def label(curve: str) -> str:
    """Returns the printed name of a curve."""
    for stored, printed in LABELS.items():
        curve = curve.replace(stored, printed)
    return curve


def pool_points(
    rows: Sequence[Row],
    judge: str,
    ns: Sequence[float],
    key: curves.Key = curves.by_reward,
    name: str = "",
    verified: bool = True,
) -> list[Point]:
    """Returns the curve of one way to choose from a pool.

    Args:
        rows: of one arm that is a pool.
        judge: a judge's name.
        ns: numbers of candidates to choose from, each 1 to the pool's size.
        key: ranks the candidates.
        name: of the curve; "" for the arm's.
        verified: whether `key` needs the verifiers; if so, the cost includes them.
    """
    name, points = name or rows[0]["arm"], []
    for n in ns:
        value = outcomes.rate(outcome := curves.best_of(rows, judge, n, key))
        cost_by_axis = {axis: costs.cost(rows, axis, n, verified) for axis in costs.AXES}
        texts, unscored = int(outcome.known.sum()), outcomes.unscored(rows, judge)
        points.append(Point(name, f"{name}, n = {n:g}", judge, cost_by_axis, value, texts, unscored, n))
    return points


def arm_point(
    rows: Sequence[Row], judge: str, pool: Sequence[Row], axis: str = "row_steps", curve: str = ""
) -> Point:
    """Returns the point of an arm, compared with the best of as many candidates of `pool` as have the same cost.

    Args:
        rows: of one arm.
        judge: a judge's name.
        pool: rows of one arm that is a pool, on the same cases.
        axis: on which the costs are equal.
        curve: the name that points of one curve share; "" for the arm's name up to its first ":".
    """
    amount = costs.cost(rows, axis)
    n = costs.n_at(pool, axis, amount)
    outcome, arm = outcomes.chosen(rows, judge), rows[0]["arm"]
    gain = p = None
    if not math.isnan(n):
        best_of_n = curves.best_of(pool, judge, n)
        gain, p = outcomes.difference(outcome, best_of_n), outcomes.p_value(outcome, best_of_n)
    return Point(
        curve=curve or arm.partition(":")[0],
        name=arm,
        judge=judge,
        costs={each: costs.cost(rows, each) for each in costs.AXES},
        value=outcomes.rate(outcome),
        texts=int(outcome.known.sum()),
        unscored=outcomes.unscored([row for row in rows if row["chosen"]], judge),
        equal=axis,
        gain=gain,
        p=p,
    )
