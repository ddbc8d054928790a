"""The scorer: failures, caching, speech that is too short, and the end of the budget."""

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
    """Returns a tenth of the candidate's index, which is its first code."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [Score(float(u.codes[0]) / 10) for u in utterances if u.codes is not None]


class Failing(Index):
    """Has a fault on every call."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        fine = list(super().score(utterances))
        match self.fault:
            case "raises":
                raise ZeroDivisionError("by zero")
            case "too few":
                return fine[:-1]
            case "strings":
                return ["good"] * len(fine)  # type: ignore[list-item]
        raise AssertionError(self.fault)


def scorer(reward: Reward, budget: Budget | None = None) -> Scorer:
    return Scorer(reward, PROMPT, BudgetTracker(budget), decoded, 16_000)


@pytest.mark.parametrize("fault", ["raises", "too few", "strings"])
def test_a_failure_of_weight_0_changes_no_reward(fault: str, candidates: Make) -> None:
    """The rewards are those of the other verifiers."""
    known = scorer(1 * Index() + 0 * Failing(fault)).final(candidates(3))
    assert known.tolist() == [0.0, 0.1, 0.2]


class Picky(Index):
    """Raises if candidate 1 is in the batch."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if any(u.codes is not None and u.codes[0] == 1 for u in utterances):
            raise ValueError("not this one")
        return super().score(utterances)


def test_one_bad_utterance_fails_alone(candidates: Make) -> None:
    """The other utterances of the batch are scored."""
    made = candidates(3)
    known = scorer(Picky()).final(made)
    assert known[[0, 2]].tolist() == [0.0, 0.2] and math.isnan(known[1])
    assert made[1].scores["Picky()"].detail == "ValueError: not this one"


def seed(value: int) -> None:
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


class ChangesState(Index):
    """Writes into the audio through torch, and changes random states and the number of threads."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        for utterance in utterances:
            assert not utterance.audio.flags.writeable
            torch.from_numpy(utterance.audio).zero_()
        seed(1)
        torch.set_num_threads(3)
        return super().score(utterances)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_a_verifier_cannot_change_audio_or_global_state(candidates: Make) -> None:
    """Audio, random states and the number of threads are as before the call."""
    made = candidates(2)
    before = [candidate.audio.copy() for candidate in made if candidate.audio is not None]

    def draws() -> list[float]:
        return [random.random(), float(np.random.rand()), float(torch.rand(1))]

    seed(7)
    expected, threads = draws(), torch.get_num_threads()
    seed(7)
    scorer(ChangesState()).final(made)
    assert draws() == expected and torch.get_num_threads() == threads
    for candidate, audio in zip(made, before, strict=True):
        np.testing.assert_array_equal(candidate.audio, audio)


def test_same_speech_is_scored_once(candidates: Make) -> None:
    """Equal speech, and candidates that have been scored, cause no further call."""
    made = candidates(2)
    twin = candidates(1)[0]
    judge = scorer(Index())
    judge.final(made)
    known = judge.final([*made, twin])
    assert known.tolist() == [0.0, 0.1, 0.0]
    assert judge._tracker.ledger.verifier_calls == {"Index()": 2}


def test_equal_speech_with_another_text_is_scored_again(candidates: Make) -> None:
    """A cached score belongs to the speech and its text."""
    first, second = candidates(1)[0], candidates(1)[0]
    second.text = "four"
    judge = scorer(as_reward(text_length))
    assert judge.final([first, second]).tolist() == [0.13, 0.04]


def text_length(utterance: Utterance) -> float:
    return len(utterance.text) / 100


def test_function_outside_its_range_fails(candidates: Make) -> None:
    """A function value outside [0, 1] fails with advice and is not clipped."""
    made = candidates(1)
    assert np.isnan(scorer(Verifier.from_function(lambda utterance: 3.0, name="loud")).final(made)).all()
    assert "from_function" in made[0].scores["loud()"].detail


class Patient(Index):
    min_seconds = 1.0


def test_finished_speech_is_never_too_short(candidates: Make) -> None:
    """`min_seconds` applies to unfinished speech only."""
    made = candidates(1)
    scorer(Patient()).final(made)
    assert made[0].scores["Patient()"].status == "scored"


class Impatient(Index):
    """Abstains from speech shorter than a second."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        scores = super().score(utterances)
        short = Score(math.nan, "too short", "abstained")
        return [each if u.seconds >= 1 else short for each, u in zip(scores, utterances, strict=True)]


@pytest.mark.parametrize("cascade", [False, True])
def test_a_verifier_that_abstains_on_every_candidate_is_left_out(cascade: bool, candidates: Make) -> None:
    """The other verifiers of the sum choose."""
    made = candidates(5)
    reward = 0.5 * Impatient() + 0.5 * Index()
    known = Scorer(reward, PROMPT, BudgetTracker(), decoded, 16_000, cascade=cascade).final(made)
    assert int(np.nanargmax(known)) == 4 and known[4] == pytest.approx(0.4)
    assert {candidate.scores["Impatient()"].status for candidate in made} == {"abstained"}


def test_a_verifier_that_scores_one_candidate_is_not_left_out(candidates: Make) -> None:
    """Only the candidates on which it abstains have no reward."""
    made = candidates(5)
    assert made[2].audio is not None
    made[2].audio = np.tile(made[2].audio, 8)
    known = scorer(0.5 * Impatient() + 0.5 * Index()).final(made)
    assert np.flatnonzero(~np.isnan(known)).tolist() == [2]


class TooShort(Index):
    """Fails on speech shorter than two seconds, and declares a minimum of one second."""

    min_seconds = 1.0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if min(utterance.seconds for utterance in utterances) < 2:
            raise RuntimeError("kernel size")
        return super().score(utterances)


def test_a_failure_below_the_declared_minimum_is_an_abstention(candidates: Make) -> None:
    """Finished speech that is too short for a model's layers still gets a reward from the other verifiers."""
    made = candidates(3)
    known = scorer(0.5 * TooShort() + 0.5 * Index()).final(made)
    assert not np.isnan(known).any()
    assert (
        made[0].scores["TooShort()"].status == "abstained"
        and "kernel size" in made[0].scores["TooShort()"].detail
    )


class Stuck(Index):
    """Fails slowly, and counts its calls."""

    calls = 0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        type(self).calls += 1
        time.sleep(0.05)
        raise OSError("the server does not answer")


def test_a_slow_failure_is_not_repeated_when_time_is_spent(candidates: Make) -> None:
    """A batch that failed as a whole is not scored one by one after the limit."""
    made = candidates(16)
    scorer(Stuck(), Budget(seconds=0.04)).final(made)
    assert Stuck.calls == 1
    details = [each.scores["Stuck()"].detail for each in made]
    assert details == ["OSError: the server does not answer"] + 15 * ["the budget was spent"]


class Slow(Index):
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        time.sleep(0.05)
        return super().score(utterances)


@pytest.mark.parametrize("budget", [Budget(verifier_seconds=0.01), Budget(seconds=0.04)])
def test_when_time_is_spent_the_rest_is_skipped(budget: Budget, candidates: Make) -> None:
    """No further batch is scored after a limit in seconds is reached."""
    made = candidates(40)
    judge = scorer(Slow(), budget)
    known = judge.final(made)
    assert 1 <= np.count_nonzero(~np.isnan(known)) <= 16
    assert made[-1].scores["Slow()"].status == "skipped"
    assert judge._tracker.stopped_by is not None


def test_one_candidate_is_scored_even_without_time(candidates: Make) -> None:
    """If nothing has been scored when the search stops, one candidate is."""
    made = candidates(5)
    judge = scorer(Index())
    judge.stop()
    assert np.count_nonzero(~np.isnan(judge.final(made))) == 1


def test_a_condition_runs_its_own_verifier(candidates: Make) -> None:
    """`holds` also scores by a verifier that the reward does not have; a failure does not meet the condition."""
    made = candidates(3)
    assert scorer(Slow()).holds(Index() >= 0.1, made).tolist() == [False, True, True]
    assert not scorer(Slow()).holds(Failing("raises") >= 0, made).any()
