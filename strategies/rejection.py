"""Speculative rejection: best-of-N that prunes the worst rows early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llasa_search.candidate import Candidate
from llasa_search.reward.base import ranking
from llasa_search.strategies.base import check_counts, check_number
from llasa_search.strategies.guided import Guided

if TYPE_CHECKING:
    from llasa_search.generation.sampler import Sampler
    from llasa_search.scoring.scorer import Scorer


@dataclass(frozen=True)
class SpeculativeRejection(Guided):
    """Starts `n` rows and prunes the worst share `alpha` of the live rows at every step.

    After Sun et al. 2024 (arXiv 2410.20290), who prune when memory is full. The rows that finish are the candidates
    of the same index in best-of-N. The number to prune is rounded down, so about 1 / alpha rows finish.

    Args:
        n: rows at the start.
        alpha: share to prune, in [0, 1). The default is our choice.
    """

    n: int = 16
    alpha: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "n")
        check_number(self, "alpha", "a share, 0 or more, below 1", lambda value: 0 <= value < 1)

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        reward = self.compared_by(scorer)
        rows = sampler.start(self.n)
        while len(rows):
            rows, finished = sampler.extend(rows, self.step_tokens)
            yield from finished
            rewards = scorer.partial(rows, reward)
            cut = int(self.alpha * len(rows))
            if cut and not np.isnan(rewards).any():
                survivors = sorted(ranking(rewards)[:-cut])
                rows = sampler.select(rows, survivors, why=f"among the worst {cut}")
