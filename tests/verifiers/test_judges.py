"""Judges from other packages: their scores, what they refuse, and the error if they are not installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from llasa_search import registry
from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.cli.listing import verifier_rows
from llasa_search.errors import ModelError
from llasa_search.scoring.isolation import safe_scores
from llasa_search.verifiers import Naturalness, ResemblyzerSimilarity, Verifier, resemblyzer_similarity
from llasa_search.voice import Voice


def score_of(verifier: Verifier, audio: Audio, rate: int = 16_000, voice: Voice | None = None) -> Score:
    return safe_scores(verifier, [Utterance("one", "en", audio, rate, voice=voice)])[0]


@pytest.fixture
def dnsmos() -> Naturalness:
    pytest.importorskip("speechmos")
    pytest.importorskip("onnxruntime")
    return Naturalness()


@pytest.fixture
def resemblyzer() -> ResemblyzerSimilarity:
    pytest.importorskip("resemblyzer")
    return ResemblyzerSimilarity()


def test_noise_and_clipping_lower_naturalness(dnsmos: Naturalness) -> None:
    """Clean speech has a plausible rating, and noisy or clipped speech one that is lower by 0.5 or more."""
    voice = Voice.builtin("rms").audio
    noisy = voice + 0.1 * np.random.default_rng(0).standard_normal(len(voice)).astype(np.float32)
    clean, worse, clipped = (score_of(dnsmos, audio) for audio in (voice, noisy, 50 * voice))
    assert 2.5 < clean.value < 4 and "signal" in clean.detail and "background" in clean.detail
    assert worse.value < clean.value - 0.5 and clipped.value < clean.value - 0.5


def test_naturalness_resamples_other_sample_rates(dnsmos: Naturalness) -> None:
    import soxr

    voice = Voice.builtin("rms").audio
    resampled = np.asarray(soxr.resample(voice, 16_000, 24_000), np.float32)
    assert score_of(dnsmos, resampled, 24_000).value == pytest.approx(score_of(dnsmos, voice).value, abs=0.1)


@pytest.mark.parametrize("samples", [0, 1, 16_000])
def test_naturalness_of_silence_fails(dnsmos: Naturalness, samples: int) -> None:
    """Silence and audio without samples fail, and end at once."""
    found = score_of(dnsmos, np.zeros(samples, np.float32))
    assert found.status == "failed" and "silence" in found.detail


def test_the_same_speaker_has_a_higher_similarity_than_another(resemblyzer: ResemblyzerSimilarity) -> None:
    """Each utterance is compared with its own voice prompt."""
    voices = [Voice.builtin(name) for name in ("slt", "kal16")]
    for voice, other in (voices, voices[::-1]):
        half = len(voice.audio) // 2
        own = score_of(resemblyzer, voice.audio[half:], voice=Voice(voice.audio[:half], "one", 16_000))
        different = score_of(resemblyzer, other.audio, voice=voice)
        assert own.value > 0.7 > different.value > 0
        assert score_of(resemblyzer, voice.audio, voice=voice).value == pytest.approx(1.0, abs=1e-5)


def test_speaker_similarity_of_silence_fails(resemblyzer: ResemblyzerSimilarity) -> None:
    """Audio without a detectable voice fails."""
    for audio in (np.zeros(16_000, np.float32), np.full(16_000, 1e-6, np.float32)):
        found = score_of(resemblyzer, audio, voice=Voice.builtin("slt"))
        assert found.status == "failed" and "no voice" in found.detail


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("naturalness", "speechmos.dnsmos"),
        ("resemblyzer_similarity", "resemblyzer"),
        ("pocketsphinx_wer", "pocketsphinx"),
    ],
)
def test_loading_a_judge_that_is_not_installed_names_the_extra(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the extra that brings the judge's library, and the list marks it as a judge."""
    from llasa_search.verifiers.pocketsphinx_wer import _decoder

    for cache in (_decoder, resemblyzer_similarity._encoder):
        cache.cache_clear()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelError, match=rf"{module} cannot be imported.*llasa-search\[judges\]"):
        registry.verifiers.get(name)().load()
    (row,) = [dict(zip(verifier_rows()[0], row, strict=True)) for row in verifier_rows() if row[0] == name]
    assert row["judge"] == "yes"
