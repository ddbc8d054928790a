"""WER: windows, batches, unfinished speech, and checkpoints that are refused."""

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
from llasa_search.verifiers.word_errors.normalise import normalised
from llasa_search.verifiers.word_errors.prefix import partial_error_rate
from llasa_search.voice import Prompt, Voice

Noise = Callable[..., Audio]


@given(st.integers(0, 60_000), st.integers(4_000, 17_000), st.integers(0, 9))
def test_windows_join_to_the_audio(length: int, size: int, seed: int) -> None:
    """The pieces are the audio without gaps or overlaps, and none exceeds the window."""
    audio = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    pieces = list(windows(audio, size))
    np.testing.assert_array_equal(np.concatenate([*pieces, audio[:0]]), audio)
    assert all(0 < len(piece) <= size for piece in pieces)


def test_windows_are_cut_in_a_pause() -> None:
    """A cut is in the pause, not in a word."""
    audio = np.ones(30_000, np.float32)
    audio[14_000:15_000] = 0
    first = next(iter(windows(audio, 16_000)))
    assert 14_000 <= len(first) <= 15_000


def utterance(audio: Audio, text: str = "one two three", sample_rate: int = 16_000) -> Utterance:
    return Utterance(text, "en", audio, sample_rate)


def test_a_batch_scores_as_its_utterances_alone(asr_path: Path, noise: Noise) -> None:
    """Scores do not depend on the other utterances of a batch, nor on their order."""
    verifier = WER(model=str(asr_path))
    audios = [noise(1.5, 1), 0.01 * noise(0.4, 2), noise(5.0, 3), np.zeros(0, np.float32), noise(1.0, 4)]
    together = verifier.score([utterance(audio) for audio in audios])
    alone = [verifier.score([utterance(audio)])[0] for audio in audios]
    assert together == alone
    assert len({score.detail for score in together}) > 1


def test_audio_without_samples_has_an_error_rate_of_1(asr_path: Path) -> None:
    """Speech that ended at its first token has an empty transcript."""
    score = WER(model=str(asr_path)).score([utterance(np.zeros(0, np.float32))])[0]
    assert (score.value, score.detail) == (1.0, "")


def test_unfinished_speech_is_scored_by_the_nearest_prefix(asr_path: Path, noise: Noise) -> None:
    """The rate is that of the nearest prefix at the voice's pace; below half a second there is no score."""
    verifier = WER(model=str(asr_path))
    voice = Voice(noise(1.0, 9), "a voice that says six words", sample_rate=16_000)
    text = "one captain and two coins lie near the lake"
    (transcript,) = verifier.transcribe([noise(1.0)], [16_000], "en")
    row = replace(utterance(noise(1.0), text), final=False)
    for prompt, expected in ((voice, 3), (None, 1)):
        score = verifier.score([replace(row, voice=prompt)])[0]
        assert score.value == partial_error_rate(
            normalised(text, "en"), normalised(transcript, "en"), expected
        )
        assert score.detail == transcript
    too_short = replace(row, audio=noise(0.4))
    assert [each.status for each in verifier.score([too_short, row])] == ["abstained", "scored"]
    assert verifier.score([replace(too_short, final=True)])[0].status == "scored"


def test_other_sample_rates_are_resampled(asr_path: Path, noise: Noise) -> None:
    """Speech at 48 kHz is transcribed as after resampling it to 16 kHz."""
    import soxr

    verifier, audio = WER(model=str(asr_path)), noise(1.0)
    upsampled = soxr.resample(audio, 16_000, 48_000).astype(np.float32)
    transcripts = verifier.transcribe([upsampled], [48_000], "en")
    assert transcripts == verifier.transcribe([soxr.resample(upsampled, 48_000, 16_000)], [16_000], "en")


def test_an_english_checkpoint_refuses_chinese(asr_path: Path) -> None:
    """A checkpoint that cannot write Chinese refuses a Chinese prompt, and accepts an English one."""
    verifier = WER(model=str(asr_path))
    with pytest.raises(InputError, match=r"knows en, and the text is Chinese"):
        verifier.check(Prompt("今天", "zh"))
    verifier.check(Prompt("today", "en"))


def test_an_unknown_recogniser_is_refused_with_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'large-v3'"):
        WER(model="larg-v3").load()


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path) -> None:
    """The file is not unpickled, and the error names it."""
    path = tmp_path / "asr.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ModelError, match=r"asr\.pt cannot be loaded"):
        WER(model=str(path)).load()


def test_without_network_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that cannot be downloaded is refused with advice."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="cannot be downloaded"):
        WER(model="tiny.en").load()
