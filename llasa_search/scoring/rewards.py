"""From scores to rewards."""

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
    """Rewards [candidates] from the scores that the candidates already have; NaN where one is missing.

    Verifiers that abstain on every candidate are left out: a text so short that none of its speech is long
    enough for one is still chosen by the others.

    Args:
        reward: what to compute.
        candidates: with their scores.
        bound: take utilities at 1, and conditions as met, where a verifier has not judged a candidate.

    Raises:
        ModelError: a verifier's own `utility` failed, or gave no utilities.
    """
    mute = {str(verifier) for verifier in abstaining(reward, candidates)}
    heard = part_of(reward, lambda verifier: str(verifier) not in mute) if mute else reward
    return combined(heard or reward, scores_of(candidates), bound)


def abstaining(reward: Reward, candidates: Sequence[Candidate]) -> list[Verifier]:
    """The verifiers, of those that `reward` needs, which abstain on every candidate."""
    unscored = Score(math.nan, status="skipped")
    return [
        verifier
        for verifier in reward.required
        if candidates
        and all(each.scores.get(str(verifier), unscored).status == "abstained" for each in candidates)
    ]


def combined(reward: Reward, scores: Sequence[Mapping[str, Score]], bound: bool = False) -> FloatArray:
    """Rewards [candidates] by scores under the verifiers' printed names; see `rewards`."""
    sources: list[tuple[Verifier | Condition, Verifier]] = [(v, v) for v in reward.verifiers]
    sources += [(condition, condition.verifier) for condition in reward.conditions]
    utilities = {}
    for source, verifier in sources:
        known = _utility(source, values(verifier, scores))
        missing = [bound and not has_score(verifier, found) for found in scores]
        utilities[str(source)] = np.where(missing, 1.0, known)
    # Sums that are equal but for rounding must tie.
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
    return [candidate.scores for candidate in candidates]


def has_score(verifier: Verifier, scores: Mapping[str, Score]) -> bool:
    return str(verifier) in scores and scores[str(verifier)].status != "skipped"


def values(verifier: Verifier, scores: Sequence[Mapping[str, Score]]) -> FloatArray:
    name, missing = str(verifier), Score(math.nan, status="skipped")
    return np.array([found.get(name, missing).value for found in scores], np.float64)
