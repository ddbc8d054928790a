"""The cascade chooses what scoring everything would choose, with fewer calls of verifiers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llasa_search.budget import Budget, BudgetTracker
from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.errors import LlasaSearchError, ModelError
from llasa_search.reward.base import Reward, ranking
from llasa_search.reward.compose import Harmonic, Lexicographic
from llasa_search.scoring.scorer import Scorer, decoded
from llasa_search.verifiers import Verifier
from llasa_search.voice import Prompt

Make = Callable[[int], list[Candidate]]
Table = list[tuple[float, float, float]]


class Column(Verifier):
    """Returns the value in a column of a table, by the candidate's first code; NaN fails."""

    def __init__(self, column: int, table: Table) -> None:
        self.column, self.table = column, table

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(self.table[int(u.codes[0])][self.column]) for u in utterances if u.codes is not None]


class Expensive(Column):
    cost = 10.0


class MostExpensive(Column):
    cost = 100.0


def columns(table: Table) -> tuple[Verifier, Verifier, Verifier]:
    return Column(0, table), Expensive(1, table), MostExpensive(2, table)


def run(reward: Reward, made: list[Candidate], cascade: bool, budget: Budget | None = None) -> Scorer:
    scorer = Scorer(reward, Prompt("one", "en"), BudgetTracker(budget), decoded, 16_000, cascade=cascade)
    scorer.final(made)
    return scorer


def best(made: list[Candidate]) -> int:
    made = sorted(made, key=lambda candidate: candidate.index)
    return ranking(np.array([candidate.reward for candidate in made]))[0]


values = st.sampled_from([0.0, 0.2, 0.5, 0.5, 0.9, 1.0, math.nan])
REWARDS: list[Callable[[Table], Reward]] = [
    lambda t: 0.5 * columns(t)[0] + 0.3 * columns(t)[1] + 0.2 * columns(t)[2],
    lambda t: columns(t)[2].given(columns(t)[0] >= 0.5),
    lambda t: (columns(t)[0] + columns(t)[2]).given(columns(t)[1] >= 0.9),
    lambda t: Harmonic(*columns(t)),
    lambda t: columns(t)[1] + 0 * columns(t)[2],
    lambda t: Lexicographic(*columns(t)),
]


@pytest.mark.parametrize("make", REWARDS)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.tuples(values, values, values), min_size=1, max_size=20), shuffle=st.integers(0, 99))
def test_same_choice_as_scoring_everything(
    make: Callable[[Table], Reward], table: Table, shuffle: int, candidates: Make
) -> None:
    """The choice and its reward are the same with ties and failures, and in any order of finishing."""
    everything, cascaded = candidates(len(table)), candidates(len(table))
    random.Random(shuffle).shuffle(cascaded)
    run(make(table), everything, cascade=False)
    run(make(table), cascaded, cascade=True)
    by_index = sorted(cascaded, key=lambda candidate: candidate.index)
    assert best(by_index) == best(everything)
    np.testing.assert_equal(by_index[best(by_index)].reward, everything[best(everything)].reward)


@pytest.mark.parametrize("make", REWARDS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(st.tuples(values, values, values), min_size=1, max_size=20), wanted=st.integers(1, 5))
def test_same_best_candidates_as_scoring_everything(
    make: Callable[[Table], Reward], table: Table, wanted: int, candidates: Make
) -> None:
    """With `best=n`, the n best candidates and their rewards are the same."""
    everything, cascaded = candidates(len(table)), candidates(len(table))
    expected = run(make(table), everything, cascade=False).final(everything)
    scorer = Scorer(make(table), Prompt("one", "en"), BudgetTracker(), decoded, 16_000, cascade=True)
    found = scorer.final(cascaded, best=wanted)
    best = ranking(expected)[:wanted]
    known = [place for place in best if not math.isnan(expected[place])]
    assert ranking(found)[: len(known)] == known
    np.testing.assert_equal(found[known], expected[known])


def test_the_ledger_counts_skipped_utterances(candidates: Make) -> None:
    """The expensive verifier scores few candidates, and the ledger counts those that it skipped."""
    table = [(i / 16, 0.5, 0.5) for i in range(16)]
    cheap, _, most_expensive = columns(table)
    made = candidates(16)
    ledger = run(0.9 * cheap + 0.1 * most_expensive, made, cascade=True)._tracker.ledger
    assert best(made) == 15
    assert ledger.verifier_calls == {str(cheap): 16, str(most_expensive): 2}
    assert ledger.verifier_skipped == {str(most_expensive): 14}
    assert ledger.verifier_seconds_saved()[str(most_expensive)] > 0
    score = made[0].scores[str(most_expensive)]
    assert (score.status, score.detail) == ("skipped", "cannot become the best candidate")
    assert math.isnan(made[0].reward)


def test_verifiers_without_flops_are_ordered_by_their_declared_cost(candidates: Make) -> None:
    """If FLOPs are unknown, verifiers with a lower `cost` run first."""
    table = [(i / 16, i / 16, 0.5) for i in range(16)]
    cheap, expensive, most_expensive = columns(table)
    ledger = run(
        0.1 * most_expensive + 0.1 * expensive + 0.8 * cheap, candidates(16), cascade=True
    )._tracker.ledger
    calls = ledger.verifier_calls
    assert calls[str(cheap)] == 16 > calls[str(expensive)] >= calls[str(most_expensive)]


def test_verifiers_of_weight_0_score_every_candidate(candidates: Make) -> None:
    """A verifier of weight 0 skips no candidate."""
    table = [(i / 4, 0.5, 0.5) for i in range(4)]
    cheap, expensive, _ = columns(table)
    made = candidates(4)
    run(1 * cheap + 0 * expensive, made, cascade=True)
    assert all(candidate.scores[str(expensive)].status == "scored" for candidate in made)


def test_skipped_candidates_are_scored_by_another_reward(candidates: Make) -> None:
    """A skipped score is computed when another reward needs it."""
    table = [(i / 4, 1 - i / 4, 0.5) for i in range(4)]
    cheap, expensive, _ = columns(table)
    made = candidates(4)
    run(0.9 * cheap + 0.1 * expensive, made, cascade=True)
    assert made[0].scores[str(expensive)].status == "skipped"
    run(1 * expensive, made, cascade=False)
    assert best(made) == 0 and all(candidate.scores[str(expensive)].status == "scored" for candidate in made)


@pytest.mark.parametrize("stopped", [True, False])
def test_without_time_one_candidate_is_scored_by_all_verifiers(stopped: bool, candidates: Make) -> None:
    """When the time is spent, exactly one candidate still gets a reward."""
    table = [(0.5, 0.5, 0.5)] * 5
    cheap, expensive, most_expensive = columns(table)
    made = candidates(5)
    tracker = BudgetTracker(None if stopped else Budget(verifier_seconds=1e-9))
    tracker.ledger.verifier_seconds["earlier"] = 1.0
    scorer = Scorer(
        cheap + expensive + most_expensive, Prompt("one", "en"), tracker, decoded, 16_000, cascade=True
    )
    if stopped:
        scorer.stop()
    scorer.final(made)
    assert sum(not math.isnan(candidate.reward) for candidate in made) == 1
    left = [c.scores[str(most_expensive)] for c in made if math.isnan(c.reward)]
    assert {score.status for score in left} == {"skipped"}


class Odd(Verifier):
    """Has a utility with a fault."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(0.5)] * len(utterances)

    def utility(self, values: np.ndarray) -> np.ndarray:
        return {"shape": values[:1], "range": values + 2}[self.fault]


@pytest.mark.parametrize("fault", ["shape", "range", "raises"])
def test_a_wrong_utility_is_named(fault: str, candidates: Make) -> None:
    """A utility of a wrong shape or range, or that raises, gives a `ModelError` that names it."""
    with pytest.raises(ModelError, match="utility") as raised:
        run(1 * Odd(fault), candidates(3), cascade=True)
    assert isinstance(raised.value, LlasaSearchError)
