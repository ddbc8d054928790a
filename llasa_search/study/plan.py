"""The plan of a study: arms, rows, and checks before the first search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TypedDict

from llasa_search.budget import Budget
from llasa_search.errors import InputError
from llasa_search.sampling import Sampling
from llasa_search.scoring.gate import gated
from llasa_search.scoring.score_record import ScoreRecord
from llasa_search.strategies import BestOfN
from llasa_search.strategies.base import as_strategy, verifiers_of
from llasa_search.study.cases import Case
from llasa_search.verifiers.base import Verifier
from llasa_search.verifiers.specification import DEFAULT_REWARD, as_reward
from llasa_search.voice import Prompt


@dataclass(frozen=True)
class Arm:
    """One way to search, run on every case once per seed.

    Attributes:
        name: printed in tables and figures; unique in a study.
        strategy: as in `search.generate`, by name and arguments.
        verifiers: the reward's expression.
        budget: limits of each search.
        sampling: of each search.
        seeds: one search is run for each.
        pool: whether every candidate is judged and not only the chosen one, so that `curves.best_of` can
            compute smaller searches. Every verifier then scores every candidate, including verifiers of
            weight 0 and candidates that a search would skip; the cost includes this.

    Raises:
        InputError: the strategy or reward cannot be read, seeds are missing or repeated, or a pool is not
            made by best-of-N of fixed size.
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
                f"arm {self.name!r}: the candidates of {self.strategy!r} depend on one another's scores, but those "
                "of a pool must be independent: give best_of_n:n=16 or similar, without stop_at"
            )

    def all_verifiers(self) -> tuple[Verifier, ...]:
        """Returns the verifiers of the reward (with its gate), then those of the strategy."""
        return (*gated(as_reward(self.verifiers)).verifiers, *verifiers_of(as_strategy(self.strategy)))


class Row(TypedDict):
    """One judged candidate, with the costs of its whole search.

    `tokens` are those of the candidate, including END. `row_steps`, `prefill_tokens`, `flops` (by stage),
    `seconds` (by stage) and `finished` are those of the search. Only `seconds` differ between repetitions.
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


def usable_cases(cases: Sequence[Case], arms: Sequence[Arm]) -> list[Case]:
    """Returns the cases that every verifier of every arm can score.

    A verifier that compares with a voice prompt cannot score a case without one.

    Raises:
        InputError: no case is left.
    """
    verifiers = {str(each): each for arm in arms for each in arm.all_verifiers()}.values()
    refused = {case.id: why for case, each in product(cases, verifiers) if (why := refusal(each, case))}
    if cases and len(refused) == len(cases):
        raise InputError(f"no text can be used: {next(iter(refused.values()))}")
    return [case for case in cases if case.id not in refused]


def refuse(cases: Sequence[Case], arms: Sequence[Arm], judges: Sequence[tuple[str, Verifier]]) -> None:
    """Refuses a plan that cannot be run, as far as that can be checked without a model.

    Raises:
        InputError: there are no cases, two cases or arms share a name, a verifier of an arm cannot score a
            case, or a judge cannot score any case.
    """
    for kind, names in (("cases", [c.id for c in cases]), ("arms", [a.name for a in arms])):
        if len(set(names)) < len(names):
            raise InputError(f"two {kind} share a name: {sorted(names)}")
    if not cases:
        raise InputError("there are no texts: give at least one")
    for name, judge in judges:
        refusals = [refusal(judge, case) for case in cases]
        if all(refusals):
            raise InputError(f"the judge {name!r} cannot score any of the cases: {refusals[0]}")
    for arm in arms:
        for case, verifier in product(cases, arm.all_verifiers()):
            if (why := refusal(verifier, case)) is not None:
                raise InputError(f"case {case.id}, arm {arm.name!r}: {why}")


def refusal(verifier: Verifier, case: Case) -> str | None:
    """Returns why a verifier cannot score a case, as far as that can be checked without its model; None if it can."""
    try:
        Verifier.check(verifier, Prompt(case.text, case.language, case.voice))
    except InputError as error:
        return str(error)
    return None
