"""The contract tests for strategies: all built-in ones pass, and each planted fault fails the test that covers it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from llasa_search.candidate import Candidate
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.scoring.scorer import Scorer
from llasa_search.strategies import (
    DVTS,
    Beam,
    BestOfN,
    InContextSteps,
    Particle,
    SpeculativeRejection,
    Strategy,
)
from llasa_search.strategies.testing import MeanCode, StrategyContract

BUILT_IN = [
    Beam(3, 2, step_tokens=5),
    Beam(2, 2, prefix_seconds=0.2, completions=3, step_tokens=5),
    Beam(2, 2, lookahead=4, max_children=1, step_tokens=5),
    DVTS(6, 3, step_tokens=5),
    Particle(6, temperature=0.01, step_tokens=5),
    SpeculativeRejection(6, alpha=0.4, step_tokens=5),
    SpeculativeRejection(6, alpha=0.4, step_tokens=5, prefix_verifiers="lm_likelihood"),
    BestOfN(6),
    BestOfN(6, stop_at=MeanCode() >= 60),
    InContextSteps(6),
]


class TestBuiltIn(StrategyContract):
    """The contract, for each built-in strategy."""

    @pytest.fixture(autouse=True, params=BUILT_IN, ids=lambda strategy: type(strategy).__name__)
    def _of_each_strategy(self, request: pytest.FixtureRequest, llasa: Llasa) -> None:
        self.strategy, self.llasa = request.param, llasa

    def make(self) -> Strategy:
        strategy: Strategy = self.strategy
        return strategy

    def model(self) -> Llasa:
        return self.llasa


@dataclass
class Cutting:
    """Cuts the worst of six rows after 10 tokens, with a fault planted on request."""

    fault: str = ""
    calls: int = field(default=0, repr=False)

    def run(self, sampler: Sampler, scorer: Scorer) -> Iterator[Candidate]:
        self.calls += 1
        n = {"random": random.SystemRandom().randint(3, 60), "state": 2 + self.calls}.get(self.fault, 6)
        rows, finished = sampler.extend(sampler.start(n), 10)
        yield from finished
        if not len(rows) and self.fault != "assumes live rows":
            return
        rewards = self._rewards(sampler, scorer, rows)
        if not np.isnan(rewards).any() or self.fault == "cuts on NaN":
            worst = int(rewards.argmin())
            rows = sampler.select(rows, [row for row in range(len(rows)) if row != worst])
        finished = sampler.extend(rows)[1]
        yield from finished[self.fault == "loses a candidate" :]
        if self.fault == "yields twice":
            yield from finished

    def _rewards(self, sampler: Sampler, scorer: Scorer, rows: Any) -> Any:
        try:
            rewards = scorer.partial(rows)
        except KeyboardInterrupt:
            if self.fault != "catches Ctrl-C":
                raise
            rewards = scorer.partial(rows)
        if self.fault == "refuses infinite rewards" and np.isinf(rewards).any():
            raise ValueError("the rewards are not finite")
        return rewards


def failing(fault: str, llasa: Llasa) -> set[str]:
    """Returns the names of the contract tests that a strategy with this fault fails."""

    class Contract(StrategyContract):
        def make(self) -> Strategy:
            return Cutting(fault)

        def model(self) -> Llasa:
            return llasa

    failed = set()
    for name, test in vars(StrategyContract).items():
        if name.startswith("test_"):
            marks = {mark.name: mark for mark in vars(test).get("pytestmark", ())}
            values = [(each,) for each in marks["parametrize"].args[1]] if marks else [()]
            try:
                for arguments in values:
                    test(Contract(), *arguments)
            except (Exception, KeyboardInterrupt, pytest.fail.Exception):
                failed.add(name)
    return failed


def test_a_correct_strategy_passes(llasa: Llasa) -> None:
    assert failing("", llasa) == set()


@pytest.mark.parametrize(
    ("fault", "test"),
    [
        ("random", "test_the_same_seed_gives_the_same_result"),
        ("state", "test_the_same_seed_gives_the_same_result"),
        ("assumes live rows", "test_the_smallest_budget_buys_a_candidate"),
        ("loses a candidate", "test_every_finished_row_is_yielded"),
        ("yields twice", "test_every_finished_row_is_yielded"),
        ("cuts on NaN", "test_no_row_is_cut_while_its_reward_is_unknown"),
        (
            "refuses infinite rewards",
            "test_a_verifier_that_fails_on_unfinished_speech_does_not_end_the_search",
        ),
        ("catches Ctrl-C", "test_ctrl_c_in_a_verifier_returns_the_best_so_far"),
    ],
)
def test_each_fault_is_found(fault: str, test: str, llasa: Llasa) -> None:
    """Every contract test can fail."""
    assert test in failing(fault, llasa)
