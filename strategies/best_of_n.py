"""Best-of-N: sample whole utterances independently, keep the best."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llasa_search.candidate import Candidate
from llasa_search.errors import InputError
from llasa_search.reward.base import Condition
from llasa_search.strategies.base import check_counts, complete
from llasa_search.verifiers.specification import parse_condition

if TYPE_CHECKING:
    from llasa_search.generation.sampler import Sampler
    from llasa_search.scoring.scorer import Scorer
    from llasa_search.verifiers.base import Verifier

DEFAULT_N = 4
MOST_BY_CONDITION = 64
"""Maximum number of candidates of a search with `stop_at`. Our choice."""
FIRST_ROUND = 2
ROUND_BY_CLOCK = 16
"""Candidates of the first round under a limit in seconds, which measures the cost of one."""


@dataclass(frozen=True)
class BestOfN:
    """Samples `n` candidates in one batch; the outcome-reward search of the Llasa paper (arXiv 2502.04128).

    Under a limit of wall seconds, 16 are sampled first, and then as many as there is time for.

    Args:
        n: number of candidates; None takes the budget's candidates, or all that its tokens allow, or else 4,
            or with `stop_at` at most 64.
        stop_at: a condition such as `WER() <= 0` or "wer <= 0". Candidates are then sampled in rounds that
            double the number (2, 4, 8, ...), until one of them meets it.

    Raises:
        InputError: `n` is below 1, or `stop_at` is not a condition.
    """

    n: int | None = None
    stop_at: Condition | str | None = None

    def __post_init__(self) -> None:
        check_counts(self, "n")
        if isinstance(self.stop_at, str):
            object.__setattr__(self, "stop_at", parse_condition(self.stop_at))
        if not isinstance(self.stop_at, Condition | None):
            raise InputError(f"BestOfN: stop_at={self.stop_at!r}: give a condition such as 'wer <= 0'")

    @property
    def verifiers(self) -> tuple[Verifier, ...]:
        """Verifiers that the search loads in addition to those of its reward."""
        return (self.stop_at.verifier,) if isinstance(self.stop_at, Condition) else ()

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        budget = sampler.budget
        default = DEFAULT_N if self.stop_at is None else MOST_BY_CONDITION
        n = self.n or budget.candidates or (sys.maxsize if budget.tokens else default)
        started = 0
        while started < n:
            size = min(n - started, sampler.affordable())
            if self.stop_at is not None:
                size = min(size, max(started, FIRST_ROUND))
            elif budget.seconds and not started:
                size = min(size, ROUND_BY_CLOCK)
            if size < 1:
                return
            finished = []
            for candidate in complete(sampler, sampler.start(size)):
                finished.append(candidate)
                yield candidate
            if isinstance(self.stop_at, Condition) and scorer.holds(self.stop_at, finished).any():
                return
            started += size
