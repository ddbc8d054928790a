"""Whatever a verifier does, the search goes on, and the candidate says what happened."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from llasa_search.budget import Budget, BudgetTracker
from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.reward.base import Reward
from llasa_search.scoring.scorer import Scorer, decoded
from llasa_search.verifiers import Verifier
from llasa_search.verifiers.specification import as_reward
from llasa_search.voice import Prompt

PROMPT = Prompt("one two three", "en")
Make = Callable[[int], list[Candidate]]


class Index(Verifier):
    """The candidate's index, found in its codes, as a share of 10."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(float(u.codes[0]) / 10) for u in utterances if u.codes is not None]


class Failing(Index):
    """Does `deed` to every utterance."""

    def __init__(self, deed: str) -> None:
        self.deed = deed

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        fine = list(super().score(utterances))
        match self.deed:
            case "raises":
                raise ZeroDivisionError("by zero")
            case "too few":
                return fine[:-1]
            case "strings":
                return ["good"] * len(fine)  # type: ignore[list-item]
        raise AssertionError(self.deed)


def scorer(reward: Reward, budget: Budget | None = None) -> Scorer:
    return Scorer(reward, PROMPT, BudgetTracker(budget), decoded, 16_000)


@pytest.mark.parametrize("deed", ["raises", "too few", "strings"])
def test_report_only_failure_changes_no_rank(deed: str, candidates: Make) -> None:
    """Guards against a weight-0 verifier that decides by failing."""
    known = scorer(1 * Index() + 0 * Failing(deed)).final(candidates(3))
    assert known.tolist() == [0.0, 0.1, 0.2]


class Picky(Index):
    """Raises when the batch holds candidate 1."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if any(u.codes is not None and u.codes[0] == 1 for u in utterances):
            raise ValueError("not this one")
        return super().score(utterances)


def test_one_bad_utterance_fails_alone(candidates: Make) -> None:
    """Guards against a whole batch lost to one of its members."""
    made = candidates(3)
    known = scorer(Picky()).final(made)
    assert known[[0, 2]].tolist() == [0.0, 0.2] and math.isnan(known[1])
    assert made[1].scores["Picky()"].detail == "ValueError: not this one"


def seed(value: int) -> None:
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


class Vandal(Index):
    """Writes into the audio through torch, and seeds everything."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        for utterance in utterances:
            assert not utterance.audio.flags.writeable
            torch.from_numpy(utterance.audio).zero_()
        seed(1)
        torch.set_num_threads(3)
        return super().score(utterances)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_a_vandal_leaves_no_trace(candidates: Make) -> None:
    """Guards against plug-ins that change another's audio, a later draw, or the number of threads."""
    made = candidates(2)
    before = [candidate.audio.copy() for candidate in made if candidate.audio is not None]

    def draws() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(1))]

    seed(7)
    expected, threads = draws(), torch.get_num_threads()
    seed(7)
    scorer(Vandal()).final(made)
    assert draws() == expected and torch.get_num_threads() == threads
    for candidate, audio in zip(made, before, strict=True):
        np.testing.assert_array_equal(candidate.audio, audio)


def test_same_speech_is_scored_once(candidates: Make) -> None:
    """Guards against paying twice for duplicates, and for candidates that a strategy had scored before."""
    made = candidates(2)
    twin = candidates(1)[0]
    judge = scorer(Index())
    judge.final(made)
    known = judge.final([*made, twin])
    assert known.tolist() == [0.0, 0.1, 0.0]
    assert judge._tracker.ledger.verifier_calls == {"Index()": 2}


def test_other_text_is_other_speech(candidates: Make) -> None:
    """Guards against a cache that forgets that a step of a long text has a text of its own."""
    first, second = candidates(1)[0], candidates(1)[0]
    second.text = "four"
    judge = scorer(as_reward(text_length))
    assert judge.final([first, second]).tolist() == [0.13, 0.04]


def text_length(utterance: Utterance) -> float:
    return len(utterance.text) / 100


def test_function_outside_its_range_fails(candidates: Make) -> None:
    """Guards against a loudness in decibels clipped to 0 or 1 without a word."""
    made = candidates(1)
    assert np.isnan(scorer(Verifier.from_function(lambda utterance: 3.0, name="loud")).final(made)).all()
    assert "from_function" in made[0].scores["loud()"].detail


class Patient(Index):
    min_seconds = 1.0


def test_finished_speech_is_never_too_short(candidates: Make) -> None:
    """Guards against a text of one short word that a search cannot choose for, or chooses by length."""
    made = candidates(1)
    scorer(Patient()).final(made)
    assert made[0].scores["Patient()"].status == "scored"


class Impatient(Index):
    """Judges nothing below a second."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        scores = super().score(utterances)
        short = Score(math.nan, "too short", "abstained")
        return [each if u.seconds >= 1 else short for each, u in zip(scores, utterances, strict=True)]


@pytest.mark.parametrize("cascade", [False, True])
def test_one_on_which_all_are_too_short_is_left_out(cascade: bool, candidates: Make) -> None:
    """Guards against a text of one short word that no mix with a speaker verifier can speak."""
    made = candidates(5)
    reward = 0.5 * Impatient() + 0.5 * Index()
    known = Scorer(reward, PROMPT, BudgetTracker(), decoded, 16_000, cascade=cascade).final(made)
    assert int(np.nanargmax(known)) == 4 and known[4] == pytest.approx(0.4)
    assert {candidate.scores["Impatient()"].status for candidate in made} == {"abstained"}


def test_one_that_scores_the_longer_ones_is_not_left_out(candidates: Make) -> None:
    """Guards against a reward that drops a verifier as soon as one candidate is too short for it."""
    made = candidates(5)
    assert made[2].audio is not None
    made[2].audio = np.tile(made[2].audio, 8)
    known = scorer(0.5 * Impatient() + 0.5 * Index()).final(made)
    assert np.flatnonzero(~np.isnan(known)).tolist() == [2]


class TooShort(Index):
    """Fails on less than two seconds, which is below its declared minimum."""

    min_seconds = 1.0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if min(utterance.seconds for utterance in utterances) < 2:
            raise RuntimeError("kernel size")
        return super().score(utterances)


def test_what_fails_below_its_minimum_abstains(candidates: Make) -> None:
    """Guards against a mix that cannot speak a short word, for a model whose layers want more frames."""
    made = candidates(3)
    known = scorer(0.5 * TooShort() + 0.5 * Index()).final(made)
    assert not np.isnan(known).any()
    assert (
        made[0].scores["TooShort()"].status == "abstained"
        and "kernel size" in made[0].scores["TooShort()"].detail
    )


class Stuck(Index):
    """Fails slowly, and counts how often."""

    asked = 0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        type(self).asked += 1
        time.sleep(0.05)
        raise OSError("the server does not answer")


def test_a_slow_failure_is_not_asked_again_without_time(candidates: Make) -> None:
    """Guards against 17 timeouts of a verifier's server in a search that has the time of one."""
    made = candidates(16)
    scorer(Stuck(), Budget(seconds=0.04)).final(made)
    assert Stuck.asked == 1
    details = [each.scores["Stuck()"].detail for each in made]
    assert details == ["OSError: the server does not answer"] + 15 * ["the budget was spent"]


class Slow(Index):
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        time.sleep(0.05)
        return super().score(utterances)


@pytest.mark.parametrize("budget", [Budget(verifier_seconds=0.01), Budget(seconds=0.04)])
def test_when_time_is_up_the_rest_is_skipped(budget: Budget, candidates: Make) -> None:
    """Guards against a slow verifier that runs over all candidates after the budget is spent."""
    made = candidates(40)
    judge = scorer(Slow(), budget)
    known = judge.final(made)
    assert 1 <= np.count_nonzero(~np.isnan(known)) <= 16
    assert made[-1].scores["Slow()"].status == "skipped"
    assert judge._tracker.stopped_by is not None


def test_one_candidate_is_scored_even_without_time(candidates: Make) -> None:
    """Guards against a search whose decoding took all the time and that then has nothing to choose by."""
    made = candidates(5)
    judge = scorer(Index())
    judge.stop()
    assert np.count_nonzero(~np.isnan(judge.final(made))) == 1


def test_condition_runs_its_own_verifier(candidates: Make) -> None:
    """Guards against `stop_at` that only looks at verifiers of the reward."""
    made = candidates(3)
    assert scorer(Slow()).holds(Index() >= 0.1, made).tolist() == [False, True, True]
    assert not scorer(Slow()).holds(Failing("raises") >= 0, made).any()
