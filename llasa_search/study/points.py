"""The points of a study's curves: what was heard at what cost, and how it compares with best-of-n."""

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
        curve: which points belong together: the name of a pool's chooser, or of an arm and its like.
        name: of the point itself.
        judge: who listened.
        costs: by axis, see `costs.AXES`.
        value: what the judge heard, as a ratio of totals.
        texts: how many the judge could hear.
        unheard: judged candidates of which the judge could not say anything; they are in no figure.
        n: of a pool's point, how many are chosen from; None for an arm.
        equal: the axis on which an arm is compared with best-of-n; "" for a pool's point.
        gain: how much higher an arm's `value` is than that of best-of-n at the same cost on that axis; None
            where no n of the pool costs as much.
        p: of no such difference, uncorrected.
    """

    curve: str
    name: str
    judge: str
    costs: dict[str, float]
    value: Estimate
    texts: int
    unheard: int
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
    """The curve of one way to choose out of a pool.

    Args:
        rows: of one arm that is a pool.
        judge: a judge's name.
        ns: how many are chosen from, each 1 to the pool's size.
        key: what is best.
        name: of the curve; the arm's where it is "".
        verified: whether `key` needs the verifiers, so that they are to be paid.
    """
    name, points = name or rows[0]["arm"], []
    for n in ns:
        value = outcomes.rate(found := curves.best_of(rows, judge, n, key))
        spent = {axis: costs.cost(rows, axis, n, verified) for axis in costs.AXES}
        texts, unheard = int(found.known.sum()), outcomes.unheard(rows, judge)
        points.append(Point(name, f"{name}, n = {n:g}", judge, spent, value, texts, unheard, n))
    return points


def arm_point(
    rows: Sequence[Row], judge: str, pool: Sequence[Row], axis: str = "row_steps", curve: str = ""
) -> Point:
    """What an arm's searches have chosen, compared with the best of as many out of `pool` as cost the same.

    Args:
        rows: of one arm.
        judge: a judge's name.
        pool: rows of one arm that is a pool, on the same cases.
        axis: of the cost that is to be equal.
        curve: which points it belongs to; "" for the strategy's name, up to its first ":".
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
        unheard=outcomes.unheard([row for row in rows if row["chosen"]], judge),
        equal=axis,
        gain=gain,
        p=p,
    )
