"""Best-of-N: sample whole utterances independently, keep the best."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llasa_search.candidate import Candidate
from llasa_search.errors import InputError
from llasa_search.expression import parse_condition
from llasa_search.reward import Condition

if TYPE_CHECKING:
    from llasa_search.sampler import Sampler
    from llasa_search.scorer import Scorer

DEFAULT_N = 4
FIRST_ROUND = 2
STEP = 25


@dataclass(frozen=True)
class BestOfN:
    """Samples `n` candidates in one batch; the outcome-reward search of the Llasa paper (arXiv 2502.04128).

    Args:
        n: how many; None takes the budget's candidates, or all that its tokens buy, or else 4.
        stop_at: a condition such as `WER() <= 0` or "wer <= 0". Candidates are then sampled in rounds that
            double the number (2, 4, 8, ...), until one of them meets it.

    Raises:
        InputError: `n` below 1, or `stop_at` is no condition.
    """

    n: int | None = None
    stop_at: Condition | str | None = None

    def __post_init__(self) -> None:
        if self.n is not None and (type(self.n) is not int or self.n < 1):
            raise InputError(f"best_of_n: n={self.n!r}: sample a whole number of candidates, 1 or more")
        if isinstance(self.stop_at, str):
            object.__setattr__(self, "stop_at", parse_condition(self.stop_at))
        if not isinstance(self.stop_at, Condition | None):
            raise InputError(f"best_of_n: stop_at={self.stop_at!r}: give a condition such as 'wer <= 0'")

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        budget = sampler.account.budget
        n = self.n or budget.candidates or (sys.maxsize if budget.tokens else DEFAULT_N)
        started = 0
        while started < n:
            size = n - started if self.stop_at is None else min(max(started, FIRST_ROUND), n - started)
            size = min(size, sampler.affordable())
            if size < 1:
                # Not one more would surely finish: let the account name the limit.
                sampler.account.reached(rows=sampler.maximum)
                return
            finished = []
            for candidate in sample(sampler, size, first=started):
                finished.append(candidate)
                yield candidate
            if isinstance(self.stop_at, Condition) and scorer.holds(self.stop_at, finished).any():
                return
            started += size


def sample(sampler: Sampler, n: int, first: int = 0) -> Iterator[Candidate]:
    """Candidates `first` .. `first + n - 1`, decoded together to their ends, each yielded as it finishes."""
    rows = sampler.start(n, first)
    while len(rows):
        rows, finished = sampler.extend(rows, STEP)
        yield from finished
