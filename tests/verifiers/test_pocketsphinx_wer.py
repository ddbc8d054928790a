"""The judge hears what is said, counts errors right, and no score depends on another recording."""

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
    """A judge by a uniform unigram over the words of three built-in voices' recordings."""
    model, dictionary = write_unigram(tmp_path_factory.mktemp("judge") / "unigram")
    return PocketsphinxWER(str(model), str(dictionary))


def _score(judge: PocketsphinxWER, text: str, audio: Audio, rate: int = 16_000) -> Score:
    return judge.score([Utterance(text, "en", audio, rate)])[0]


@pytest.mark.parametrize("name", ["rms", "kal16", "slt"])
def test_the_right_text_scores_far_better_than_another(judge: PocketsphinxWER, name: str) -> None:
    """A judge that is deaf, or that is fed samples of the wrong scale or rate."""
    voice = Voice.builtin(name)
    others = [text for text in SPOKEN if text != voice.text]
    assert _score(judge, voice.text or "", voice.audio).value <= 0.2
    assert all(_score(judge, other, voice.audio).value >= 0.5 for other in others)


def test_a_transcript_does_not_depend_on_what_was_heard_before(judge: PocketsphinxWER) -> None:
    """State of pocketsphinx's front end, which carries over; speech backwards is where it shows."""
    voices = [Voice.builtin(name).audio[::-1] for name in ("rms", "kal16", "slt", "awb")]
    together = judge.transcribe(voices, [16_000] * 4, "en")
    for audio, transcript in zip(voices, together, strict=True):
        _decoder.cache_clear()
        assert judge.transcribe([audio], [16_000], "en") == [transcript]


def test_other_sample_rates_are_heard(judge: PocketsphinxWER) -> None:
    """24 kHz samples taken for 16 kHz ones."""
    import soxr

    voice = Voice.builtin("kal16")
    resampled = soxr.resample(voice.audio, 16_000, 24_000)
    assert _score(judge, voice.text or "", resampled, 24_000).value <= 0.2


@pytest.mark.parametrize("samples", [0, 1, 100, 32_000])
def test_silence_is_exactly_1(judge: PocketsphinxWER, samples: int) -> None:
    """A word heard in digital silence, and nothing at all counted as perfect."""
    score = _score(judge, "the captain found a coin", np.zeros(samples, np.float32))
    assert (score.value, score.detail) == (1.0, "")


@given(words=st.lists(st.sampled_from(["captain", "coin", "two", "don't"]), min_size=1), data=st.data())
def test_each_kind_of_error_is_counted_apart(
    judge: PocketsphinxWER, words: list[str], data: st.DataObject
) -> None:
    """Deletions booked as insertions, or the words counted on the wrong side."""
    text = " ".join(words).title() + "."
    assert judge.errors(text, " ".join(words)) == (0, 0, 0, len(words))
    assert judge.errors(text, "") == (0, len(words), 0, len(words))
    at = data.draw(st.integers(0, len(words) - 1))
    assert judge.errors(text, " ".join(words[:at] + words[at + 1 :])) == (0, 1, 0, len(words))
    assert judge.errors(text, " ".join([*words[:at], "zebra", *words[at:]])) == (0, 0, 1, len(words))
    assert judge.errors(text, " ".join([*words[:at], "zebra", *words[at + 1 :]])) == (1, 0, 0, len(words))


def test_words_that_sound_alike_are_the_same_word(judge: PocketsphinxWER) -> None:
    """An acoustic judge that counts spelling: nobody hears "two" from "to"."""
    assert judge.errors("We knew two of them", "we new to of them").total == 0
    assert judge.errors("We knew two of them", "we new three of them").substitutions == 1


def test_a_copy_in_another_process_is_the_same_judge(judge: PocketsphinxWER) -> None:
    """A loaded decoder that keeps the judge from being sent to worker processes."""
    judge.load()
    copy = pickle.loads(pickle.dumps(judge))
    assert copy == judge and str(copy) == str(judge)
    assert copy.transcribe([Voice.builtin("rms").audio], [16_000], "en") != [""]


def test_it_is_marked_as_a_judge_and_does_not_write_into_the_audio(judge: PocketsphinxWER) -> None:
    """A judge that a search cannot tell from its own verifiers."""
    audio = Voice.builtin("rms").audio
    before = audio.copy()
    _score(judge, "one two", audio)
    assert judge.judge and judge.family == "pocketsphinx"
    assert np.array_equal(audio, before)


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        ("There are 27 boxes.", "en", "has digits"),
        ("...", "en", "no words"),
        ("今天天气好", "zh", "English only"),
    ],
)
def test_a_text_that_it_cannot_judge_is_refused(
    judge: PocketsphinxWER, text: str, language: str, message: str
) -> None:
    """Numbers scored against the words they are spoken as, which is always wrong."""
    with pytest.raises(InputError, match=message):
        judge.check(Prompt(text, language))
    with pytest.raises(InputError, match=message):
        judge.score([Utterance(text, language, np.zeros(16_000, np.float32), 16_000)])


def test_a_word_without_pronunciation_is_named(judge: PocketsphinxWER) -> None:
    """A word that can never be heard, and silently counts against every candidate."""
    with pytest.warns(UserWarning, match="'qzxv'"):
        judge.check(Prompt("The qzxv found a coin.", "en"))


def test_nan_is_refused(judge: PocketsphinxWER) -> None:
    """NaN turned into samples of some integer."""
    with pytest.raises(InputError, match="NaN"):
        judge.transcribe([np.full(16_000, np.nan, np.float32)], [16_000], "en")


def test_files_that_are_missing_or_no_language_model_are_named(tmp_path: Path) -> None:
    """pocketsphinx's own message, which names no file."""
    with pytest.raises(InputError, match=r"no file nowhere\.arpa"):
        PocketsphinxWER("nowhere.arpa").load()
    wrong = tmp_path / "wrong.arpa"
    wrong.write_text("hello")
    with pytest.raises(ModelError, match=r"wrong\.arpa"):
        PocketsphinxWER(str(wrong)).load()
