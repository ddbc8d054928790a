"""Strategies by name, and best-of-N: the number of its candidates, and when it stops."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from llasa_search.budget import Budget
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.llasa.model import Llasa
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies import BestOfN, as_strategy
from llasa_search.verifiers import WER, Verifier

TEXT = "the captain found a coin"
SHORT = Sampling(min_seconds=0.1, max_seconds=0.4)


class Index(Verifier):
    """Returns the number of candidates that it scored before."""

    scale = (0.0, 100.0)

    def __init__(self) -> None:
        self._scored = 0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self._scored += len(utterances)
        return [Score(float(self._scored - len(utterances) + i)) for i in range(len(utterances))]


def run(llasa: Llasa, strategy: BestOfN, budget: Budget | None = None) -> tuple[int, str | None]:
    result = Searcher(llasa, Index(), strategy, gate=None).generate(TEXT, sampling=SHORT, budget=budget)
    return len(result.candidates), result.stopped_by


def test_names_with_arguments() -> None:
    assert as_strategy("best_of_n") == BestOfN()
    assert as_strategy("best_of_n:n=8") == BestOfN(n=8)
    assert as_strategy("BestOfN: n = 8, stop_at = wer <= 0.1") == BestOfN(n=8, stop_at=WER() <= 0.1)
    assert as_strategy(BestOfN(n=2)) == BestOfN(n=2)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("best_of_m", "did you mean 'best_of_n'"),
        ("best_of_n:width=3", "width"),
        ("best_of_n:8", "name=value"),
        ("best_of_n:n=0", "1 or more"),
        ("best_of_n:n=-1", "1 or more"),
        ("best_of_n:n=two", "whole number"),
        ("best_of_n:n=True", "whole number"),
        ("best_of_n:stop_at=wer", "condition"),
        ("best_of_n:stop_at=3", "condition"),
        (BestOfN, r"BestOfN\(\)"),
        (7, "run"),
    ],
)
def test_bad_strategies_are_refused(spec: object, says: str) -> None:
    """An unknown name, and a wrong argument or value, are refused."""
    with pytest.raises(InputError, match=says):
        as_strategy(spec)  # type: ignore[arg-type]


def test_n_defaults_to_the_budget_and_then_to_4(llasa: Llasa) -> None:
    assert run(llasa, BestOfN()) == (4, None)
    assert run(llasa, BestOfN(n=3)) == (3, None)
    assert run(llasa, BestOfN(), Budget(candidates=6)) == (6, "candidates")
    assert run(llasa, BestOfN(n=9), Budget(candidates=2)) == (2, "candidates")


def test_a_limit_of_seconds_that_is_never_reached_changes_nothing(llasa: Llasa) -> None:
    """The candidates are those of a search without a limit."""
    limited, whole = (
        Searcher(llasa, Index(), BestOfN(n=20), gate=None).generate(TEXT, sampling=SHORT, budget=budget)
        for budget in (Budget(seconds=600), None)
    )
    assert limited.stopped_by is None
    for one, other in zip(limited.candidates, whole.candidates, strict=True):
        assert one.codes.tolist() == other.codes.tolist()


def test_a_budget_of_tokens_starts_as_many_candidates_as_can_finish(llasa: Llasa) -> None:
    """At least as many candidates finish as the tokens allow at the maximum length."""
    budget = Budget(tokens=100)
    result = Searcher(llasa, Index(), BestOfN(), gate=None).generate(TEXT, sampling=SHORT, budget=budget)
    assert result.ledger.row_steps <= 100 and result.stopped_by == "tokens"
    assert len(result.candidates) >= 5


def test_stop_at_doubles_the_candidates_until_one_meets_the_condition(llasa: Llasa) -> None:
    """Sampling stops after the round in which a candidate meets the condition, or at the limit."""
    assert run(llasa, BestOfN(n=16, stop_at=Index() >= 0))[0] == 2
    assert run(llasa, BestOfN(n=16, stop_at=Index() >= 5))[0] == 8
    assert run(llasa, BestOfN(n=5, stop_at=Index() >= 50))[0] == 5
    assert run(llasa, BestOfN(stop_at=Index() >= 20))[0] == 32
    assert run(llasa, BestOfN(stop_at=Index() >= 1000))[0] == 64
