"""Particle filtering: rows are resampled in proportion to how much their reward improved."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Candidate
from llasa_search.errors import InputError
from llasa_search.reward.base import Reward
from llasa_search.strategies.base import check_counts, check_number
from llasa_search.strategies.guided import Guided

if TYPE_CHECKING:
    from llasa_search.generation.sampler import Sampler
    from llasa_search.scoring.scorer import Scorer


@dataclass(frozen=True)
class Particle(Guided):
    """Weights rows by exp((reward - reward one step before) / temperature), and resamples them.

    Sequential Monte Carlo, with systematic resampling (Kitagawa 1996) once the effective sample size (the
    squared sum of the weights over the sum of their squares) is below half the rows. A finished row leaves,
    and the final reward takes the place of its weight.

    Args:
        n: rows.
        temperature: of the weights; lower is greedier. The default is our choice.
    """

    n: int = 16
    temperature: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "n")
        check_number(self, "temperature", "a number above 0", lambda value: 0 < value < math.inf)
        if isinstance(self.prefix_verifiers, Reward):
            _of_each_row(self.prefix_verifiers)

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        reward = _of_each_row(self.compared_by(scorer))
        rows = sampler.start(self.n)
        log_weights, before = np.zeros(self.n), np.zeros(self.n)
        while len(rows):
            names = rows.index
            rows, finished = sampler.extend(rows, self.step_tokens)
            yield from finished
            live = np.isin(names, rows.index)
            log_weights, before = log_weights[live], before[live]
            rewards = scorer.partial(rows, reward)
            if np.isnan(rewards).any() or not np.isfinite(log_weights + rewards).any():
                continue
            log_weights = log_weights + (rewards - before) / self.temperature
            before = np.where(np.isfinite(rewards), rewards, before)
            weights = np.exp(log_weights - log_weights.max())
            if weights.sum() ** 2 / np.square(weights).sum() < len(rows) / 2:
                draw = np.random.default_rng([sampler.seed % 2**64, rows.length]).random()
                parents = systematic(weights, draw)
                rows = sampler.select(rows, parents, why="not resampled")
                log_weights, before = np.zeros(len(rows)), before[parents]


def _of_each_row(reward: Reward) -> Reward:
    """Returns the reward if it can weight a single row."""
    if not reward.pointwise:
        raise InputError(
            f"Particle weights each row by itself, and {reward} compares rows: "
            "give prefix_verifiers that are a sum, such as 0.6 * wer + 0.4 * speaker"
        )
    return reward


def systematic(weights: FloatArray, draw: float) -> list[int]:
    """Returns as many positions as `weights`, in order; each occurs within one of its expected number.

    Args:
        weights: 0 or more, not all 0.
        draw: in [0, 1), the offset of the evenly spaced points.

    >>> systematic(np.array([1.0, 0.0, 2.0, 1.0]), 0.5)
    [0, 2, 2, 3]
    """
    shares = np.cumsum(weights) / weights.sum()
    points = (np.arange(len(weights)) + draw) / len(weights)
    places = np.minimum(np.searchsorted(shares, points, side="right"), len(weights) - 1)
    return [int(place) for place in places]
