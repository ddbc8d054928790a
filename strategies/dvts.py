"""Diverse verifier tree search: independent trees, so that the rows do not all descend from one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llasa_search.candidate import Candidate
from llasa_search.errors import InputError
from llasa_search.reward.base import ranking
from llasa_search.strategies.base import check_counts
from llasa_search.strategies.guided import Guided

if TYPE_CHECKING:
    from llasa_search.generation.sampler import Sampler
    from llasa_search.scoring.scorer import Scorer


@dataclass(frozen=True)
class DVTS(Guided):
    """Searches `width / expand` trees; each keeps its best row at every step and continues it `expand` times.

    After Hugging Face's search-and-learn ("Scaling test-time compute", 2024). A finished row leaves its tree.

    Args:
        width: rows of all trees together; a multiple of `expand`.
        expand: rows of a tree.
    """

    width: int = 16
    expand: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "width", "expand")
        if self.width % self.expand:
            raise InputError(
                f"DVTS: width={self.width} rows are not a whole number of trees of {self.expand}"
            )

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        reward = self.compared_by(scorer)
        rows = sampler.start(self.width)
        tree = {name: name // self.expand for name in rows.index.tolist()}
        while len(rows):
            rows, finished = sampler.extend(rows, self.step_tokens)
            yield from finished
            rewards = scorer.partial(rows, reward)
            if np.isnan(rewards).any():
                continue
            trees = [tree[name] for name in rows.index.tolist()]
            best: dict[int, int] = {}
            for row in ranking(rewards):
                best.setdefault(trees[row], row)
            rows = sampler.select(rows, [best[each] for each in trees], why="not the best of its tree")
            tree = dict(zip(rows.index.tolist(), trees, strict=True))
