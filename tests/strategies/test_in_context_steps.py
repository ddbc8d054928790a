"""In-context steps: the prompt of each step, and the steps that are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llasa_search.budget import BudgetTracker
from llasa_search.errors import InputError
from llasa_search.generation.joining import trimmed
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.result import SearchResult
from llasa_search.sampling import Sampling
from llasa_search.search import Searcher
from llasa_search.strategies import BestOfN, InContextSteps, as_strategy
from llasa_search.verifiers import LanguageModelLikelihood, Pace
from llasa_search.voice import Prompt, Step
from tests.helpers.stepping import SHORT, STEPS, TEXT, VOICE, Loudness, Speak, speaker_of
from tests.helpers.tiny_random import write_pair


@pytest.fixture
def speak(llasa: Llasa) -> Speak:
    return speaker_of(llasa)


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
    """Settings out of range, or of a wrong type, are refused by name."""
    with pytest.raises(InputError, match=says):
        as_strategy(spec)


def test_each_step_continues_the_voice_and_the_steps_before(speak: Speak, llasa: Llasa) -> None:
    """Sampling each step again, with the voice and the steps before it as the prompt, gives the same codes."""
    result = speak("in_context_steps:n=3")
    steps = result.best.history
    assert tuple(step.text for step in steps) == STEPS
    sampler = Sampler(llasa, Prompt(TEXT, "en", VOICE), SHORT, 0, BudgetTracker())
    for place, step in enumerate(steps):
        history = tuple(Step(each.text, each.codes) for each in steps[:place])
        alone = sampler.at(Prompt(step.text, "en", VOICE, history))
        (again,) = alone.extend(alone.start(1, first=step.index))[1]
        alone.audio([again])
        again = trimmed(again, 16_000)
        assert again.codes.tolist() == step.codes.tolist()
        assert again.audio is not None and step.audio is not None
        np.testing.assert_allclose(again.audio, step.audio, atol=1e-5)


def test_the_best_candidate_of_each_step_is_continued(speak: Speak) -> None:
    """A step is scored against its own text, and its best candidate is continued."""
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


def test_all_codes_are_decoded_together(speak: Speak, llasa: Llasa) -> None:
    """The audio is decoded from the codes of all steps together, and does not contain the voice prompt."""
    result = speak("in_context_steps:n=2")
    (whole,) = result.candidates
    assert whole.text == result.text == TEXT
    assert whole.codes.tolist() == [code for step in whole.history for code in step.codes]
    assert len(whole.logprobs) == len(whole.codes)
    np.testing.assert_allclose(
        result.audio, llasa.decode([whole.codes], llasa.voice_codes(VOICE))[0], atol=1e-5
    )


def test_one_step_is_best_of_n(speak: Speak) -> None:
    """A text of one step gives the codes and rewards of best-of-N."""
    steps, plain = (speak(strategy, STEPS[0]) for strategy in (InContextSteps(3), BestOfN(3)))
    assert codes(steps) == codes(plain)
    assert [each.reward for each in steps.candidates] == [each.reward for each in plain.candidates]


def test_same_seed_same_speech(speak: Speak) -> None:
    first, again, other = (speak("in_context_steps:n=4,width=2", seed=seed) for seed in (1, 1, 2))
    assert codes(first) == codes(again) != codes(other)


def test_the_best_histories_are_kept(speak: Speak) -> None:
    """`width` histories are kept after each step, by their mean reward over all steps."""
    result = speak("in_context_steps:n=6,width=3")
    assert len(result.candidates) == 3
    assert result.ledger.prefills == 1 + 3 + 3
    nodes = result.trace.nodes

    def last_reward(index: int) -> float:
        node, total = nodes[index], 0.0
        while True:
            total += node.checks[-1].reward * len(node.text)
            if node.parent is None:
                return total
            node = nodes[node.parent]

    last = sorted((index for index in nodes if nodes[index].text == STEPS[-1]), key=last_reward, reverse=True)
    assert {candidate.index for candidate in result.candidates} == set(last[:3])


def test_a_prompt_is_prefilled_once(speak: Speak) -> None:
    """The prompt of a step is prefilled once for all candidates and for a second attempt."""
    assert speak("in_context_steps:n=4").ledger.prefills == 3
    gated = speak("in_context_steps:n=2", reward=Loudness().given(Loudness() >= 2.0))
    assert gated.ledger.prefills == 3


def test_older_steps_beyond_the_limit_do_not_condition_a_step(speak: Speak) -> None:
    """With `history_seconds`, the prompt is shorter than with all steps."""
    prefilled = {
        seconds: speak(f"in_context_steps:n=2,history_seconds={seconds}", TEXT * 3).ledger.prefill_tokens
        for seconds in (None, 0)
    }
    assert prefilled[None] > prefilled[0]


def test_three_verifiers_over_several_steps(speak: Speak) -> None:
    """Every step has the scores of all verifiers, and the best reward is chosen."""
    three = 0.5 * Loudness() + 0.3 * Pace() + 0.2 * LanguageModelLikelihood()
    result = speak("in_context_steps:n=3,width=2", reward=three)
    names = {str(verifier) for verifier in three.verifiers}
    assert all(set(step.scores) == names for each in result.candidates for step in each.history)
    assert result.best.reward == max(candidate.reward for candidate in result.candidates)


def test_chinese(tmp_path: Path) -> None:
    text = "船长在湖边发现了一枚银币。他把它送给了国王！后来，雨下了很多天。"
    llasa = Llasa.from_pretrained(write_pair(tmp_path, letters="".join(sorted(set(text)))))
    result = Searcher(llasa, Loudness(), "in_context_steps:n=2").generate(text, VOICE, sampling=SHORT)
    assert "".join(step.text for step in result.best.history) == text
    assert result.language == "zh" and len(result.best.history) == 3


def test_a_long_text_is_spoken_whole_by_the_embedded_model(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """A text of 3,000 characters, which best-of-N refuses, is spoken; its run folder and its tree stay small."""
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
    assert "<- chosen" in drawn and drawn.count("finished at") == 33
    assert "33 rows from 1 root; the 1 finished row descends from 1 root" in drawn and "whole text " in drawn
    assert max(len(line) - len(line.lstrip("│├└─ ")) for line in drawn.splitlines()) <= 8


def test_a_run_folder_has_the_steps(speak: Speak, tmp_path: Path) -> None:
    """A loaded run has the text, codes, audio, reward and scores of each step."""
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


def test_the_command_line_runs_in_context_steps(
    cli: Callable[..., Any], pair_path: Any, tmp_path: Any
) -> None:
    arguments = ("--model", pair_path, "--verifier", "pace", "--out", tmp_path / "a.wav")
    done = cli("say", TEXT, "--strategy", "in_context_steps:n=4,width=2", *arguments)
    assert done.code == 0, done.err
    assert (tmp_path / "a.wav").exists() and "of 2" in done.out
