"""In-context steps: what each step hears, what is kept, and what a budget leaves of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_random import write_pair

from llasa_search.budget import Account, Budget
from llasa_search.candidate import Candidate, Score, Utterance
from llasa_search.errors import InputError
from llasa_search.joining import trimmed
from llasa_search.llasa import Llasa
from llasa_search.result import SearchError, SearchResult
from llasa_search.sampler import Sampler
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies import BestOfN, InContextSteps, as_strategy
from llasa_search.verifiers import LanguageModelLikelihood, Pace, Verifier
from llasa_search.voice import Prompt, Step, Voice

STEPS = ("The captain found a silver coin.", "He gave it to the old king!", "Then it rained for many days.")
TEXT = " ".join(STEPS)
SHORT = Sampling(min_seconds=0.1, max_seconds=0.4)
PRICE = 3 * 20
"""Row-steps of three steps of .4 s each."""


class Loudness(Verifier):
    """Differs between candidates; notes what text each was to say."""

    scale = (0.0, 1.0)
    content = True

    def __init__(self) -> None:
        self._texts: list[str] = []

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self._texts += [utterance.text for utterance in utterances]
        return [Score(float(np.abs(utterance.audio).mean())) for utterance in utterances]


class Slow(Loudness):
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        time.sleep(0.02)
        return super().score(utterances)


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice(0.1 * np.random.default_rng(0).standard_normal(8_000), "hello world", 16_000)


@pytest.fixture
def speak(llasa: Llasa, voice: Voice) -> Callable[..., SearchResult]:
    """Speaks the text by the strategy that is named."""

    def run(
        strategy: Any = "in_context_steps", text: str = TEXT, reward: Any = None, **options: Any
    ) -> SearchResult:
        searcher = Searcher(llasa, reward or Loudness(), strategy)
        return searcher.generate(text, **{"prompt": voice, "sampling": SHORT, **options})

    return run


def codes(result: SearchResult) -> list[list[int]]:
    return [candidate.codes.tolist() for candidate in result.candidates]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("in_context_steps:n=0", "n=0"),
        ("in_context_steps:n=many", "n='many'"),
        ("in_context_steps:width=0", "width=0"),
        ("in_context_steps:width=None", "width=None"),
        ("in_context_steps:history_seconds=-1", "history_seconds=-1"),
        ("in_context_steps:history_seconds=long", "history_seconds='long'"),
        ("in_context_steps:n=2,width=3", "n=2.*width=3"),
        ("in_context_steps:steps=3", "steps"),
        ("in_context_step", "did you mean 'in_context_steps'"),
    ],
)
def test_bad_settings_are_refused(spec: str, says: str) -> None:
    """A search that keeps nothing, or more than there is."""
    with pytest.raises(InputError, match=says):
        as_strategy(spec)


def test_each_step_continues_the_voice_and_the_steps_before(
    speak: Callable[..., SearchResult], llasa: Llasa, voice: Voice
) -> None:
    """History in another order, or without its codes; speech that another prompt gave. Sampled here anew."""
    result = speak("in_context_steps:n=3")
    steps = result.best.history
    assert tuple(step.text for step in steps) == STEPS
    sampler = Sampler(llasa, Prompt(TEXT, "en", voice), SHORT, 0, Account())
    for place, step in enumerate(steps):
        history = tuple(Step(each.text, each.codes) for each in steps[:place])
        alone = sampler.at(Prompt(step.text, "en", voice, history))
        (again,) = alone.extend(alone.start(1, first=step.index))[1]
        alone.audio([again])
        again = trimmed(again, 16_000)
        assert again.codes.tolist() == step.codes.tolist()
        np.testing.assert_allclose(again.audio, step.audio, atol=1e-5)


def test_the_best_candidate_of_each_step_goes_on(speak: Callable[..., SearchResult]) -> None:
    """A step that is scored on the whole text, or chosen by its place."""
    reward = Loudness()
    result = speak("in_context_steps:n=4", reward=reward)
    assert reward._texts == [step for step in STEPS for _ in range(4)] + [TEXT]
    assert [step.index // 4 for step in result.best.history] == [0, 1, 2]
    nodes = result.trace.nodes
    for step in result.best.history:
        rivals = [
            nodes[index].checks[-1].reward
            for index in range(4 * (step.index // 4), 4 * (step.index // 4) + 4)
        ]
        assert step.reward == max(rivals) > min(rivals)


def test_all_codes_are_decoded_together(
    speak: Callable[..., SearchResult], llasa: Llasa, voice: Voice
) -> None:
    """Pieces of sound glued together, or the voice prompt in the speech."""
    result = speak("in_context_steps:n=2")
    (whole,) = result.candidates
    assert whole.text == result.text == TEXT
    assert whole.codes.tolist() == [code for step in whole.history for code in step.codes]
    assert len(whole.logprobs) == len(whole.codes)
    np.testing.assert_allclose(
        result.audio, llasa.decode([whole.codes], llasa.voice_codes(voice))[0], atol=1e-5
    )


def test_one_step_is_best_of_n(speak: Callable[..., SearchResult]) -> None:
    """A short text that is spoken otherwise, or for another price, because the strategy is for long ones."""
    steps, plain = (speak(strategy, STEPS[0]) for strategy in (InContextSteps(3), BestOfN(3)))
    assert codes(steps) == codes(plain)
    assert [each.reward for each in steps.candidates] == [each.reward for each in plain.candidates]


def test_same_seed_same_speech(speak: Callable[..., SearchResult]) -> None:
    first, again, other = (speak("in_context_steps:n=4,width=2", seed=seed) for seed in (1, 1, 2))
    assert codes(first) == codes(again) != codes(other)


def test_the_best_histories_stay(speak: Callable[..., SearchResult]) -> None:
    """A width that is ignored, or histories ranked by their last step alone."""
    result = speak("in_context_steps:n=6,width=3")
    assert len(result.candidates) == 3
    assert result.ledger.prefills == 1 + 3 + 3
    nodes = result.trace.nodes

    def worth(index: int) -> float:
        node, total = nodes[index], 0.0
        while True:
            total += node.checks[-1].reward * len(node.text)
            if node.parent is None:
                return total
            node = nodes[node.parent]

    last = sorted((index for index in nodes if nodes[index].text == STEPS[-1]), key=worth, reverse=True)
    assert {candidate.index for candidate in result.candidates} == set(last[:3])


def test_a_prompt_is_prefilled_once(speak: Callable[..., SearchResult]) -> None:
    """The history sent through the model for every candidate, or again for a second attempt."""
    assert speak("in_context_steps:n=4").ledger.prefills == 3
    gated = speak("in_context_steps:n=2", reward=Loudness().given(Loudness() >= 2.0))
    assert gated.ledger.prefills == 3


def test_a_step_that_fails_every_gate_is_tried_once_more(speak: Callable[..., SearchResult]) -> None:
    """A bad step accepted at once, or tried until the end of days."""
    sampled = {
        bound: len(speak("in_context_steps:n=2", reward=Loudness().given(Loudness() >= bound)).trace.nodes)
        for bound in (0.0, 2.0)
    }
    assert sampled == {0.0: 6, 2.0: 12}


class Deaf(Loudness):
    """Cannot hear the second step."""

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if any(utterance.text == STEPS[1] for utterance in utterances):
            raise RuntimeError("out of order")
        return super().score(utterances)


class Broken(Loudness):
    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        raise RuntimeError("out of order")


def test_a_step_that_cannot_be_scored_does_not_end_the_text(speak: Callable[..., SearchResult]) -> None:
    """A failed score taken for a bad or a good one, or a text that ends where a verifier fails."""
    result = speak("in_context_steps:n=4,width=2", reward=Deaf())
    assert tuple(step.text for step in result.best.history) == STEPS
    assert np.isnan(result.best.history[1].reward) and not np.isnan(result.best.reward)
    with pytest.raises(SearchError, match="out of order") as caught:
        speak("in_context_steps:n=2", reward=Broken())
    assert caught.value.result is not None and len(caught.value.result.candidates) == 1


@settings(max_examples=12)
@given(tokens=st.integers(PRICE, 10 * PRICE), width=st.integers(1, 3), n=st.sampled_from([None, 3, 9]))
def test_a_budget_of_tokens_buys_the_whole_text(
    llasa: Llasa, voice: Voice, tokens: int, width: int, n: int | None
) -> None:
    """A budget spent on the first sentences, so that the last are never said."""
    searcher = Searcher(llasa, Loudness(), InContextSteps(n, width))
    result = searcher.generate(TEXT, voice, sampling=SHORT, budget=Budget(tokens=tokens))
    assert result.ledger.row_steps <= tokens
    assert all(tuple(step.text for step in each.history) == STEPS for each in result.candidates)
    assert 1 <= len(result.candidates) <= width
    assert result.best.reward == max(candidate.reward for candidate in result.candidates)


def test_the_smallest_budget_is_stated(speak: Callable[..., SearchResult]) -> None:
    with pytest.raises(InputError, match=f"at least {PRICE}"):
        speak(budget=Budget(tokens=PRICE - 1))
    assert len(speak(budget=Budget(tokens=PRICE)).candidates) == 1


def test_a_budget_of_candidates_is_one_of_each_step(speak: Callable[..., SearchResult]) -> None:
    result = speak(budget=Budget(candidates=1))
    assert (len(result.trace.nodes), result.stopped_by) == (3, "candidates")
    assert len(speak(budget=Budget(candidates=5)).trace.nodes) == 15


def test_when_time_is_up_the_rest_is_said_once(speak: Callable[..., SearchResult]) -> None:
    """A text that breaks off where the budget of seconds ends."""
    result = speak("in_context_steps:n=4,width=2", reward=Slow(), budget=Budget(verifier_seconds=0.01))
    assert result.stopped_by == "verifier_seconds"
    assert tuple(step.text for step in result.best.history) == STEPS
    assert len(result.trace.nodes) == 4 + 1 + 1
    with pytest.raises(SearchError, match="budget of seconds"):
        speak(budget=Budget(seconds=1e-9))


def test_a_live_row_of_another_step_is_not_what_is_said_next(llasa: Llasa) -> None:
    """The reserve spent on a sentence that has been said."""
    sampler = Sampler(llasa, Prompt(TEXT, "en"), SHORT, 0, Account())
    first, second = (sampler.at(Prompt(text, "en")) for text in STEPS[:2])
    first.extend(first.start(2), 3)
    spare = first.spare()
    assert spare.index in (0, 1) and spare.text == STEPS[0]
    first.extend(first.start(2, first=2), 3)
    spare = second.spare()
    assert (spare.index, spare.text) == (4, STEPS[1])


class Interrupting(Loudness):
    """Stands for a user who presses Ctrl-C while some step is scored."""

    patience = STEPS[2]

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        if utterances[0].text == self.patience:
            raise KeyboardInterrupt
        return super().score(utterances)


def test_ctrl_c_keeps_what_is_accepted(speak: Callable[..., SearchResult]) -> None:
    """Minutes of accepted speech lost; or the part taken for the whole."""
    result = speak("in_context_steps:n=2", reward=Interrupting())
    assert result.stopped_by == "interrupt"
    assert tuple(step.text for step in result.best.history) == STEPS[:2]
    assert (result.best.text, result.best.finish_reason) == (TEXT, "length")
    assert len(result.audio) == 320 * len(result.best.codes)


def test_an_error_keeps_what_is_accepted(speak: Callable[..., SearchResult]) -> None:
    """Minutes of accepted speech lost to a fault of what shows progress."""

    calls: list[Any] = []

    def broken(progress: Any) -> None:
        calls.append(progress)
        if len(calls) > 2:
            raise ValueError("the bar is broken")

    with pytest.raises(SearchError, match="the bar is broken") as caught:
        speak("in_context_steps:n=2", progress=broken)
    kept = caught.value.result.best.history
    assert 0 < len(kept) < len(STEPS) and tuple(step.text for step in kept) == STEPS[: len(kept)]


def test_older_steps_are_not_heard_beyond_the_limit(speak: Callable[..., SearchResult]) -> None:
    """A model that loses its text behind long histories, though its window would hold them."""
    heard = {
        seconds: speak(f"in_context_steps:n=2,history_seconds={seconds}", TEXT * 3).ledger.prefill_tokens
        for seconds in (None, 0)
    }
    assert heard[None] > heard[0]


def test_three_verifiers_over_several_steps(speak: Callable[..., SearchResult]) -> None:
    """A mixed reward that is not combined for each step, or not for the whole."""
    three = 0.5 * Loudness() + 0.3 * Pace() + 0.2 * LanguageModelLikelihood()
    result = speak("in_context_steps:n=3,width=2", reward=three)
    names = {str(verifier) for verifier in three.verifiers}
    assert all(set(step.scores) == names for each in result.candidates for step in each.history)
    assert result.best.reward == max(candidate.reward for candidate in result.candidates)


def test_all_rows_of_all_steps_may_end_at_once(speak: Callable[..., SearchResult]) -> None:
    """A choice among histories that are alike."""
    greedy = replace(SHORT, temperature=0)
    result = speak("in_context_steps:n=3,width=2", sampling=greedy)
    assert tuple(step.text for step in result.best.history) == STEPS


def test_no_row_of_any_step_may_end_before_the_limit(speak: Callable[..., SearchResult]) -> None:
    """A loop that waits for an end which never comes; a joined candidate that is said to be whole."""
    endless = Sampling(min_seconds=0.4, max_seconds=0.4)
    result = speak("in_context_steps:n=3,width=2", sampling=endless)
    assert {len(step.codes) for step in result.best.history} == {20}
    assert result.best.finish_reason == "length"


class InterruptedEarly(InContextSteps):
    """In-context steps whose user presses Ctrl-C in the first step."""

    def run(self, sampler: Any, scorer: Any) -> Iterator[Candidate]:
        first = sampler.at(replace(sampler.prompt, text=STEPS[0]))
        first.extend(first.start(2), 3)
        raise KeyboardInterrupt
        yield


def test_ctrl_c_in_the_first_step_of_a_text_that_is_too_long(speak: Callable[..., SearchResult]) -> None:
    """A rescue that fails because the text does not fit into the window."""
    result = speak(InterruptedEarly(), TEXT * 30)
    assert result.stopped_by == "interrupt" and 0 < len(result.best.codes) <= 20
    assert result.best.finish_reason == "length"  # it says the first sentence of many


def test_chinese(tmp_path: Path, voice: Voice) -> None:
    text = "船长在湖边发现了一枚银币。他把它送给了国王！后来，雨下了很多天。"
    llasa = Llasa.from_pretrained(write_pair(tmp_path, letters="".join(sorted(set(text)))))
    result = Searcher(llasa, Loudness(), "in_context_steps:n=2").generate(text, voice, sampling=SHORT)
    assert "".join(step.text for step in result.best.history) == text
    assert result.language == "zh" and len(result.best.history) == 3


def test_a_long_text_is_spoken_whole_by_the_embedded_model(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """3,000 characters, which no other strategy takes; a run of them that is too large to keep or to draw."""
    text = " ".join([TEXT.replace("!", ",").replace(".", ",")[:-1] + "."] * 33)
    assert len(text) > 3_000
    llasa = Llasa.from_pretrained("tiny", device="cpu")
    llasa.max_length = 500  # prefilling some 2,000 tokens for each step takes a while
    short = Sampling(min_seconds=0.1, max_seconds=0.1)
    with pytest.raises(InputError, match="in_context_steps"):
        Searcher(llasa, Loudness(), BestOfN(1)).generate(text, sampling=short)
    result = Searcher(llasa, Loudness(), "in_context_steps:n=1").generate(text, sampling=short)
    assert " ".join(step.text for step in result.best.history) == text
    assert result.ledger.prefills == len(result.best.history) == 33
    assert len(result.audio) == 320 * sum(len(step.codes) for step in result.best.history) >= 33 * 1_600
    result.save_run(tmp_path / "run")
    assert (tmp_path / "run" / "run.json").stat().st_size < 33 * 5_000
    drawn = cli("trace", str(tmp_path / "run")).out
    assert "<- chosen" in drawn or drawn.count("finished at") == 33
    assert max(len(line) - len(line.lstrip("│├└─ ")) for line in drawn.splitlines()) <= 8


def test_a_run_keeps_the_steps(speak: Callable[..., SearchResult], tmp_path: Path) -> None:
    """A saved search of which nobody can tell any more where a step begins, or what it was worth."""
    result = speak("in_context_steps:n=2")
    result.save_run(tmp_path / "run")
    (loaded,) = SearchResult.load_run(tmp_path / "run").candidates
    (made,) = result.candidates
    assert [step.text for step in loaded.history] == list(STEPS)
    for kept, step in zip(loaded.history, made.history, strict=True):
        np.testing.assert_array_equal(kept.codes, step.codes)
        np.testing.assert_array_equal(kept.logprobs, step.logprobs)
        assert (kept.index, kept.reward, kept.scores) == (step.index, step.reward, step.scores)
    spoken = [step.audio for step in loaded.history if step.audio is not None]
    np.testing.assert_array_equal(np.concatenate(spoken), loaded.audio)


def test_the_command_line_takes_it(cli: Callable[..., Any], pair_path: Any, tmp_path: Any) -> None:
    arguments = ("--model", pair_path, "--verifier", "pace", "--out", tmp_path / "a.wav")
    done = cli("say", TEXT, "--strategy", "in_context_steps:n=4,width=2", *arguments)
    assert done.code == 0, done.err
    assert (tmp_path / "a.wav").exists() and "of 2" in done.out
