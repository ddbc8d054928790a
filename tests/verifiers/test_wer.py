"""Word error rate: windows, batches, unfinished speech, and checkpoints that cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.arrays import Audio
from llasa_search.candidate import Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.verifiers import WER
from llasa_search.verifiers.backends.batches import windows
from llasa_search.verifiers.word_errors.alignment import normaliser
from llasa_search.verifiers.word_errors.prefix import partial_error_rate
from llasa_search.voice import Prompt, Voice

Noise = Callable[..., Audio]


@given(st.integers(0, 60_000), st.integers(4_000, 17_000), st.integers(0, 9))
def test_windows_leave_nothing_out(length: int, size: int, seed: int) -> None:
    """Guards against audio that is trimmed to the window, and windows that overlap or exceed it."""
    audio = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    pieces = list(windows(audio, size))
    np.testing.assert_array_equal(np.concatenate([*pieces, audio[:0]]), audio)
    assert all(0 < len(piece) <= size for piece in pieces)


def test_windows_are_cut_in_the_pause() -> None:
    """Guards against a cut through a word where there is a pause to cut at."""
    audio = np.ones(30_000, np.float32)
    audio[14_000:15_000] = 0
    first = next(iter(windows(audio, 16_000)))
    assert 14_000 <= len(first) <= 15_000


def utterance(audio: Audio, text: str = "one two three", sample_rate: int = 16_000) -> Utterance:
    return Utterance(text, "en", audio, sample_rate)


def test_batch_equals_single(asr_path: Path, noise: Noise) -> None:
    """Guards against spectrograms whose floor is set by the loudest of the batch, and a mixed-up order."""
    verifier = WER(model=str(asr_path))
    audios = [noise(1.5, 1), 0.01 * noise(0.4, 2), noise(5.0, 3), np.zeros(0, np.float32), noise(1.0, 4)]
    together = verifier.score([utterance(audio) for audio in audios])
    alone = [verifier.score([utterance(audio)])[0] for audio in audios]
    assert together == alone
    assert len({score.detail for score in together}) > 1


def test_no_audio_is_silence(asr_path: Path) -> None:
    """Guards against a crash or a lucky guess on speech that ended at its first token."""
    score = WER(model=str(asr_path)).score([utterance(np.zeros(0, np.float32))])[0]
    assert (score.value, score.detail) == (1.0, "")


def test_unfinished_speech(asr_path: Path, noise: Noise) -> None:
    """Guards against a prefix judged by the whole text, another pace than the voice's, and haste."""
    verifier = WER(model=str(asr_path))
    voice = Voice(noise(1.0, 9), "a voice that says six words", sample_rate=16_000)
    text = "one captain and two coins lie near the lake"
    (heard,) = verifier.transcribe([noise(1.0)], [16_000], "en")
    words = normaliser(text, "en")
    row = replace(utterance(noise(1.0), text), final=False)
    for prompt, expected in ((voice, 3), (None, 1)):
        score = verifier.score([replace(row, voice=prompt)])[0]
        assert score.value == partial_error_rate(words(text), words(heard), expected)
        assert score.detail == heard
    too_short = replace(row, audio=noise(0.4))
    assert [each.status for each in verifier.score([too_short, row])] == ["abstained", "scored"]
    assert verifier.score([replace(too_short, final=True)])[0].status == "scored"


def test_other_sample_rates_are_resampled(asr_path: Path, noise: Noise) -> None:
    """Guards against speech at 24 kHz heard as slow speech at 16 kHz."""
    import soxr

    verifier, audio = WER(model=str(asr_path)), noise(1.0)
    upsampled = soxr.resample(audio, 16_000, 48_000).astype(np.float32)
    heard = verifier.transcribe([upsampled], [48_000], "en")
    assert heard == verifier.transcribe([soxr.resample(upsampled, 48_000, 16_000)], [16_000], "en")


def test_english_checkpoint_refuses_chinese(asr_path: Path) -> None:
    """Guards against Chinese judged by a model that cannot write it."""
    verifier = WER(model=str(asr_path))
    with pytest.raises(InputError, match="English only"):
        verifier.check(Prompt("今天", "zh"))
    verifier.check(Prompt("today", "en"))


def test_unknown_recogniser_suggests() -> None:
    with pytest.raises(InputError, match="did you mean 'large-v3'"):
        WER(model="larg-v3").load()


def test_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    """Guards against a pickle traceback, and against unpickling whatever a file holds."""
    path = tmp_path / "asr.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match="not an openai-whisper checkpoint"):
        WER(model=str(path)).load()


def test_download_without_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards against an URL error without advice."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="cannot be downloaded"):
        WER(model="tiny.en").load()
