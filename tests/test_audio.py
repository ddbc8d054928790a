"""Recordings that are read for scoring: offsets, opposite channels, and silence."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from llasa_search import search
from llasa_search.arrays import Audio
from llasa_search.audio import without_offset
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError
from llasa_search.reward.base import Reward
from llasa_search.verifiers import WER, Pace, Signal
from llasa_search.voice import Voice

Change = Callable[[Audio], Audio]


def value(verifier: Reward, audio: Audio, rate: int = 16_000) -> float:
    """Returns the score of a recording of slt's sentence."""
    result = search.select([(audio, rate)], str(Voice.builtin("slt").text), verifiers=verifier, gate=None)
    (score,) = result.best.scores.values()
    return score.value


def constant(audio: Audio) -> Audio:
    return audio + np.float32(0.05)


def negative(audio: Audio) -> Audio:
    return audio - np.float32(0.1)


def drift(audio: Audio) -> Audio:
    return audio + np.linspace(-0.08, 0.08, len(audio), dtype=np.float32)


def of_one_channel(audio: Audio) -> Audio:
    return np.stack([audio, constant(audio)], axis=1)


@pytest.fixture(scope="module")
def wer() -> WER:
    return WER()


@pytest.mark.parametrize("change", [constant, negative, drift, of_one_channel])
def test_an_offset_does_not_change_the_transcript(wer: WER, change: Change) -> None:
    """An offset does not change the word error rate (it was 0.56 with an offset of 0.05)."""
    assert value(wer, change(Voice.builtin("slt").audio)) == 0


def test_opposite_channels_do_not_cancel(wer: WER) -> None:
    """Channels of opposite sign do not give silence, and a quiet opposite channel does not lower the level."""
    audio = Voice.builtin("slt").audio
    for channels in ([audio, -audio], [constant(audio), constant(-audio)], [audio, np.float32(-0.8) * audio]):
        assert value(wer, np.stack(channels, axis=1)) == 0
    assert np.array_equal(Voice(np.stack([audio, -audio], axis=1), sample_rate=16_000).audio, audio)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("level", [0.001, -0.3])
def test_a_constant_is_silence(rate: int, level: float) -> None:
    """A constant fails the gate like silence (two seconds of 0.001 passed it)."""
    audio = np.full(2 * rate, level, np.float32)
    assert value(Signal(), audio, rate) == 1
    assert value(Pace(), audio, rate) > 1
    utterance = Utterance("one two three", "en", audio, rate)
    assert Signal().score([utterance])[0].value == 1 and Pace().score([utterance])[0].value > 1
    with pytest.raises(InputError, match="silent"):
        Voice(audio, sample_rate=rate)


def test_speech_with_an_offset_has_the_length_of_its_sound() -> None:
    """Silence at both ends does not count, although the offset lifts it above the threshold."""
    silence = np.zeros(16_000, np.float32)
    audio = np.concatenate([silence, Voice.builtin("slt").audio, silence])
    assert value(Pace(), np.concatenate([audio, silence]) + np.float32(0.05)) == 0


def test_clean_speech_is_unchanged() -> None:
    """No sample of a built-in voice changes, so scores stay the same."""
    for name in Voice.builtins():
        for style in Voice.styles(name):
            audio = Voice.builtin(name, style).audio
            assert without_offset(audio, 16_000) is audio
