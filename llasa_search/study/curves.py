"""Best-of-n for every n out of one pool of candidates: the exact mean over all subsets, not one draw.

Of the M candidates of a pool in order of their reward, worst first, the i-th is the best of a random subset
of n with probability C(i - 1, n - 1) / C(M, n).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import comb

import numpy as np

from llasa_search.candidate import FloatArray
from llasa_search.errors import InputError
from llasa_search.study.outcomes import Outcome, measured
from llasa_search.study.plan import Row

Key = Callable[[Row], float | None]


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


def by_reward(row: Row) -> float | None:
    """What the search itself chooses by."""
    return row["reward"]


def at_random(row: Row) -> float | None:
    """No choice: all candidates alike."""
    return 0.0


def likeliest(row: Row) -> float | None:
    """The highest mean log-probability a token."""
    return row["mean_logprob"]


def shortest(row: Row) -> float | None:
    """The fewest tokens."""
    return -float(row["tokens"])


def oracle(judge: str) -> Key:
    """The fewest errors, or for a judge without errors the highest value, as a judge hears it."""

    def key(row: Row) -> float | None:
        verdict = row["judges"][judge]
        return -float(verdict["edits"]) if "edits" in verdict else verdict["value"]

    return key


def best_of(rows: Sequence[Row], judge: str, n: float, key: Key = by_reward) -> Outcome:
    """What `judge` hears in the best of n, by text and seed, in the mean over all subsets of each pool.

    Args:
        rows: of one arm that is a pool.
        judge: a judge's name.
        n: 1 to the pool's size.
        key: what is best.

    Raises:
        InputError: the rows are of several arms, or a pool lacks candidates.
    """

    def mean(pool: Sequence[Row]) -> float:
        keys = np.array([math.nan if (k := key(row)) is None else k for row in pool], np.float64)
        heard = np.array([measured(row["judges"][judge])[0] for row in pool])
        weights = subset_weights(keys, n)
        return float((weights[weights > 0] * heard[weights > 0]).sum())

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
