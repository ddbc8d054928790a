"""Budgets and what they forbid."""

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
def test_a_limit_of_nothing_is_refused(limit: str, value: float) -> None:
    """A budget of 0 taken for no limit."""
    with pytest.raises(InputError, match=limit):
        Budget(**{limit: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_ends_the_search_and_is_named(limit: str) -> None:
    """A limit that is stated but never looked at."""
    tracker = BudgetTracker(Budget(**{limit: 100}))
    tracker.ledger.finished += 1
    spend(tracker, limit, 90)
    assert tracker.reached() is None
    assert tracker.stopped_by is None
    spend(tracker, limit, 11)
    assert tracker.reached() == limit
    assert tracker.stopped_by == limit


def test_the_first_limit_is_the_one_that_is_named() -> None:
    """`stopped_by` overwritten by a limit that was passed later."""
    tracker = BudgetTracker(Budget(tokens=10, candidates=1))
    spend(tracker, "tokens", 10)
    tracker.reached()
    spend(tracker, "candidates", 1)
    tracker.reached()
    assert tracker.stopped_by == "tokens"


def test_without_limits_nothing_is_forbidden() -> None:
    """A default that limits what nobody limited."""
    tracker = BudgetTracker()
    for limit in LIMITS:
        spend(tracker, limit, 10_000)
    assert tracker.reached(rows=1000, to_finish=1000, usual=1000) is None
    assert tracker.affordable(70, usual=70) == sys.maxsize
    assert tracker.left() == {}


@given(st.integers(1, 500), st.integers(0, 500), st.integers(0, 64), st.integers(0, 300))
def test_the_price_of_finishing_one_row_is_kept_back(
    total: int, spent: int, rows: int, to_finish: int
) -> None:
    """Everything spent on growing, nothing left to finish; or the reserve held back when it is not needed."""
    tracker = BudgetTracker(Budget(tokens=total))
    spend(tracker, "tokens", spent)
    left = total - spent
    assert (tracker.reached(rows, to_finish) is None) == (left > 0 and left >= rows + to_finish)
    tracker.ledger.finished = 1
    assert (tracker.reached(rows, to_finish) is None) == (left > 0 and left >= rows)


def test_the_clock_is_looked_at_only_when_asked() -> None:
    """Results that depend on time where only tokens were limited by the caller's step."""
    tracker = BudgetTracker(Budget(seconds=5, tokens=100))
    spend(tracker, "seconds", 6)
    assert tracker.reached(rows=1, clock=False) is None
    assert tracker.reached(rows=1) == "seconds"


def test_the_clock_can_be_set_back() -> None:
    """Loading counted as searching."""
    tracker = BudgetTracker(Budget(seconds=5))
    spend(tracker, "seconds", 6)
    tracker.restart_clock()
    assert tracker.reached() is None


def test_seconds_to_finish_are_kept_back_too() -> None:
    """A wall-clock limit that ends in the middle of the only candidate."""
    tracker = BudgetTracker(Budget(seconds=10))
    tracker.reserve.step_seconds, tracker.reserve.codec_seconds, tracker.reserve.verifier_seconds = 0.01, 1, 2
    assert tracker.reached(rows=4, to_finish=2000, usual=600) is None  # 6 + 1 + 2 seconds
    assert tracker.reached(rows=4, to_finish=2000, usual=750) == "seconds"


def test_seconds_to_score_what_has_finished_are_kept_back() -> None:
    """Time that runs out before anything has been scored, so that the first to finish is chosen."""
    tracker = BudgetTracker(Budget(seconds=10, verifier_seconds=7))
    tracker.reserve.codec_seconds, tracker.reserve.verifier_seconds = 1, 2
    tracker.ledger.finished = 3
    tracker.reserve.waiting = 3
    assert tracker.reached(rows=4, usual=750) is None  # 9 seconds, 6 of them in verifiers
    tracker.reserve.waiting = 4
    assert tracker.reached(rows=4, usual=750, clock=False) is None
    assert tracker.reached(rows=4, usual=750) == "verifier_seconds"


def test_affordable_is_what_the_scarcest_limit_buys() -> None:
    """More candidates started than can be finished."""
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


def test_time_buys_rows_at_their_share_of_a_step_after_what_waits_to_be_scored() -> None:
    """A whole batch's time asked of every candidate, so that a limit of seconds bought one."""
    tracker = BudgetTracker(Budget(seconds=10))
    tracker.reserve.note_step(16, 0.08)
    assert tracker.affordable(2000, usual=180) == 11  # of 0.9 seconds each
    tracker.reserve.verifier_seconds, tracker.reserve.waiting = 1.0, 4
    assert tracker.affordable(2000, usual=180) == 3  # of 1.9 seconds each, when 4 have been kept back


def test_a_budget_below_the_price_names_it() -> None:
    """A budget that can end in nothing but an empty result."""
    with pytest.raises(InputError, match=r"tokens=50.*at least 70"):
        BudgetTracker(Budget(tokens=50)).require(tokens=70)


def test_stages_add_up_even_when_one_fails() -> None:
    """Seconds of a stage that raised, or of its second run, left out."""
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
