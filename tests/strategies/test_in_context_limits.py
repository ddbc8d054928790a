"""In-context steps: budgets, steps that fail, interruptions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llasa_search.budget import Budget, BudgetTracker
from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.errors import InputError
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchError
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies import InContextSteps
from llasa_search.voice import Prompt
from tests.helpers.stepping import SHORT, STEPS, TEXT, VOICE, Loudness, Speak, speaker_of

SMALLEST = 3 * 20
"""The smallest budget of tokens: the row-steps of three steps of 0.4 s each."""


@pytest.fixture
def speak(llasa: Llasa) -> Speak:
    return speaker_of(llasa)


class Slow(Loudness):
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        time.sleep(0.02)
        return super().score(utterances)


def test_a_step_that_fails_every_gate_is_tried_once_more(speak: Speak) -> None:
    """A step on which every candidate fails a gate is sampled twice, and then accepted."""
    sampled = {
        bound: len(speak("in_context_steps:n=2", reward=Loudness().given(Loudness() >= bound)).trace.nodes)
        for bound in (0.0, 2.0)
    }
    assert sampled == {0.0: 6, 2.0: 12}


class FailsOnSecond(Loudness):
    """Fails on the second step."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if any(utterance.text == STEPS[1] for utterance in utterances):
            raise RuntimeError("out of order")
        return super().score(utterances)


class Broken(Loudness):
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        raise RuntimeError("out of order")


def test_a_step_that_cannot_be_scored_does_not_end_the_text(speak: Speak) -> None:
    """A step without a reward is accepted, and the text continues; if no reward is known, the error has the speech."""
    result = speak("in_context_steps:n=4,width=2", reward=FailsOnSecond())
    assert tuple(step.text for step in result.best.history) == STEPS
    assert np.isnan(result.best.history[1].reward) and not np.isnan(result.best.reward)
    with pytest.raises(SearchError, match="out of order") as caught:
        speak("in_context_steps:n=2", reward=Broken())
    assert caught.value.result is not None and len(caught.value.result.candidates) == 1


@settings(max_examples=12)
@given(tokens=st.integers(SMALLEST, 10 * SMALLEST), width=st.integers(1, 3), n=st.sampled_from([None, 3, 9]))
def test_a_budget_of_tokens_is_divided_among_all_steps(
    llasa: Llasa, tokens: int, width: int, n: int | None
) -> None:
    """Every candidate has all steps within the token limit, and the best reward is chosen."""
    searcher = Searcher(llasa, Loudness(), InContextSteps(n, width))
    result = searcher.generate(TEXT, VOICE, sampling=SHORT, budget=Budget(tokens=tokens))
    assert result.ledger.row_steps <= tokens
    assert all(tuple(step.text for step in each.history) == STEPS for each in result.candidates)
    assert 1 <= len(result.candidates) <= width
    assert result.best.reward == max(candidate.reward for candidate in result.candidates)


def test_the_smallest_budget_is_stated(speak: Speak) -> None:
    for tokens in (1, SMALLEST - 1):
        with pytest.raises(InputError, match=f"at least {SMALLEST}"):
            speak(budget=Budget(tokens=tokens))
    assert len(speak(budget=Budget(tokens=SMALLEST)).candidates) == 1


def test_a_budget_of_candidates_counts_per_step(speak: Speak) -> None:
    result = speak(budget=Budget(candidates=1))
    assert (len(result.trace.nodes), result.stopped_by) == (3, "candidates")
    assert len(speak(budget=Budget(candidates=5)).trace.nodes) == 15


def test_a_second_attempt_does_not_add_candidates(speak: Speak) -> None:
    """The result has at most as many candidates as the budget, although every step is sampled twice."""
    never = Loudness().given(Loudness() >= 2)
    result = speak("in_context_steps:n=3,width=3", reward=never, budget=Budget(candidates=2))
    assert len(result.candidates) == result.ledger.finished == 2


def test_a_step_is_accepted_if_a_second_attempt_is_not_affordable(speak: Speak) -> None:
    """A failed gate does not end the text, and every step has a reward."""
    loud = Loudness()
    first = [step.reward for step in speak("in_context_steps", budget=Budget(tokens=SMALLEST)).best.history]
    gated = loud.given(loud >= 2)
    result = speak("in_context_steps", reward=gated, budget=Budget(tokens=SMALLEST))
    assert not np.isnan([step.reward for step in result.best.history]).any()
    assert len(result.best.history) == len(first) and result.ledger.row_steps <= SMALLEST


def test_when_time_is_spent_each_later_step_is_sampled_once(speak: Speak) -> None:
    """The whole text is spoken with one candidate for each of the later steps."""
    result = speak("in_context_steps:n=4,width=2", reward=Slow(), budget=Budget(verifier_seconds=0.01))
    assert result.stopped_by == "verifier_seconds"
    assert tuple(step.text for step in result.best.history) == STEPS
    assert len(result.trace.nodes) == 4 + 1 + 1
    with pytest.raises(SearchError, match="budget of seconds"):
        speak(budget=Budget(seconds=1e-9))


def test_a_live_row_of_another_step_is_not_finished_for_this_one(llasa: Llasa) -> None:
    """The reserve finishes a row of the step's own text."""
    sampler = Sampler(llasa, Prompt(TEXT, "en"), SHORT, 0, BudgetTracker())
    first, second = (sampler.at(Prompt(text, "en")) for text in STEPS[:2])
    first.extend(first.start(2), 3)
    spare = first.finish_from_reserve()
    assert spare.index in (0, 1) and spare.text == STEPS[0]
    first.extend(first.start(2, first=2), 3)
    spare = second.finish_from_reserve()
    assert (spare.index, spare.text) == (4, STEPS[1])


class Interrupting(Loudness):
    """Raises KeyboardInterrupt, as Ctrl-C does, when the step `interrupt_at` is scored."""

    interrupt_at = STEPS[2]

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if utterances[0].text == self.interrupt_at:
            raise KeyboardInterrupt
        return super().score(utterances)


def test_ctrl_c_keeps_accepted_steps(speak: Speak) -> None:
    """The candidate has the accepted steps, and its finish reason is "length"."""
    result = speak("in_context_steps:n=2", reward=Interrupting())
    assert result.stopped_by == "interrupt"
    assert tuple(step.text for step in result.best.history) == STEPS[:2]
    assert (result.best.text, result.best.finish_reason) == (TEXT, "length")
    assert len(result.audio) == 320 * len(result.best.codes)


class InterruptingAtOnce(Interrupting):
    interrupt_at = STEPS[0]


def test_ctrl_c_while_the_first_step_is_scored_keeps_one_of_its_candidates(speak: Speak) -> None:
    """One finished candidate of the first step is returned, although no step was accepted."""
    result = speak("in_context_steps:n=3", reward=InterruptingAtOnce())
    assert result.stopped_by == "interrupt"
    assert tuple(step.text for step in result.best.history) == STEPS[:1]
    assert result.best.finish_reason == "length"


def test_an_error_keeps_accepted_steps(speak: Speak) -> None:
    """If the progress function raises, the error has the accepted steps."""

    calls: list[Any] = []

    def broken(progress: Any) -> None:
        calls.append(progress)
        if len(calls) > 2:
            raise ValueError("progress failed")

    with pytest.raises(SearchError, match="progress failed") as caught:
        speak("in_context_steps:n=2", progress=broken)
    assert caught.value.result is not None
    kept = caught.value.result.best.history
    assert 0 < len(kept) < len(STEPS) and tuple(step.text for step in kept) == STEPS[: len(kept)]


def test_all_rows_of_a_step_may_end_together(speak: Speak) -> None:
    """Greedy sampling, with equal candidates, speaks the whole text."""
    greedy = replace(SHORT, temperature=0)
    result = speak("in_context_steps:n=3,width=2", sampling=greedy)
    assert tuple(step.text for step in result.best.history) == STEPS


def test_rows_may_end_at_the_maximum_only(speak: Speak) -> None:
    """Each step has the maximum length, and the finish reason of the joined candidate is "length"."""
    endless = Sampling(min_seconds=0.4, max_seconds=0.4)
    result = speak("in_context_steps:n=3,width=2", sampling=endless)
    assert {len(step.codes) for step in result.best.history} == {20}
    assert result.best.finish_reason == "length"


class InterruptedEarly(InContextSteps):
    """In-context steps that are interrupted in the first step."""

    def run(self, sampler: Any, scorer: Any) -> Iterator[Candidate]:
        first = sampler.at(replace(sampler.prompt, text=STEPS[0]))
        first.extend(first.start(2), 3)
        raise KeyboardInterrupt
        yield


def test_ctrl_c_in_the_first_step_of_a_text_that_is_too_long(speak: Speak) -> None:
    """A row of the first step is finished, although the whole text does not fit the window."""
    result = speak(InterruptedEarly(), TEXT * 30)
    assert result.stopped_by == "interrupt" and 0 < len(result.best.codes) <= 20
    assert result.best.finish_reason == "length"  # it has the first sentence only
