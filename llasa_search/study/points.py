"""The points of a study's curves: what was heard at what cost, and how it compares with best-of-n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from llasa_search.statistics import Estimate
from llasa_search.study import costs, curves, outcomes
from llasa_search.study.outcomes import Outcome
from llasa_search.study.plan import Row


@dataclass(frozen=True)
class Point:
    """One arm, or one n of a pool, under one judge.

    Attributes:
        curve: which points belong together: the name of a pool's chooser, or the arm's up to its first ":".
        name: of the point itself.
        judge: who listened.
        costs: by axis, see `costs.AXES`.
        value: what the judge heard, as a ratio of totals.
        texts: how many the judge could hear.
        n: of a pool's point, how many are chosen from; None for an arm.
        gain: how much higher an arm's `value` is than that of best-of-n at the same cost; None where no n of
            the pool costs as much.
        p: of no such difference, uncorrected.
    """

    curve: str
    name: str
    judge: str
    costs: dict[str, float]
    value: Estimate
    texts: int
    n: float | None = None
    gain: Estimate | None = None
    p: float | None = None


def pool_points(
    rows: Sequence[Row], judge: str, ns: Sequence[float], key: curves.Key = curves.by_reward, name: str = ""
) -> list[Point]:
    """The curve of one way to choose out of a pool.

    Args:
        rows: of one arm that is a pool.
        judge: a judge's name.
        ns: how many are chosen from, each 1 to the pool's size.
        key: what is best.
        name: of the curve; the arm's where it is "".
    """
    name = name or rows[0]["arm"]
    return [
        _point(name, f"{name}, n = {n:g}", judge, rows, curves.best_of(rows, judge, n, key), n) for n in ns
    ]


def arm_point(rows: Sequence[Row], judge: str, pool: Sequence[Row], axis: str = "row_steps") -> Point:
    """What an arm's searches have chosen, compared with the best of as many out of `pool` as cost the same.

    Args:
        rows: of one arm.
        judge: a judge's name.
        pool: rows of one arm that is a pool, on the same cases.
        axis: of the cost that is to be equal.
    """
    amount = costs.cost(rows, axis)
    n = costs.n_at(pool, axis, amount)
    found, arm = outcomes.chosen(rows, judge), rows[0]["arm"]
    gain = p = None
    if not math.isnan(n):
        fixed = curves.best_of(pool, judge, n)
        gain, p = outcomes.difference(found, fixed), outcomes.p_value(found, fixed)
    return _point(arm.partition(":")[0], arm, judge, rows, found, gain=gain, p=p)


def _point(
    curve: str,
    name: str,
    judge: str,
    rows: Sequence[Row],
    outcome: Outcome,
    n: float | None = None,
    gain: Estimate | None = None,
    p: float | None = None,
) -> Point:
    spent = {axis: costs.cost(rows, axis, n) for axis in costs.AXES}
    return Point(curve, name, judge, spent, outcomes.rate(outcome), int(outcome.known.sum()), n, gain, p)
