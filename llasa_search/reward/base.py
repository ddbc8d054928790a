"""Rewards, which a search maximises, composed from verifiers by arithmetic.

A reward takes utilities (one array in [0, 1] per verifier, NaN where the verifier failed) and returns one number per
candidate, NaN where it is unknown. A condition is used like a utility: 1 where it holds, 0 where it does not. The
printed expression of a reward is its identity: cache key, table heading and stored form.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import FloatArray, is_finite
from llasa_search.errors import InputError, short_repr

if TYPE_CHECKING:
    from llasa_search.verifiers.base import Verifier


class Reward(ABC):
    """A number per candidate that a search maximises, such as `0.6 * WER() + 0.4 * SpeakerSimilarity()`.

    Attributes:
        pointwise: whether a candidate's reward depends on that candidate alone. It then lies in [0, 1], less
            1 for each failed gate, and never falls when a utility rises. So the value with every unknown utility
            set to 1 is an upper bound for the candidate.
    """

    pointwise: bool = True

    @property
    @abstractmethod
    def verifiers(self) -> tuple[Verifier, ...]:
        """The verifiers whose utilities it uses, each once."""

    @property
    def required(self) -> tuple[Verifier, ...]:
        """The verifiers that affect it; if one of them fails, the reward is unknown."""
        return self.verifiers

    @property
    def reporting(self) -> tuple[Verifier, ...]:
        """The verifiers of weight 0, which are scored and do not affect it."""
        return tuple(verifier for verifier in self.verifiers if verifier not in self.required)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions that it uses beside utilities."""
        return ()

    @abstractmethod
    def __call__(self, utilities: Mapping[str, FloatArray]) -> FloatArray:
        """Returns rewards [candidates], NaN where unknown.

        Args:
            utilities: [candidates] each, by the printed form of a verifier or condition.
        """

    def given(self, condition: Condition) -> Gated:
        """Returns this reward, less 1 where `condition` fails: `speaker.given(WER() <= 0.05)`.

        Raises:
            InputError: `condition` is not a condition.
        """
        return Gated(self, condition)

    @abstractmethod
    def __str__(self) -> str: ...

    def __repr__(self) -> str:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reward) and str(self) == str(other) and self.verifiers == other.verifiers

    def __hash__(self) -> int:
        return hash(str(self))

    def __mul__(self, weight: float) -> WeightedSum:
        if not isinstance(weight, (int, float)):
            return NotImplemented
        return WeightedSum([(weight, self)])

    __rmul__ = __mul__

    def __radd__(self, start: object) -> Reward:
        # `sum` begins with 0.
        return self if isinstance(start, int) and start == 0 else NotImplemented

    def __add__(self, other: Reward) -> WeightedSum:
        if not isinstance(other, Reward):
            return NotImplemented
        return WeightedSum([(1, self), (1, other)])


class Leaf(Reward):
    """The mixin that makes a verifier a reward, with the operators that compare it with a bound: `WER() <= 0.05`."""

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        return (cast("Verifier", self),)

    def __call__(self, utilities: Mapping[str, FloatArray]) -> FloatArray:
        return utilities[str(self)]

    def __le__(self, bound: float) -> Condition:
        return Condition(cast("Verifier", self), "<=", bound)

    def __ge__(self, bound: float) -> Condition:
        return Condition(cast("Verifier", self), ">=", bound)

    def __lt__(self, bound: object) -> Condition:
        raise InputError(f"{self} < {bound}: a condition takes <= or >=, as in {self} <= {bound}")

    def __gt__(self, bound: object) -> Condition:
        raise InputError(f"{self} > {bound}: a condition takes <= or >=, as in {self} >= {bound}")


class WeightedSum(Reward):
    """The weighted mean of rewards. Weights count relative to their sum.

    A term of weight 0 is scored, and neither its value nor its failure changes the reward. A sum within a sum is
    multiplied out: `0.5 * (a + b) + c` is `0.5 * a + 0.5 * b + c`.

    Args:
        terms: (weight, reward) pairs; weights are finite and at least 0, and not all 0 once it is used.

    Raises:
        InputError: a weight cannot be used, or two different verifiers print the same.
    """

    def __init__(self, terms: Sequence[tuple[float, Reward]]) -> None:
        for weight, _ in terms:
            if not is_finite(weight):
                raise InputError(f"the weight {short_repr(weight)}: weights are finite numbers")
        self.terms = tuple(
            (float(weight * inner), term) for weight, outer in terms for inner, term in _terms(outer)
        )
        for weight, term in self.terms:
            if not 0 <= weight < math.inf:
                raise InputError(
                    f"weight {weight:g} of {term}: a weight is a finite number, 0 or more "
                    "(which direction is better belongs to the verifier's scale)"
                )
        if not math.isfinite(sum(weight for weight, _ in self.terms)):
            raise InputError(f"{self}: the sum of the weights is infinite; give smaller ones")
        self.pointwise = all(term.pointwise for _, term in self.terms)
        self._verifiers = distinct(leaf for _, term in self.terms for leaf in term.verifiers)

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        return self._verifiers

    @property
    def required(self) -> tuple[Verifier, ...]:
        return distinct(leaf for weight, term in self.terms if weight for leaf in term.required)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return tuple(condition for weight, term in self.terms if weight for condition in term.conditions)

    def __call__(self, utilities: Mapping[str, FloatArray]) -> FloatArray:
        weighted = [(weight, term) for weight, term in self.terms if weight]
        total = math.fsum(weight for weight, _ in weighted)
        mean: FloatArray = np.sum([weight / total * term(utilities) for weight, term in weighted], axis=0)
        return mean

    def __str__(self) -> str:
        # A single term keeps its weight, so that `1 * WER()` is read back as a sum.
        bare = len(self.terms) > 1
        return " + ".join(
            str(term) if weight == 1 and bare else f"{_number(weight)} * {term}"
            for weight, term in self.terms
        )


class Gated(Reward):
    """A reward, less 1 where a condition fails, so that candidates that fail rank below those that pass.

    Args:
        reward: ranks the candidates that pass, and separately those that fail.
        condition: the gate. A candidate on which its verifier failed has no reward.

    Raises:
        InputError: `condition` is not a condition, or all weights of `reward` are 0.
    """

    def __init__(self, reward: Reward, condition: Condition) -> None:
        if not isinstance(condition, Condition):
            raise InputError(f"given({condition!r:.80}): a gate is a condition, such as WER() <= 0.05")
        self.reward = counting(reward)
        self.condition = condition
        self.pointwise = reward.pointwise
        self._verifiers = distinct((*reward.verifiers, condition.verifier))

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        return self._verifiers

    @property
    def required(self) -> tuple[Verifier, ...]:
        return distinct((*self.reward.required, self.condition.verifier))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return (*self.reward.conditions, self.condition)

    def __call__(self, utilities: Mapping[str, FloatArray]) -> FloatArray:
        return self.reward(utilities) - (1 - utilities[str(self.condition)])

    def __str__(self) -> str:
        reward = f"({self.reward})" if isinstance(self.reward, WeightedSum) else str(self.reward)
        return f"{reward}.given({self.condition})"


@dataclass(frozen=True)
class Condition:
    """A bound on one verifier's value in its own unit, such as `WER() <= 0.05`.

    Attributes:
        verifier: whose value is tested.
        comparison: "<=" or ">=".
        bound: in the verifier's unit.
    """

    verifier: Verifier
    comparison: str
    bound: float

    def __post_init__(self) -> None:
        if self.comparison not in _COMPARISONS:
            raise InputError(f"condition {self}: compare with <= or >=")
        if not is_finite(self.bound):
            raise InputError(
                f"{self.verifier} {self.comparison} {short_repr(self.bound)}: the bound is not a finite number"
            )

    def holds(self, values: FloatArray) -> NDArray[np.bool_]:
        """Returns whether each of `values` [candidates] meets the bound; NaN does not."""
        result: NDArray[np.bool_] = _COMPARISONS[self.comparison](values, self.bound)
        return result

    def utility(self, values: FloatArray) -> FloatArray:
        """Returns 1 where it holds, 0 where it does not, NaN where the value is NaN; [candidates]."""
        return np.where(np.isnan(values), np.nan, self.holds(values))

    def __bool__(self) -> bool:
        raise InputError(
            f"({self}) has no truth value by itself: bound one side at a time, as in WER() <= 0.1"
        )

    def __str__(self) -> str:
        return f"{self.verifier} {self.comparison} {_number(self.bound)}"


_COMPARISONS = {"<=": operator.le, ">=": operator.ge}


def ranking(rewards: FloatArray) -> list[int]:
    """Returns positions from best to worst; ties keep their order, NaN comes last.

    >>> ranking(np.array([0.5, np.nan, 0.9, 0.5]))
    [2, 0, 3, 1]
    """
    return [int(i) for i in np.argsort(-rewards, kind="stable")]


def _terms(reward: Reward) -> tuple[tuple[float, Reward], ...]:
    return reward.terms if isinstance(reward, WeightedSum) else ((1.0, reward),)


def counting(reward: Reward) -> Reward:
    """Returns the reward after checking that a weight in it is above 0.

    Raises:
        InputError: all weights are 0.
    """
    if not reward.required:
        raise InputError(f"all weights of {reward} are 0: give at least one verifier a weight above 0")
    return reward


def distinct(leaves: Iterable[Verifier]) -> tuple[Verifier, ...]:
    """Returns verifiers without repetitions.

    Raises:
        InputError: two different ones print the same.
    """
    found: dict[str, Verifier] = {}
    for leaf in leaves:
        if found.setdefault(str(leaf), leaf) != leaf:
            raise InputError(
                f"two different verifiers are both called {leaf}: name one of them differently, as in "
                "Verifier.from_function(f, name='loud')"
            )
    return tuple(found.values())


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
