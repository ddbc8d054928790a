"""The points of a study's curves: quality and cost, and the comparison with best-of-n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llasa_search.evaluation.statistics import Estimate
from llasa_search.study import costs, curves, outcomes
from llasa_search.study.plan import Row


@dataclass(frozen=True)
class Point:
    """One arm, or one n of a pool, under one judge.

    Attributes:
        curve: the name that points of one curve share: that of a pool's key, or of an arm's strategy.
        name: of the point itself.
        judge: name of the judge.
        costs: by axis, see `costs.AXES`.
        value: the judge's score, a ratio of totals.
        texts: how many the judge could score.
        unscored: candidates that the judge could not score; no figure includes them.
        n: for a pool, how many candidates are chosen from; None for an arm.
        equal: the axis on which an arm is compared with best-of-n; "" for a pool's point.
        gain: an arm's `value` minus that of best-of-n at the same cost on that axis; None if no n of the
            pool costs as much.
        p: p-value of no difference, uncorrected.
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


def pool_points(
    rows: Sequence[Row],
    judge: str,
    ns: Sequence[float],
    key: curves.Key = curves.by_reward,
    name: str = "",
    verified: bool = True,
) -> list[Point]:
    """Returns the curve of one way to choose out of a pool.

    Args:
        rows: of one arm that is a pool.
        judge: a judge's name.
        ns: how many are chosen from, each 1 to the pool's size.
        key: ranks the candidates.
        name: of the curve; "" for the arm's.
        verified: whether `key` needs the verifiers, so that they count as cost.
    """
    name, points = name or rows[0]["arm"], []
    for n in ns:
        value = outcomes.rate(found := curves.best_of(rows, judge, n, key))
        spent = {axis: costs.cost(rows, axis, n, verified) for axis in costs.AXES}
        texts, unscored = int(found.known.sum()), outcomes.unscored(rows, judge)
        points.append(Point(name, f"{name}, n = {n:g}", judge, spent, value, texts, unscored, n))
    return points


def arm_point(
    rows: Sequence[Row], judge: str, pool: Sequence[Row], axis: str = "row_steps", curve: str = ""
) -> Point:
    """Returns the point of an arm, compared with the best of as many candidates of `pool` as cost the same.

    Args:
        rows: of one arm.
        judge: a judge's name.
        pool: rows of one arm that is a pool, on the same cases.
        axis: on which the costs are equal.
        curve: the name that points of one curve share; "" for the arm's name up to its first ":".
    """
    amount = costs.cost(rows, axis)
    n = costs.n_at(pool, axis, amount)
    found, arm = outcomes.chosen(rows, judge), rows[0]["arm"]
    gain = p = None
    if not math.isnan(n):
        fixed = curves.best_of(pool, judge, n)
        gain, p = outcomes.difference(found, fixed), outcomes.p_value(found, fixed)
    return Point(
        curve=curve or arm.partition(":")[0],
        name=arm,
        judge=judge,
        costs={each: costs.cost(rows, each) for each in costs.AXES},
        value=outcomes.rate(found),
        texts=int(found.known.sum()),
        unscored=outcomes.unscored([row for row in rows if row["chosen"]], judge),
        equal=axis,
        gain=gain,
        p=p,
    )
