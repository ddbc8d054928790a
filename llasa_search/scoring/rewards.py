"""Computes rewards from scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Candidate, Score
from llasa_search.errors import ModelError, format_error
from llasa_search.reward.base import Condition, Reward
from llasa_search.reward.compose import part_of
from llasa_search.verifiers.base import Verifier


def rewards(reward: Reward, candidates: Sequence[Candidate], bound: bool = False) -> FloatArray:
    """Returns rewards [candidates] from the scores that the candidates have; NaN where one is missing.

    Verifiers that abstain on every candidate are left out, so that the others still choose when all speech
    is too short for one.

    Args:
        reward: what to compute.
        candidates: with their scores.
        bound: where a verifier has not scored a candidate, take its utility as 1 and its conditions as met.

    Raises:
        ModelError: a verifier's own `utility` failed, or gave no utilities.
    """
    abstained = {str(verifier) for verifier in abstaining(reward, candidates)}
    rest = part_of(reward, lambda verifier: str(verifier) not in abstained) if abstained else reward
    return combined(rest or reward, scores_of(candidates), bound)


def abstaining(reward: Reward, candidates: Sequence[Candidate]) -> list[Verifier]:
    """Returns the required verifiers that abstain on every candidate."""
    missing = Score(math.nan, status="skipped")
    return [
        verifier
        for verifier in reward.required
        if candidates
        and all(each.scores.get(str(verifier), missing).status == "abstained" for each in candidates)
    ]


def combined(reward: Reward, scores: Sequence[Mapping[str, Score]], bound: bool = False) -> FloatArray:
    """Returns rewards [candidates] from scores by printed verifier; see `rewards`."""
    sources: list[tuple[Verifier | Condition, Verifier]] = [(v, v) for v in reward.verifiers]
    sources += [(condition, condition.verifier) for condition in reward.conditions]
    utilities = {}
    for source, verifier in sources:
        known = _utility(source, values(verifier, scores))
        missing = [bound and not has_score(verifier, found) for found in scores]
        utilities[str(source)] = np.where(missing, 1.0, known)
    # Sums that differ only by rounding must tie.
    return reward(utilities).round(9)


def _utility(source: Verifier | Condition, values: FloatArray) -> FloatArray:
    try:
        utilities = np.asarray(source.utility(values), np.float64)
    except Exception as error:
        raise ModelError(f"{source}: its utility failed: {format_error(error)}") from error
    known = utilities[~np.isnan(utilities)]
    if utilities.shape != values.shape or (known < 0).any() or (known > 1).any():
        raise ModelError(f"{source}: its utility must give one number in [0, 1] for each value")
    return utilities


def scores_of(candidates: Sequence[Candidate]) -> list[dict[str, Score]]:
    """Returns the scores of each candidate, by printed verifier."""
    return [candidate.scores for candidate in candidates]


def has_score(verifier: Verifier, scores: Mapping[str, Score]) -> bool:
    """Returns whether the verifier has run; a skipped score can still be computed."""
    return str(verifier) in scores and scores[str(verifier)].status != "skipped"


def values(verifier: Verifier, scores: Sequence[Mapping[str, Score]]) -> FloatArray:
    """Returns the verifier's values [candidates]; NaN for candidates without a value."""
    name, missing = str(verifier), Score(math.nan, status="skipped")
    return np.array([found.get(name, missing).value for found in scores], np.float64)
