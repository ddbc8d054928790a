"""Scores finished speech for `generate`, `select`, `rerank`, `score` and the study's judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.scoring.isolation import safe_scores
from llasa_search.scoring.rewards import has_score
from llasa_search.verifiers.base import Verifier

BATCH = 16

ScoreBatch: TypeAlias = Callable[[Verifier, Sequence[Utterance]], Sequence[Score]]


def score_all(
    verifiers: Sequence[Verifier],
    candidates: Sequence[Candidate],
    utterances: Callable[[Sequence[Candidate]], Sequence[Utterance]],
    score_batch: ScoreBatch = safe_scores,
) -> None:
    """Scores candidates by every verifier that has not scored them yet, in batches of 16.

    Scores are stored in `Candidate.scores` by the verifier's printed expression. An utterance that a verifier
    cannot score fails alone; see `safe_scores`.

    Args:
        verifiers: loaded, in the order in which they run.
        candidates: finished.
        utterances: returns one utterance for each candidate of a batch.
        score_batch: scores a batch by one verifier.
    """
    for start in range(0, len(candidates), BATCH):
        batch = candidates[start : start + BATCH]
        for verifier in verifiers:
            waiting = [each for each in batch if not has_score(verifier, each.scores)]
            if not waiting:
                continue
            scores = score_batch(verifier, utterances(waiting))
            for candidate, score in zip(waiting, scores, strict=True):
                candidate.scores[str(verifier)] = score


def unscored(verifiers: Sequence[Verifier], candidate: Candidate) -> list[Verifier]:
    """Returns those of `verifiers` that have not scored the candidate: they have not run, or were skipped."""
    return [verifier for verifier in verifiers if not has_score(verifier, candidate.scores)]
