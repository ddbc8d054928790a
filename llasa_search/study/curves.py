"""Computes best-of-N for every n from one pool of candidates, as the exact mean over all subsets.

When the M candidates of a pool are ordered by reward, worst first, the i-th is the best of a random subset of
n with probability C(i - 1, n - 1) / C(M, n).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import comb

import numpy as np

from llasa_search.arrays import FloatArray
from llasa_search.errors import InputError
from llasa_search.registry import suggest
from llasa_search.scoring.gate import gated
from llasa_search.scoring.rewards import combined
from llasa_search.scoring.score_record import record_to_score
from llasa_search.study.outcomes import Outcome, measured
from llasa_search.study.plan import Row
from llasa_search.verifiers.specification import RewardLike, as_reward

Key = Callable[[Sequence[Row]], FloatArray]
"""Takes the candidates of one pool and returns values to rank by, [candidates]; the highest is chosen."""


def subset_weights(rewards: FloatArray, n: float) -> FloatArray:
    """Returns the share of all subsets of size n in which each of M candidates is the best: [M], which sums to 1.

    Equal rewards share their weight; an unknown (NaN) reward is below all others.

    Args:
        rewards: [M].
        n: 1 to M; weights between whole numbers are interpolated.

    Raises:
        InputError: `n` is outside that range.

    >>> subset_weights(np.array([0.1, 0.9, 0.5]), 2).round(3).tolist()
    [0.0, 0.667, 0.333]
    >>> subset_weights(np.array([0.1, 0.9, 0.9]), 3).tolist()
    [0.0, 0.5, 0.5]
    """
    size = len(rewards)
    if not 1 <= n <= size:
        raise InputError(f"n={n}: a pool of {size} candidates has subsets of 1 to {size}")
    low = math.floor(n)
    if low < n:
        share = n - low
        return (1 - share) * subset_weights(rewards, low) + share * subset_weights(rewards, low + 1)
    by_rank = np.array([comb(i, low - 1) / comb(size, low) for i in range(size)])
    known = np.where(np.isnan(rewards), -np.inf, rewards)
    _, group = np.unique(known, return_inverse=True)
    sizes = np.bincount(group)
    shared = [by_rank[end - size : end].mean() for end, size in zip(np.cumsum(sizes), sizes, strict=True)]
    return np.array(shared)[group]


def by_reward(pool: Sequence[Row]) -> FloatArray:
    """Ranks by the search's own reward."""
    return np.array([math.nan if row["reward"] is None else row["reward"] for row in pool])


def at_random(pool: Sequence[Row]) -> FloatArray:
    """Ranks all candidates equally: a random choice."""
    return np.zeros(len(pool))


def highest_logprob(pool: Sequence[Row]) -> FloatArray:
    """Ranks by the mean log-probability per token, highest first."""
    return np.array([row["mean_logprob"] for row in pool], np.float64)


def shortest(pool: Sequence[Row]) -> FloatArray:
    """Ranks by the number of tokens, fewest first."""
    return -np.array([row["tokens"] for row in pool], np.float64)


def oracle(judge: str) -> Key:
    """Returns a key that ranks by a judge: fewest errors first, or highest value first if it counts none."""

    def key(pool: Sequence[Row]) -> FloatArray:
        if judge not in pool[0]["judges"]:
            raise InputError(f"there is no judge {judge!r}; {suggest(judge, pool[0]['judges'])}")
        records = [row["judges"][judge] for row in pool]
        signs = [-1.0 if "edits" in record else 1.0 for record in records]
        return np.array([sign * measured(record)[0] for sign, record in zip(signs, records, strict=True)])

    return key


def by(reward: RewardLike) -> Key:
    """Returns a key that ranks by another reward, from scores that the rows already have.

    Rewards that compare candidates (`RankAverage`, z-scores, Pareto) compare the whole pool, also for small n.

    Args:
        reward: anything that `search.generate` takes; the same gate is added.

    Raises:
        InputError: when the key is used, if the rows do not have the scores of a verifier that it needs.
    """
    wanted = gated(as_reward(reward))

    def key(pool: Sequence[Row]) -> FloatArray:
        known = {name for row in pool for name in row["scores"]}
        missing = [str(each) for each in wanted.required if str(each) not in known]
        if missing:
            raise InputError(
                f"{wanted} needs scores that the rows do not have: give the arm the verifiers "
                f"{' and '.join(missing)}, with weight 0 if they must not affect the choice"
            )
        return combined(wanted, [{n: record_to_score(v) for n, v in row["scores"].items()} for row in pool])

    return key


def best_of(rows: Sequence[Row], judge: str, n: float, key: Key = by_reward) -> Outcome:
    """Returns the judge's score of the best of n, by text and seed: the mean over all subsets of each pool.

    Subsets whose best candidate the judge could not score are left out; a text without a score is NaN.

    Args:
        rows: of one arm that is a pool.
        judge: a judge's name.
        n: 1 to the pool's size.
        key: ranks the candidates.

    Raises:
        InputError: the rows are of several arms, or `n` exceeds a pool.
    """

    def mean(pool: Sequence[Row]) -> float:
        scores = np.array([measured(row["judges"][judge])[0] for row in pool])
        weights = np.where(np.isnan(scores), 0.0, subset_weights(key(pool), n))
        return float(np.nansum(weights * scores) / weights.sum()) if weights.any() else math.nan

    return Outcome.of(rows, judge, mean)


def pool_size(rows: Sequence[Row]) -> int:
    """Returns the number of candidates in each pool of an arm.

    Raises:
        InputError: the pools differ in size.
    """
    sizes = {row["finished"] for row in rows}
    if len(sizes) != 1:
        raise InputError(f"pools of {sorted(sizes)} candidates: give rows of one arm, whose pools are equal")
    return int(sizes.pop())
