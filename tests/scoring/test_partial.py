"""Scores of unfinished speech: what verifiers receive, costs, and when a row has no score."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from llasa_search.budget import Budget, BudgetTracker
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.generation.rows import Rows
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.reward.base import Reward
from llasa_search.reward.compose import Harmonic, Lexicographic, ZScore
from llasa_search.sampling import Sampling
from llasa_search.scoring.partial import partial_reward
from llasa_search.scoring.scorer import Scorer
from llasa_search.voice import Prompt, Voice
from tests.helpers.verifiers import Broken, Codes, FinalOnly, Loud

SHORT = Sampling(min_seconds=0.8, max_seconds=1.0)


class Recorder(Loud):
    """Stores the utterances that it receives."""

    def __init__(self) -> None:
        self._utterances: list[Utterance] = []

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self._utterances += utterances
        return super().score(utterances)


class Windowed(Recorder):
    window_seconds = 0.1


class Patient(Recorder):
    min_seconds = 0.5


@pytest.fixture
def make(llasa: Llasa) -> Callable[..., tuple[Scorer, Rows, Sampler]]:
    """Returns a function that makes a scorer, three rows with `tokens` tokens, and their sampler."""
    voice = Voice(0.1 * np.random.default_rng(0).standard_normal(19_200), "hello", 16_000)

    def made(reward: Reward, tokens: int = 12, budget: Budget | None = None) -> tuple[Scorer, Rows, Sampler]:
        prompt, tracker = Prompt("a coin", "en", voice), BudgetTracker(budget)
        sampler = Sampler(llasa, prompt, SHORT, 0, tracker)
        rows, _ = sampler.extend(sampler.start(3), tokens)
        scorer = Scorer(reward, prompt, tracker, sampler.audio, llasa.sample_rate, trace=sampler.trace)
        return scorer, rows, sampler

    return made


def test_verifiers_get_all_or_the_last_window(make: Callable[..., tuple[Scorer, Rows, Sampler]]) -> None:
    """A verifier receives all speech so far, or its window; both are decoded after the prompt and are not final."""
    all_of_it, end = Recorder(), Windowed()
    scorer, rows, sampler = make(Codes())
    scorer.partial(rows, all_of_it + end)
    whole = sampler.decoder.partial(rows.codes)
    for i, (each, window) in enumerate(zip(all_of_it._utterances, end._utterances, strict=True)):
        np.testing.assert_allclose(each.audio, whole[i], atol=1e-6)
        np.testing.assert_allclose(window.audio, whole[i][-1600:], atol=1e-6)
        for utterance in (each, window):
            assert utterance.codes is not None and utterance.codes.tolist() == rows.codes[i].tolist()
            assert utterance.logprobs is not None and len(utterance.logprobs) == 12
            assert not utterance.final and utterance.text == "a coin" and utterance.voice is not None


def test_a_window_alone_is_decoded_after_its_context(
    make: Callable[..., tuple[Scorer, Rows, Sampler]],
) -> None:
    end = Windowed()
    scorer, rows, sampler = make(end)
    scorer.partial(rows, end)
    window = sampler.decoder.partial(rows.codes, 0.1)
    for i, each in enumerate(end._utterances):
        np.testing.assert_allclose(each.audio, window[i], atol=1e-6)


def test_partial_rewards_are_in_the_order_of_the_rows(
    make: Callable[..., tuple[Scorer, Rows, Sampler]],
) -> None:
    """Each row has its own reward, and scoring does not use up the rows."""
    scorer, rows, sampler = make(Codes())
    np.testing.assert_allclose(scorer.partial(rows, Codes()), rows.codes.mean(1) / 63)
    assert len(sampler.extend(rows)[1]) == 3


def test_the_ledger_counts_partial_scores(make: Callable[..., tuple[Scorer, Rows, Sampler]]) -> None:
    """Calls and seconds are counted, and audio is decoded only for verifiers that read it."""
    scorer, rows, sampler = make(Codes())
    ledger = sampler.tracker.ledger
    scorer.partial(rows, Codes())
    assert ledger.verifier_calls == {"Codes()": 3} and ledger.verifier_seconds["Codes()"] > 0
    assert "codec" not in ledger.flops
    scorer.partial(rows, Loud())
    assert ledger.verifier_calls["Loud()"] == 3 and ledger.flops["codec"] > 0
    assert sampler.tracker.reserve.codec_seconds > 0


def test_the_reserve_is_the_cost_of_the_final_reward(
    make: Callable[..., tuple[Scorer, Rows, Sampler]],
) -> None:
    """Verifiers that score unfinished speech only do not add to the reserve."""
    scorer, rows, sampler = make(Codes())
    scorer.partial(rows, Loud())
    assert sampler.tracker.reserve.verifier_seconds == 0
    scorer.partial(rows, Codes())
    assert sampler.tracker.reserve.verifier_seconds > 0


def test_short_speech_is_not_scored(make: Callable[..., tuple[Scorer, Rows, Sampler]]) -> None:
    """If a verifier abstains from short speech, all rewards are NaN, and nothing is decoded."""
    patient = Patient()
    scorer, rows, sampler = make(Codes(), tokens=24)
    assert np.isnan(scorer.partial(rows, Codes() + patient)).all() and not patient._utterances
    assert "codec" not in sampler.tracker.ledger.flops
    rows, _ = sampler.extend(rows, 1)
    assert not np.isnan(scorer.partial(rows, Codes() + patient)).any()


def test_a_row_on_which_a_verifier_fails_ranks_last(
    make: Callable[..., tuple[Scorer, Rows, Sampler]],
) -> None:
    """A failure gives -inf, which differs from the NaN of an abstention."""

    class Picky(Codes):
        def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
            scores = super().score(utterances)
            if min(score.value for score in scores) == lowest:
                raise ValueError("not this one")
            return scores

    scorer, rows, _sampler = make(Codes())
    lowest = rows.codes.mean(1).min()
    known = scorer.partial(rows, Picky())
    assert np.isneginf(known).sum() == 1 and np.isneginf(known[rows.codes.mean(1).argmin()])
    assert np.isneginf(scorer.partial(rows, Codes() + Broken())).all()


@pytest.mark.parametrize("budget", [Budget(tokens=60), Budget(verifier_seconds=1e-9)])
def test_nothing_is_scored_when_the_budget_is_spent(
    make: Callable[..., tuple[Scorer, Rows, Sampler]], budget: Budget
) -> None:
    """No verifier runs after a limit is reached or on the reserve; all rewards are NaN."""
    scorer, rows, sampler = make(Codes(), tokens=3, budget=budget)
    if budget.verifier_seconds:
        sampler.tracker.ledger.verifier_seconds["Codes()"] = 1.0
    else:
        rows, _ = sampler.extend(rows, 1)
        sampler.tracker.ledger.row_steps = 15
    assert np.isnan(scorer.partial(rows, Codes())).all()
    assert scorer.partial(rows, Codes()).shape == (len(rows),)
    assert not sampler.tracker.ledger.verifier_calls


def test_the_trace_keeps_scores_and_rewards(make: Callable[..., tuple[Scorer, Rows, Sampler]]) -> None:
    scorer, rows, sampler = make(Codes())
    known = scorer.partial(rows, Codes())
    for index, reward in zip(rows.index.tolist(), known, strict=True):
        (check,) = sampler.trace.nodes[index].checks
        assert (check.tokens, check.reward) == (12, reward)
        assert check.scores["Codes()"].value == pytest.approx(reward * 63)
        assert sampler.trace.last_reward(index) == reward


def test_verifiers_of_finished_speech_only_are_refused(
    make: Callable[..., tuple[Scorer, Rows, Sampler]],
) -> None:
    scorer, rows, _sampler = make(Codes())
    with pytest.raises(InputError, match=r"FinalOnly\(\) cannot score unfinished speech.*signal"):
        scorer.partial(rows, Codes() + FinalOnly())
    assert not math.isnan(scorer.partial(rows, Codes() + 0 * FinalOnly())[0])


@pytest.mark.parametrize(
    ("reward", "part"),
    [
        (Codes(), "Codes()"),
        (0.3 * Codes() + 0.2 * FinalOnly() + 0.5 * Loud(), "0.3 * Codes() + 0.5 * Loud()"),
        (0 * Codes() + Loud(), "1 * Loud()"),
        (Lexicographic(Codes(), FinalOnly()), "Codes()"),
        (Lexicographic(Codes(), Loud(), FinalOnly()), "Lexicographic(Codes(), Loud())"),
        (Harmonic(Codes()), "Harmonic(Codes())"),
        (ZScore(Codes()) + ZScore(FinalOnly()), "1 * ZScore(Codes())"),
        (Codes().given(FinalOnly() >= 1).given(Loud() >= 1), "Codes().given(Loud() >= 1)"),
        (FinalOnly().given(Codes() >= 1), None),
        (0 * Codes() + FinalOnly(), None),
    ],
    ids=str,
)
def test_the_part_that_can_score_unfinished_speech(reward: Reward, part: str | None) -> None:
    """Terms and gates that cannot score unfinished speech are left out; a reward without others is refused."""
    if part is None:
        with pytest.raises(InputError, match=r"nothing in .* can score unfinished speech"):
            partial_reward(None, reward)
    else:
        assert str(partial_reward(None, reward)) == part
    assert partial_reward(Loud(), reward) == Loud()
