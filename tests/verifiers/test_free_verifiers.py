"""Verifiers that load no model: pace, signal, and the language model's likelihood."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.arrays import Audio
from llasa_search.audio import speech_seconds
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError
from llasa_search.scoring.isolation import safe_scores
from llasa_search.verifiers import LanguageModelLikelihood, Pace, Signal
from llasa_search.verifiers.signal import repetition
from llasa_search.voice import Prompt, Voice

Noise = Callable[..., Audio]
TEXT = "The captain found a silver coin near the lake."


@pytest.mark.parametrize(
    ("seconds", "doublings"), [(0.33, 2.0), (0.66, 1.0), (2.8, 0.0), (6.4, 0.0), (12.84, 1.0), (25.7, 2.0)]
)
def test_pace_is_0_inside_the_range_and_counts_doublings_outside(
    noise: Noise, seconds: float, doublings: float
) -> None:
    """The value is 0 for plausible lengths and the distance in doublings for others; the utility falls with it."""
    found = Pace().score([Utterance(TEXT, "en", noise(seconds), 16_000)])[0]
    assert found.value == pytest.approx(doublings, abs=0.1)
    assert Pace().utility(np.array([found.value]))[0] == pytest.approx(max(0, 1 - doublings), abs=0.1)


@given(st.integers(0, 40), st.integers(0, 40))
def test_silence_at_the_ends_does_not_slow_the_pace(before: int, after: int) -> None:
    """Silence before and after the speech does not count as speech."""
    speech = np.resize([0.1, -0.1], 16_000).astype(np.float32)
    padded = np.pad(speech, (320 * before, 320 * after))
    assert speech_seconds(padded, 16_000) == pytest.approx(1.0)


def test_pace_of_silence_is_far_outside() -> None:
    """Silence has a finite value above 1: a bad score, not a failure."""
    for audio in (np.zeros(0, np.float32), np.zeros(16_000, np.float32)):
        found = safe_scores(Pace(), [Utterance(TEXT, "en", audio, 16_000)])[0]
        assert found.status == "scored" and found.value > 1


def test_relative_pace_is_that_of_the_voice(noise: Noise) -> None:
    """With `relative`, speech at the pace of a slow voice is plausible."""
    voice = Voice(noise(8.0), "ten letters one", sample_rate=16_000)
    slow = Utterance(TEXT, "en", noise(14.0), 16_000, voice=voice)
    assert Pace().score([slow])[0].value > 0
    assert Pace(relative=True).score([slow])[0].value == pytest.approx(0.0, abs=0.2)
    assert str(Pace(relative=True)) == "Pace(relative=True)"


@pytest.mark.parametrize("voice", [None, "no transcript"])
def test_relative_pace_needs_a_transcript(noise: Noise, voice: str | None) -> None:
    prompt = Prompt(TEXT, "en", None if voice is None else Voice(noise(1.0), sample_rate=16_000))
    with pytest.raises(InputError, match="with its transcript"):
        Pace(relative=True).check(prompt)


def test_pace_refuses_a_text_without_letters() -> None:
    with pytest.raises(InputError, match="no letters"):
        Pace().check(Prompt("?!", "en"))


def signal_of(audio: Audio, codes: list[int] | None = None) -> float:
    array = None if codes is None else np.array(codes, np.int32)
    return Signal().score([Utterance(TEXT, "en", audio, 16_000, codes=array)])[0].value


def test_signal_finds_each_fault_and_none_in_correct_speech(noise: Noise) -> None:
    """Each of silence, clipping and repetition alone raises the value; speech without a fault has 0."""
    speech, codes = noise(2.0), list(range(100))
    assert signal_of(speech, codes) == 0
    assert signal_of(speech) == 0
    assert signal_of(np.zeros(32_000, np.float32), codes) == 1
    assert signal_of(np.concatenate([speech[:6_400], np.zeros(25_600, np.float32)]), codes) > 0.5
    assert signal_of(np.sign(speech), codes) == 1
    assert signal_of(speech, [*range(10)] * 10) == 1
    assert signal_of(speech, [7] * 100) == 1


@given(st.lists(st.integers(0, 65_535), max_size=60))
def test_repetition_is_between_0_and_1(codes: list[int]) -> None:
    """Repetition is a share, also for few codes, and doubled speech has a high one."""
    array = np.array(codes, np.int32)
    assert 0 <= repetition(array) < 1
    if len(codes) >= 20:
        assert repetition(np.concatenate([array, array])) >= 0.3


@pytest.mark.parametrize("verifier", [Pace(), Signal()])
def test_audio_with_nan_samples_fails(verifier: Pace | Signal, noise: Noise) -> None:
    """A NaN sample makes the score fail, and the detail names the reason."""
    audio = noise(1.0)
    audio[5] = np.nan
    found = safe_scores(verifier, [Utterance(TEXT, "en", audio, 16_000)])[0]
    assert found.status == "failed" and "NaN" in found.detail


def test_language_model_likelihood_is_a_mean(noise: Noise) -> None:
    """The value is the mean log-probability per code, and the utility grows with it."""
    verifier, logprobs = LanguageModelLikelihood(), np.array([-1.0, -2.0, -6.0], np.float32)
    speech = Utterance(TEXT, "en", noise(0.5), 16_000, logprobs=logprobs)
    assert verifier.score([speech])[0].value == pytest.approx(-3.0)
    assert verifier.utility(np.array([-20.0, -3.0, -2.0, 0.0])).tolist() == sorted(
        verifier.utility(np.array([-20.0, -3.0, -2.0, 0.0]))
    )


def test_recordings_have_no_language_model_likelihood(noise: Noise) -> None:
    """Speech without log-probabilities fails."""
    found = safe_scores(LanguageModelLikelihood(), [Utterance(TEXT, "en", noise(0.5), 16_000)])[0]
    assert found.status == "failed" and "log-probabilities" in found.detail
