"""PocketsphinxWER: transcripts, error counts, independence of recordings, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError, ModelError
from llasa_search.verifiers.pocketsphinx_wer import PocketsphinxWER, _decoder
from llasa_search.voice import Prompt, Voice
from tests.helpers.tiny_verifiers import SPOKEN, write_unigram

pytest.importorskip("pocketsphinx")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> PocketsphinxWER:
    """A judge with a uniform unigram model over the words of three built-in voices' recordings."""
    model, dictionary = write_unigram(tmp_path_factory.mktemp("judge") / "unigram")
    return PocketsphinxWER(str(model), str(dictionary))


def _score(judge: PocketsphinxWER, text: str, audio: Audio, rate: int = 16_000) -> Score:
    return judge.score([Utterance(text, "en", audio, rate)])[0]


@pytest.mark.parametrize("name", ["rms", "kal16", "slt"])
def test_the_spoken_text_has_a_lower_error_rate_than_another(judge: PocketsphinxWER, name: str) -> None:
    """A recording has few errors against its own text, and many against the others."""
    voice = Voice.builtin(name)
    others = [text for text in SPOKEN if text != voice.text]
    assert _score(judge, voice.text or "", voice.audio).value <= 0.2
    assert all(_score(judge, other, voice.audio).value >= 0.5 for other in others)


def test_a_transcript_does_not_depend_on_earlier_recordings(judge: PocketsphinxWER) -> None:
    """Transcripts equal those of a new decoder. Reversed speech is sensitive to the front end's state."""
    voices = [Voice.builtin(name).audio[::-1] for name in ("rms", "kal16", "slt", "awb")]
    together = judge.transcribe(voices, [16_000] * 4, "en")
    for audio, transcript in zip(voices, together, strict=True):
        _decoder.cache_clear()
        assert judge.transcribe([audio], [16_000], "en") == [transcript]


def test_other_sample_rates_are_resampled(judge: PocketsphinxWER) -> None:
    """A recording at 24 kHz is transcribed as well as at 16 kHz."""
    import soxr

    voice = Voice.builtin("kal16")
    resampled = soxr.resample(voice.audio, 16_000, 24_000)
    assert _score(judge, voice.text or "", resampled, 24_000).value <= 0.2


@pytest.mark.parametrize("samples", [0, 1, 100, 32_000])
def test_silence_is_exactly_1(judge: PocketsphinxWER, samples: int) -> None:
    """Silence, also without samples, has an empty transcript and an error rate of 1."""
    score = _score(judge, "the captain found a coin", np.zeros(samples, np.float32))
    assert (score.value, score.detail) == (1.0, "")


@given(words=st.lists(st.sampled_from(["captain", "coin", "two", "don't"]), min_size=1), data=st.data())
def test_each_kind_of_error_is_counted_separately(
    judge: PocketsphinxWER, words: list[str], data: st.DataObject
) -> None:
    """One substitution, deletion or insertion is counted as such, and the words are those of the text."""
    text = " ".join(words).title() + "."
    assert judge.errors(text, " ".join(words)) == (0, 0, 0, len(words))
    assert judge.errors(text, "") == (0, len(words), 0, len(words))
    at = data.draw(st.integers(0, len(words) - 1))
    assert judge.errors(text, " ".join(words[:at] + words[at + 1 :])) == (0, 1, 0, len(words))
    assert judge.errors(text, " ".join([*words[:at], "zebra", *words[at:]])) == (0, 0, 1, len(words))
    assert judge.errors(text, " ".join([*words[:at], "zebra", *words[at + 1 :]])) == (1, 0, 0, len(words))


def test_homophones_are_equal(judge: PocketsphinxWER) -> None:
    """Words with the same pronunciation, such as "two" and "to", are not errors."""
    assert judge.errors("We knew two of them", "we new to of them").total == 0
    assert judge.errors("We knew two of them", "we new three of them").substitutions == 1


def test_a_loaded_judge_can_be_pickled(judge: PocketsphinxWER) -> None:
    """A loaded judge can be sent to another process, and the copy transcribes."""
    judge.load()
    copy = pickle.loads(pickle.dumps(judge))
    assert copy == judge and str(copy) == str(judge)
    assert copy.transcribe([Voice.builtin("rms").audio], [16_000], "en") != [""]


def test_it_is_a_judge_and_does_not_write_into_the_audio(judge: PocketsphinxWER) -> None:
    """The class is marked as a judge, and scoring leaves the audio as it was."""
    audio = Voice.builtin("rms").audio
    before = audio.copy()
    _score(judge, "one two", audio)
    assert judge.judge and judge.family == "pocketsphinx"
    assert np.array_equal(audio, before)


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        ("...", "en", "no words"),
        ("今天天气好", "zh", "knows en"),
    ],
)
def test_a_text_that_it_cannot_score_is_refused(
    judge: PocketsphinxWER, text: str, language: str, message: str
) -> None:
    """Texts without words, or in another language, are refused by `check` and by `score`."""
    with pytest.raises(InputError, match=message):
        judge.check(Prompt(text, language))
    with pytest.raises(InputError, match=message):
        judge.score([Utterance(text, language, np.zeros(16_000, np.float32), 16_000)])


def test_numbers_are_compared_as_spoken(judge: PocketsphinxWER) -> None:
    """On commit dd163da a text with digits was refused."""
    judge.check(Prompt("There are 27 boxes.", "en"))
    assert judge.counts("There are 27 boxes.", "en", "there are twenty seven boxes") == (0, 5)
    assert judge.counts("There are 27 boxes.", "en", "there are twenty eight boxes") == (1, 5)


def test_a_word_without_pronunciation_causes_a_warning(judge: PocketsphinxWER) -> None:
    """The warning names the word, which will count as an error in every candidate."""
    with pytest.warns(UserWarning, match="'qzxv'"):
        judge.check(Prompt("The qzxv found a coin.", "en"))


def test_audio_with_nan_samples_is_refused(judge: PocketsphinxWER) -> None:
    with pytest.raises(InputError, match="NaN"):
        judge.transcribe([np.full(16_000, np.nan, np.float32)], [16_000], "en")


def test_missing_and_invalid_language_models_are_refused_by_name(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(InputError, match=r"no file nowhere\.arpa"):
        PocketsphinxWER("nowhere.arpa").load()
    wrong = tmp_path / "wrong.arpa"
    wrong.write_text("hello")
    with pytest.raises(ModelError, match=r"wrong\.arpa"):
        PocketsphinxWER(str(wrong)).load()
