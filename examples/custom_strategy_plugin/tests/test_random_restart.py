import pytest
from random_restart import RandomRestart

from llasa_search import Budget, search


@pytest.mark.parametrize("budget", [Budget(), Budget(tokens=200), Budget(candidates=2)], ids=str)
def test_it_keeps_to_its_budget_and_says_why_it_cut(budget):
    result = search.generate(
        "A coin.",
        verifiers="lm_likelihood",
        gate=None,
        strategy=RandomRestart(n=6, seconds=0.3),
        budget=budget,
    )
    assert 1 <= len(result.candidates) <= (budget.candidates or 6)
    assert result.ledger.row_steps <= (budget.tokens or 10_000)
    cut = [node.why for node in result.trace.nodes.values() if node.end == "cut"]
    assert len(cut) + len(result.candidates) == len(result.trace.nodes)
    assert set(cut) <= {"began worse than most", f"stopped by {result.stopped_by}"}


def test_the_same_seed_speaks_the_same():
    first, again = (
        search.generate(
            "A coin.", verifiers="lm_likelihood", strategy=RandomRestart(n=3, seconds=0.3), seed=1
        )
        for _ in range(2)
    )
    assert [c.codes.tolist() for c in first.candidates] == [c.codes.tolist() for c in again.candidates]
