"""Word errors under each protocol: units, normalisation, and what is refused."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.errors import InputError
from llasa_search.verifiers import WER
from llasa_search.verifiers.word_errors import Errors, errors
from llasa_search.verifiers.word_errors.normalise import ProtocolName, normaliser

WORDS = st.lists(
    st.sampled_from(["captain", "coin", "21", "don't", "um", "Mr.", "well-known"]), min_size=1, max_size=8
)


@pytest.mark.parametrize("protocol", ["whisper", "seed-tts-eval"])
@given(words=WORDS)
def test_silence_is_exactly_1(protocol: ProtocolName, words: list[str]) -> None:
    """An empty transcript has an error rate of 1, and the text itself has no errors."""
    text = " ".join(words)
    assert errors(text, "", "en", protocol).rate == 1.0
    assert errors(text, text, "en", protocol).edits == 0


@pytest.mark.parametrize(
    ("text", "said", "language", "rate"),
    [
        ("The captain found a coin.", "the captain found the coin", "en", 0.2),
        ("Stop.", "stop it now please", "en", 3.0),
        ("Mr. Smith paid $21.", "mister smith paid twenty one dollars", "en", 0.0),
        ("Its colour", "it's color", "en", 1.0),
        ("Wait... what?", "wait what", "en", 0.0),
        ("Hmm.", "hmm", "en", 0.0),
        ("Hmm.", "", "en", 1.0),
        ("今天天气好。", "今天天气好", "zh", 0.0),
        ("今天天气好。", "今天 天汽 好", "zh", 0.2),
        ("今天", "", "zh", 1.0),
        ("我有ABC", "我有abc", "zh", 0.0),
        ("今天天氣好，看著！", "今天天气好看着", "zh", 0.0),
        ("今天天气好", "今天天氣好", "zh", 0.0),
    ],
)
def test_the_whisper_protocol(text: str, said: str, language: str, rate: float) -> None:
    """Spellings and numbers are normalised, Chinese is counted by character, and the rate can exceed 1."""
    assert errors(text, said, language).rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "said", "language", "expected"),
    [
        ("The captain's coin.", "the captain's coin", "en", Errors(0, 3)),
        ("It cost 21 dollars", "it cost twenty one dollars", "en", Errors(2, 4)),
        ("Its colour", "its color", "en", Errors(1, 2)),
        ("A well-known face", "a well known face", "en", Errors(2, 3)),
        ("Wait — what?", "wait what", "en", Errors(0, 2)),
        ("Don’t go", "dont go", "en", Errors(0, 2)),
        ("今天，天气“好”。", "今天天汽好", "zh", Errors(1, 5)),
        ("今天天气好", "今天天氣 好", "zh", Errors(0, 5)),
        ("我有ABC", "我有abc", "zh", Errors(3, 5)),
    ],
)
def test_the_seed_tts_eval_protocol(text: str, said: str, language: str, expected: Errors) -> None:
    """Edits and lengths are those of the benchmark's run_wer.py."""
    assert errors(text, said, language, "seed-tts-eval") == expected


def by_hand(text: str, language: str) -> list[str]:
    """Applies the benchmark's rules one after the other."""
    from zhon.hanzi import punctuation

    for mark in punctuation + string.punctuation:
        if mark != "'":
            text = text.replace(mark, "")
    return list(text.replace(" ", "")) if language == "zh" else text.lower().split()


@given(st.text("aB'’“”,.;:!?-—$% 今天好，。、《》…～", max_size=30), st.sampled_from(["en", "zh"]))
def test_seed_tts_eval_normalises_by_its_rules(text: str, language: str) -> None:
    """The normaliser equals the benchmark's rules, applied one after the other."""
    assert normaliser(text, language, "seed-tts-eval")(text) == by_hand(text, language)


def test_a_corpus_error_rate_is_the_ratio_of_sums() -> None:
    counts = [errors("a silver coin sank", "a silver coin", "en"), errors("coin", "spoon", "en")]
    assert sum(each.edits for each in counts) / sum(each.length for each in counts) == pytest.approx(0.4)


@pytest.mark.parametrize("protocol", ["whisper", "seed-tts-eval"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_text_without_words_is_refused(protocol: ProtocolName, language: str) -> None:
    with pytest.raises(InputError, match="no words"):
        errors("...", "hello", language, protocol)


def test_an_unknown_protocol_is_refused_with_the_known_ones() -> None:
    """The verifier refuses it when it is made."""
    with pytest.raises(InputError, match="'whisper' and 'seed-tts-eval'"):
        WER(protocol="seed-tts")  # type: ignore[arg-type]


def test_the_protocol_is_part_of_the_printed_form() -> None:
    """Scores of two protocols have different names in a stored run."""
    assert str(WER(protocol="seed-tts-eval")) == "WER(protocol='seed-tts-eval')"
    assert str(WER(protocol="whisper")) == "WER()"
