"""Budgets: limits, the reserve for finishing one candidate, and how many candidates are affordable."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.budget import Budget, BudgetTracker, Ledger
from llasa_search.errors import InputError

LIMITS = ["candidates", "tokens", "codec_seconds", "verifier_seconds", "seconds"]


def spend(tracker: BudgetTracker, limit: str, amount: float) -> None:
    """Spends `amount` of what `limit` counts; wall seconds by setting the clock back."""
    if limit == "candidates":
        tracker.ledger.finished += int(amount)
    elif limit == "tokens":
        tracker.ledger.row_steps += int(amount)
    elif limit == "codec_seconds":
        tracker.ledger.stage_seconds["codec"] = tracker.codec_seconds + amount
    elif limit == "verifier_seconds":
        tracker.ledger.verifier_seconds["wer"] = tracker.verifier_seconds + amount
    else:
        tracker._start -= amount


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_limit_that_is_not_above_0_is_refused(limit: str, value: float) -> None:
    """A limit of 0, below 0 or NaN raises an error that names it."""
    with pytest.raises(InputError, match=limit):
        Budget(**{limit: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_ends_the_search_and_is_named(limit: str) -> None:
    """A search ends when any one limit is reached, and `stopped_by` names it."""
    tracker = BudgetTracker(Budget(**{limit: 100}))
    tracker.ledger.finished += 1
    spend(tracker, limit, 90)
    assert tracker.reached() is None
    assert tracker.stopped_by is None
    spend(tracker, limit, 11)
    assert tracker.reached() == limit
    assert tracker.stopped_by == limit


def test_stopped_by_names_the_first_limit() -> None:
    """A limit that is reached later does not change `stopped_by`."""
    tracker = BudgetTracker(Budget(tokens=10, candidates=1))
    spend(tracker, "tokens", 10)
    tracker.reached()
    spend(tracker, "candidates", 1)
    tracker.reached()
    assert tracker.stopped_by == "tokens"


def test_without_limits_a_search_is_not_restricted() -> None:
    """Without limits, no amount ends a search."""
    tracker = BudgetTracker()
    for limit in LIMITS:
        spend(tracker, limit, 10_000)
    assert tracker.reached(rows=1000, to_finish=1000, usual=1000) is None
    assert tracker.affordable(70, usual=70) == sys.maxsize
    assert tracker.left() == {}


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 64), st.integers(0, 300))
def test_the_tokens_for_finishing_one_row_are_reserved(
    total: int, spent: int, rows: int, to_finish: int
) -> None:
    """Until a candidate has finished, tokens to finish one row are reserved; afterwards none are."""
    tracker = BudgetTracker(Budget(tokens=total))
    spend(tracker, "tokens", spent)
    left = total - spent
    assert (tracker.reached(rows, to_finish) is None) == (left > 0 and left >= rows + to_finish)
    tracker.ledger.finished = 1
    assert (tracker.reached(rows, to_finish) is None) == (left > 0 and left >= rows)


def test_limits_in_seconds_are_checked_on_request() -> None:
    """With `clock=False`, limits in seconds are not checked."""
    tracker = BudgetTracker(Budget(seconds=5, tokens=100))
    spend(tracker, "seconds", 6)
    assert tracker.reached(rows=1, clock=False) is None
    assert tracker.reached(rows=1) == "seconds"


def test_the_clock_can_be_restarted() -> None:
    """Seconds before `restart_clock` do not count."""
    tracker = BudgetTracker(Budget(seconds=5))
    spend(tracker, "seconds", 6)
    tracker.restart_clock()
    assert tracker.reached() is None


def test_seconds_to_finish_one_row_are_reserved() -> None:
    """The reserve includes the seconds to sample, decode and score one row."""
    tracker = BudgetTracker(Budget(seconds=10))
    tracker.reserve.step_seconds, tracker.reserve.codec_seconds, tracker.reserve.verifier_seconds = 0.01, 1, 2
    assert tracker.reached(rows=4, to_finish=2000, usual=600) is None  # 6 + 1 + 2 seconds
    assert tracker.reached(rows=4, to_finish=2000, usual=750) == "seconds"


def test_seconds_to_score_finished_candidates_are_reserved() -> None:
    """A search stops early enough to score the candidates that have finished."""
    tracker = BudgetTracker(Budget(seconds=10, verifier_seconds=7))
    tracker.reserve.codec_seconds, tracker.reserve.verifier_seconds = 1, 2
    tracker.ledger.finished = 3
    tracker.reserve.waiting = 3
    assert tracker.reached(rows=4, usual=750) is None  # 9 seconds, 6 of them in verifiers
    tracker.reserve.waiting = 4
    assert tracker.reached(rows=4, usual=750, clock=False) is None
    assert tracker.reached(rows=4, usual=750) == "verifier_seconds"


def test_affordable_is_the_minimum_over_all_limits() -> None:
    """`affordable` is the lowest number that any limit allows, and `short_of` names a limit that allows none."""
    tracker = BudgetTracker(Budget(candidates=20, tokens=1000, verifier_seconds=9))
    assert tracker.affordable(70, usual=30) == 14
    tracker.reserve.verifier_seconds = 1.0
    assert tracker.affordable(70, usual=30) == 9
    spend(tracker, "candidates", 18)
    assert tracker.affordable(70, usual=30) == 2
    assert tracker.short_of is None
    spend(tracker, "tokens", 1001)
    assert tracker.affordable(70, usual=30) == 0
    assert tracker.short_of == "tokens"


def test_seconds_per_candidate_are_its_share_of_a_step() -> None:
    """A candidate costs its share of a batch's step, and the cost of scoring waiting candidates is reserved."""
    tracker = BudgetTracker(Budget(seconds=10))
    tracker.reserve.note_step(16, 0.08)
    assert tracker.affordable(2000, usual=180) == 11  # of 0.9 seconds each
    tracker.reserve.verifier_seconds, tracker.reserve.waiting = 1.0, 4
    assert tracker.affordable(2000, usual=180) == 3  # of 1.9 seconds each, after a reserve of 4 seconds


def test_a_budget_below_the_cost_of_one_candidate_is_refused() -> None:
    """The error states the tokens that one candidate needs."""
    with pytest.raises(InputError, match=r"tokens=50.*at least 70"):
        BudgetTracker(Budget(tokens=50)).require(tokens=70)


def test_seconds_of_a_stage_add_up() -> None:
    """All runs of a stage count, also those that raise."""
    ledger = Ledger()
    with ledger.stage("decode"):
        pass
    once = ledger.stage_seconds["decode"]
    with pytest.raises(KeyError), ledger.stage("decode"):
        raise KeyError
    assert ledger.stage_seconds["decode"] > once
    ledger.add_flops("lm", 2.0)
    ledger.add_flops("lm", 3.0)
    assert ledger.flops == {"lm": 5.0}
