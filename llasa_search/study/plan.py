"""What a study runs: arms, the ways to search that are compared; and the rows that come of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypedDict

from llasa_search.budget import Budget
from llasa_search.errors import InputError
from llasa_search.sampling import Sampling
from llasa_search.scoring.gate import gated
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.strategies import BestOfN
from llasa_search.strategies.base import as_strategy, verifiers_of
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.specification import DEFAULT_REWARD, as_reward


@dataclass(frozen=True)
class Arm:
    """One way to search, run on every case once a seed.

    Attributes:
        name: in tables and figures; no two arms of a study have the same.
        strategy: as in `search.generate`, by name and arguments.
        verifiers: the reward's expression.
        budget: limits of each search.
        sampling: of each search.
        seeds: each is a search of its own.
        pool: judge every candidate, each scored by every verifier, and not only the chosen one: a pool out of
            which `curves.best_of` draws smaller searches. It pays for all verifiers on all candidates, also
            for those of weight 0, and for what a search of its own would have skipped.

    Raises:
        InputError: strategy or reward cannot be read, seeds are none or not different, or a pool is made by
            anything but a best-of-n of fixed size.
    """

    name: str
    strategy: str = "best_of_n"
    verifiers: str = DEFAULT_REWARD
    budget: Budget = field(default_factory=Budget)
    sampling: Sampling = field(default_factory=Sampling)
    seeds: tuple[int, ...] = (0,)
    pool: bool = False

    def __post_init__(self) -> None:
        strategy, _ = as_strategy(self.strategy), as_reward(self.verifiers)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise InputError(f"arm {self.name!r}: seeds={self.seeds}: give at least one, and each once")
        if self.pool and not (isinstance(strategy, BestOfN) and strategy.stop_at is None):
            raise InputError(
                f"arm {self.name!r}: what {self.strategy!r} finishes depends on what else it has heard; a "
                "pool is of independent candidates, best_of_n:n=16 and the like without stop_at"
            )

    def all_verifiers(self) -> tuple[Verifier, ...]:
        """All that listen during a search: for the reward, and for the strategy on its way."""
        return (*gated(as_reward(self.verifiers)).verifiers, *verifiers_of(as_strategy(self.strategy)))


class Row(TypedDict):
    """One candidate, judged; also what its whole search has spent.

    `tokens` are the candidate's own, END included; `row_steps`, `prefill_tokens`, `flops` (by stage),
    `seconds` (by stage; nothing else in a row depends on the clock) and `finished` are those of the search.
    """

    case: str
    kind: str
    arm: str
    seed: int
    index: int
    chosen: bool
    reward: float | None
    finish: str
    tokens: int
    mean_logprob: float | None
    scores: dict[str, ScoreRecord]
    judges: dict[str, ScoreRecord]
    finished: int
    row_steps: int
    prefill_tokens: int
    flops: dict[str, float | None]
    seconds: dict[str, float]


@cache
def fingerprint(*models: str) -> str:
    """Changes with the content of checkpoints, files and folders (but notes); a hub id is itself."""
    content = hashlib.blake2b(digest_size=8)
    for model in models:
        path = Path(model)
        inside = (each for each in path.rglob("*") if each.is_file() and each.suffix != ".md")
        files = sorted(inside) if path.is_dir() else [path]
        for file in files:
            content.update(file.read_bytes() if file.is_file() else model.encode())
    return content.hexdigest()
