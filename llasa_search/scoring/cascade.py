"""The cascade: cheap verifiers score every candidate, expensive ones only those that can still be the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from llasa_search.candidate import Candidate
from llasa_search.reward.base import Reward, ranking
from llasa_search.scoring.rewards import rewards
from llasa_search.scoring.score_all import BATCH, unscored
from llasa_search.verifiers.base import Verifier

FIRST_BATCH = 2
"""The first batch is small, so that a lower bound of the best reward is known early. Batches double up to `BATCH`."""

TYPICAL_SECONDS = 3.0
"""Seconds of the utterance for which the costs of verifiers are compared."""

FLOPS_PER_SECOND = 3e10
"""FLOPs per second of one CPU core in the models of built-in verifiers; measured: 2e10 to 5e10."""


def score_contenders(
    reward: Reward,
    candidates: Sequence[Candidate],
    best: int,
    score: Callable[[Sequence[Candidate], Sequence[Verifier]], None],
    out_of_time: Callable[[], bool],
) -> list[Candidate]:
    """Scores, cheapest verifier first, until no other candidate can be among the best.

    The candidates with the highest bounds come first: a bound is the reward with every unknown utility at 1.
    When time runs out, one candidate is still scored in full if none has been.

    Args:
        reward: pointwise.
        candidates: scored by the cheapest verifier.
        best: how many of the best must be scored in full.
        score: scores a batch by the given verifiers.
        out_of_time: whether the budget's time is spent.

    Returns:
        The candidates that can still be the best and are not fully scored, because the time is spent.
    """
    required, size = by_cost(reward.required), FIRST_BATCH
    while contenders := _contenders(reward, candidates, best):
        if not out_of_time():
            cheapest = unscored(required, contenders[0])[0]
            batch = [each for each in contenders if unscored(required, each)[0] is cheapest]
            score(batch[:size], [cheapest])
            size = min(2 * size, BATCH)
        elif not any(is_scored(candidate, required) for candidate in candidates):
            score(contenders[:1], required)
            if unscored(required, contenders[0]):  # the wall limit has passed
                break
        else:
            break
    return contenders


def _contenders(reward: Reward, candidates: Sequence[Candidate], best: int) -> list[Candidate]:
    """Returns candidates that are not fully scored and may be among the best, from the highest bound down."""
    by_index = sorted(candidates, key=lambda candidate: candidate.index)
    bounds = rewards(reward, by_index, bound=True)
    contenders, known = list[Candidate](), 0
    for i in ranking(bounds):
        # A bound that ranks below `best` fully scored candidates cannot exceed their rewards, and ties go to them.
        if math.isnan(bounds[i]) or known == best:
            break
        if unscored(reward.required, by_index[i]):
            contenders.append(by_index[i])
        else:
            known += 1
    return contenders


def by_cost(verifiers: Sequence[Verifier]) -> list[Verifier]:
    """Returns the verifiers from the cheapest to the most expensive per utterance."""
    return sorted(verifiers, key=_cost_seconds)


def _cost_seconds(verifier: Verifier) -> float:
    """Returns the seconds of a CPU core for one utterance, by its FLOPs or else by its declared `cost`."""
    flops = flops_of(verifier, TYPICAL_SECONDS)
    return TYPICAL_SECONDS * verifier.cost if math.isnan(flops) else flops / FLOPS_PER_SECOND


def flops_of(verifier: Verifier, seconds: float) -> float:
    """Returns the FLOPs to score one utterance of `seconds`; NaN if they are unknown."""
    try:
        return float(verifier.flops(seconds))
    except Exception:  # a verifier that cannot count its FLOPs still scores
        return math.nan


def is_scored(candidate: Candidate, verifiers: Sequence[Verifier]) -> bool:
    """Returns whether every verifier gave the candidate a value."""
    scores = [candidate.scores.get(str(verifier)) for verifier in verifiers]
    return all(score is not None and score.status == "scored" for score in scores)
