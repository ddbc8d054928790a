"""History of in-context steps: what fits the context window, and how steps are joined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from llasa_search.arrays import Audio
from llasa_search.budget import BudgetTracker
from llasa_search.candidate import Candidate
from llasa_search.generation.joining import joined, trimmed
from llasa_search.generation.sampler import Sampler
from llasa_search.llasa.model import Llasa
from llasa_search.sampling import Sampling
from llasa_search.voice import Prompt, Step, Voice

TEXT = "The captain found a silver coin."
SHORT = Sampling(min_seconds=0.1, max_seconds=0.4)


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice(0.1 * np.random.default_rng(0).standard_normal(8_000), "hello world", 16_000)


@pytest.mark.parametrize("with_voice", [True, False])
def test_the_oldest_steps_are_dropped_first(llasa: Llasa, voice: Voice, with_voice: bool) -> None:
    """The prompt fits the window, text and codes are dropped together, and the voice or the first step stays."""
    sampler = Sampler(llasa, Prompt(TEXT, "en", voice), SHORT, 0, BudgetTracker())
    history = tuple(Step(f"step {i}.", np.full(400 + i, i, np.int32)) for i in range(6))
    at = sampler.at(Prompt(TEXT, "en", voice if with_voice else None, history))
    kept = at.prompt.history
    assert kept == (history[2:] if with_voice else (history[0], *history[3:]))
    spoken = [voice.text] * with_voice + [step.text for step in kept] + [TEXT]
    ids = llasa.format.prompt_ids(" ".join(map(str, spoken)), at.decoder.context)
    assert len(ids) + at.maximum <= llasa.max_length < len(ids) + at.maximum + 400
    assert at.decoder.context[-1] == 5 and len(at.decoder.context) == sum(
        len(step.codes) for step in kept
    ) + (len(llasa.voice_codes(voice)) if with_voice else 0)


def test_the_number_of_stored_prefills_is_bounded(llasa: Llasa) -> None:
    """The memory for prefilled prompts does not grow with the text."""
    sampler = Sampler(llasa, Prompt(TEXT, "en"), SHORT, 0, BudgetTracker())
    for number in range(20):
        sampler.at(Prompt(f"step {number}", "en")).start(1)
    assert len(sampler._state.prefixes) == 16


def test_silent_edges_are_trimmed(
    candidates: Callable[[int], list[Candidate]], noise: Callable[..., Audio]
) -> None:
    """Long silences at the edges are shortened; speech, and the short pause of a full stop, are kept."""
    silence = np.zeros(16_000, np.float32)
    audio = np.concatenate((silence, noise(0.5), silence[:1_600]))
    (made,) = candidates(1)
    step = replace(made, codes=np.arange(80, dtype=np.int32), logprobs=np.zeros(81, np.float32), audio=audio)
    short = trimmed(step, 16_000)
    assert short.codes.tolist() == list(range(40, 80)) and len(short.logprobs) == 40
    np.testing.assert_array_equal(short.audio, audio[40 * 320 :])
    silent = trimmed(replace(step, audio=np.zeros_like(audio)), 16_000)
    assert len(silent.codes) == 10 and silent.audio is not None and len(silent.audio) == 3_200
    whole = joined("all", [short, silent])
    assert len(whole.codes) == len(whole.logprobs) == 50 and whole.finish_reason == "stop"
