"""Combinations of rewards other than the weighted sum; each is printed as `Name(first, second, ...)`.

`Harmonic` is pointwise. The others compare the candidates of one group, and their values mean nothing outside it. A
candidate with an unknown term has no reward, and the others are compared without it. Combinations nest:
`Lexicographic(Pareto(a, b), a + b)` orders the candidates of one front by a sum.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import FloatArray
from llasa_search.errors import InputError
from llasa_search.reward.base import Condition, Gated, Reward, WeightedSum, counting, distinct

if TYPE_CHECKING:
    from llasa_search.verifiers.base import Verifier


class Combination(Reward):
    """Base class: several rewards combined into one.

    Args:
        terms: at least one reward.

    Raises:
        InputError: there is no term, a term is not a reward, or all its weights are 0.
    """

    pointwise = False

    def __init__(self, *terms: Reward) -> None:
        name = type(self).__name__
        if not terms:
            raise InputError(f"{name}() has no terms: give it at least one verifier")
        for term in terms:
            if not isinstance(term, Reward):
                raise InputError(f"{name}({term!r:.80}): give verifiers, such as WER(), or rewards")
        self.terms = tuple(counting(term) for term in terms)
        self.pointwise = type(self).pointwise and all(term.pointwise for term in terms)
        self._verifiers = distinct(leaf for term in terms for leaf in term.verifiers)

    @abstractmethod
    def combine(self, values: FloatArray) -> FloatArray:
        """Returns rewards [candidates] from the values of the terms [terms, candidates], none of which is NaN."""

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        return self._verifiers

    @property
    def required(self) -> tuple[Verifier, ...]:
        return distinct(leaf for term in self.terms for leaf in term.required)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(condition for term in self.terms for condition in term.conditions)

    def __call__(self, utilities: Mapping[str, FloatArray]) -> FloatArray:
        values = np.array([term(utilities) for term in self.terms], np.float64)
        known = ~np.isnan(values).any(axis=0)
        combined = np.full(values.shape[1], np.nan)
        if known.any():
            # Sums that differ only by rounding must tie.
            combined[known] = self.combine(values[:, known].round(9))
        return combined

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self.terms))})"


class Harmonic(Combination):
    """The harmonic mean: close to the lowest term, and 0 where one is 0. Llasa-GRPO uses it.

    Raises:
        InputError: as any combination, or a term may be below 0.
    """

    pointwise = True

    def __init__(self, *terms: Reward) -> None:
        super().__init__(*terms)
        for term in self.terms:
            if term.conditions or not term.pointwise:
                raise InputError(
                    f"Harmonic({term}) may be below 0, where the harmonic mean has no meaning: "
                    "give verifiers without gates, and add the gate after it: Harmonic(...).given(...)"
                )

    def combine(self, values: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", over="ignore"):
            mean: FloatArray = len(values) / np.sum(1 / values, axis=0)
        return mean


class Lexicographic(Combination):
    """Ranks by the first term, where that ties by the second, and so on: from 0 (last) to 1 (first)."""

    def combine(self, values: FloatArray) -> FloatArray:
        return ranks(values)


class RankAverage(Combination):
    """The mean of a candidate's ranks under the terms, from 0 (last under all) to 1 (first under all).

    With recognisers of two families, it is robust against the errors of each (arXiv 2607.08256).
    """

    def combine(self, values: FloatArray) -> FloatArray:
        mean: FloatArray = np.mean([ranks(term[None]) for term in values], axis=0)
        return mean


class MaxRank(Combination):
    """The worst of a candidate's ranks under the terms, from 0 (last under one) to 1 (first under all)."""

    def combine(self, values: FloatArray) -> FloatArray:
        worst: FloatArray = np.stack([ranks(term[None]) for term in values]).min(axis=0)
        return worst


class Pareto(Combination):
    """The Pareto front of a candidate: 1 on the first front, and 1 / (candidates - 1) less on each following one.

    A candidate dominates another if it is at least as good under every term and better under one. Candidates of one
    front tie. Koel-TTS chooses by the fronts of character error rate and speaker similarity.
    """

    def combine(self, values: FloatArray) -> FloatArray:
        no_worse: NDArray[np.bool_] = np.all(values[:, :, None] >= values[:, None, :], axis=0)
        dominates = no_worse & ~no_worse.T
        front = np.zeros(values.shape[1], np.float64)
        # In this order, the dominators of a candidate have their front before it.
        for i in np.argsort(dominates.sum(axis=0), kind="stable"):
            front[i] = max((front[j] + 1 for j in np.flatnonzero(dominates[:, i])), default=0.0)
        fronts: FloatArray = 1 - front / max(1, values.shape[1] - 1)
        return fronts


class ZScore(Combination):
    """A term in standard deviations from the mean of the candidates; 0 if all are equal.

    `0.6 * ZScore(a) + 0.4 * ZScore(b)` makes weights independent of the spread of each term.

    Raises:
        InputError: as any combination, or more than one term.
    """

    def __init__(self, *terms: Reward) -> None:
        super().__init__(*terms)
        if len(terms) > 1:
            raise InputError(f"{self}: standardise one by one, as in ZScore({terms[0]}) + ZScore({terms[1]})")

    def combine(self, values: FloatArray) -> FloatArray:
        (term,) = values
        if np.ptp(term) == 0:
            return np.zeros_like(term)
        # Exact sums do not depend on the order of the candidates.
        deviation = term - math.fsum(term) / len(term)
        spread = math.sqrt(math.fsum(deviation**2) / len(term))
        standardised: FloatArray = deviation / spread if spread else deviation
        return standardised


def part_of(reward: Reward, able: Callable[[Verifier], bool]) -> Reward | None:
    """Returns a reward reduced to some verifiers; None if nothing is left.

    Terms and gates of other verifiers are left out, and a combination of one remaining term becomes that term.

    Args:
        reward: to reduce.
        able: whether a verifier stays.
    """
    if isinstance(reward, WeightedSum):
        weighted = [
            (weight, part) for weight, term in reward.terms if weight and (part := part_of(term, able))
        ]
        return WeightedSum(weighted) if weighted else None
    if isinstance(reward, Combination):
        parts = [part for term in reward.terms if (part := part_of(term, able))]
        if len(parts) == 1 < len(reward.terms):
            return parts[0]
        return type(reward)(*parts) if parts else None
    if isinstance(reward, Gated):
        part = part_of(reward.reward, able)
        return part.given(reward.condition) if part and able(reward.condition.verifier) else part
    return reward if all(map(able, reward.required)) else None


def ranks(columns: FloatArray) -> FloatArray:
    """Returns ranks [candidates] from 0 (worst) to 1 (best) by [columns, candidates], an earlier column first.

    Equal candidates get the mean of their ranks; a single candidate gets 1.

    >>> ranks(np.array([[0.5, 0.1, 0.5, 0.9]])).round(2).tolist()
    [0.5, 0.0, 0.5, 1.0]
    >>> ranks(np.array([[0.5, 0.1, 0.5], [0.0, 1.0, 0.1]])).tolist()
    [0.5, 0.0, 1.0]
    """
    _, level, count = np.unique(columns.T, axis=0, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count + 1) / 2
    last = columns.shape[1] - 1
    shared: FloatArray = mean_rank[level.ravel()] / last if last else np.ones(1)
    return shared


COMBINATIONS: dict[str, type[Combination]] = {
    kind.__name__: kind for kind in (Harmonic, Lexicographic, RankAverage, MaxRank, Pareto, ZScore)
}
