"""Best-of-n for every n out of one pool of candidates: the exact mean over all subsets, not one draw.

Of the M candidates of a pool in order of their reward, worst first, the i-th is the best of a random subset
of n with probability C(i - 1, n - 1) / C(M, n).
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
"""From the candidates of one pool to what they are ranked by, [candidates]; the highest is chosen."""


def subset_weights(rewards: FloatArray, n: float) -> FloatArray:
    """How often each of M candidates is the best of n, over all subsets: [M], of sum 1.

    Equal rewards share; an unknown (NaN) one is below all others.

    Args:
        rewards: [M].
        n: 1 to M; between whole numbers, weights are interpolated.

    Raises:
        InputError: `n` is outside of that.

    >>> subset_weights(np.array([0.1, 0.9, 0.5]), 2).round(3).tolist()
    [0.0, 0.667, 0.333]
    >>> subset_weights(np.array([0.1, 0.9, 0.9]), 3).tolist()
    [0.0, 0.5, 0.5]
    """
    size = len(rewards)
    if not 1 <= n <= size:
        raise InputError(f"n={n}: a pool of {size} candidates holds subsets of 1 to {size}")
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
    """What the search itself chooses by."""
    return np.array([math.nan if row["reward"] is None else row["reward"] for row in pool])


def at_random(pool: Sequence[Row]) -> FloatArray:
    """No choice: all candidates alike."""
    return np.zeros(len(pool))


def likeliest(pool: Sequence[Row]) -> FloatArray:
    """The highest mean log-probability a token."""
    return np.array([row["mean_logprob"] for row in pool], np.float64)


def shortest(pool: Sequence[Row]) -> FloatArray:
    """The fewest tokens."""
    return -np.array([row["tokens"] for row in pool], np.float64)


def oracle(judge: str) -> Key:
    """The fewest errors, or for a judge that counts none the highest value, as a judge hears it."""

    def key(pool: Sequence[Row]) -> FloatArray:
        if judge not in pool[0]["judges"]:
            raise InputError(f"there is no judge {judge!r}; {suggest(judge, pool[0]['judges'])}")
        verdicts = [row["judges"][judge] for row in pool]
        signs = [-1.0 if "edits" in verdict else 1.0 for verdict in verdicts]
        return np.array([sign * measured(verdict)[0] for sign, verdict in zip(signs, verdicts, strict=True)])

    return key


def by(reward: RewardLike) -> Key:
    """What another reward would choose, by scores that the rows already hold.

    Rewards whose order of two candidates depends on the others (`RankAverage`, z-scores, Pareto) see the
    whole pool, also where few are chosen from.

    Args:
        reward: anything `search.generate` takes; it gets the same gate.

    Raises:
        InputError: when it chooses, if the rows hold no scores of a verifier that it needs.
    """
    wanted = gated(as_reward(reward))

    def key(pool: Sequence[Row]) -> FloatArray:
        known = {name for row in pool for name in row["scores"]}
        missing = [str(each) for each in wanted.required if str(each) not in known]
        if missing:
            raise InputError(
                f"{wanted} needs scores that the rows do not hold: let the arm hear "
                f"{' and '.join(missing)}, with weight 0 where they are not to choose"
            )
        return combined(wanted, [{n: record_to_score(v) for n, v in row["scores"].items()} for row in pool])

    return key


def best_of(rows: Sequence[Row], judge: str, n: float, key: Key = by_reward) -> Outcome:
    """What `judge` hears in the best of n, by text and seed, in the mean over all subsets of each pool.

    Subsets whose best the judge could not hear are left out; a text of which nothing was heard is NaN.

    Args:
        rows: of one arm that is a pool.
        judge: a judge's name.
        n: 1 to the pool's size.
        key: what is best.

    Raises:
        InputError: the rows are of several arms, or a pool lacks candidates.
    """

    def mean(pool: Sequence[Row]) -> float:
        heard = np.array([measured(row["judges"][judge])[0] for row in pool])
        weights = np.where(np.isnan(heard), 0.0, subset_weights(key(pool), n))
        return float(np.nansum(weights * heard) / weights.sum()) if weights.any() else math.nan

    return Outcome.of(rows, judge, mean)


def pool_size(rows: Sequence[Row]) -> int:
    """Candidates in each pool of an arm.

    Raises:
        InputError: pools differ in size.
    """
    sizes = {row["finished"] for row in rows}
    if len(sizes) != 1:
        raise InputError(f"pools of {sorted(sizes)} candidates: give rows of one arm, whose pools are equal")
    return int(sizes.pop())
