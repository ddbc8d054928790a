"""Counting errors under each protocol: the unit, what is folded, and what is not."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.errors import InputError
from llasa_search.verifiers import WER
from llasa_search.verifiers.word_errors.alignment import Errors, ProtocolName, errors, normaliser

WORDS = st.lists(
    st.sampled_from(["captain", "coin", "21", "don't", "um", "Mr.", "well-known"]), min_size=1, max_size=8
)


@pytest.mark.parametrize("protocol", ["whisper", "seed-tts-eval"])
@given(words=WORDS)
def test_silence_is_exactly_1(protocol: ProtocolName, words: list[str]) -> None:
    """Guards against an empty transcript that counts as perfect, as peers have had it."""
    text = " ".join(words)
    assert errors(text, "", "en", protocol).rate == 1.0
    assert errors(text, text, "en", protocol).edits == 0


@pytest.mark.parametrize(
    ("text", "heard", "language", "rate"),
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
def test_whisper_protocol(text: str, heard: str, language: str, rate: float) -> None:
    """Guards against errors in normalisation, in the unit (word or character), and a rate capped at 1."""
    assert errors(text, heard, language).rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "heard", "language", "expected"),
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
def test_seed_tts_eval_protocol(text: str, heard: str, language: str, expected: Errors) -> None:
    """Guards against numbers that are not those of the benchmark's run_wer.py."""
    assert errors(text, heard, language, "seed-tts-eval") == expected


def by_hand(text: str, language: str) -> list[str]:
    """The benchmark's rules, one replacement after another."""
    from zhon.hanzi import punctuation

    for mark in punctuation + string.punctuation:
        if mark != "'":
            text = text.replace(mark, "")
    return list(text.replace(" ", "")) if language == "zh" else text.lower().split()


@given(st.text("aB'’“”,.;:!?-—$% 今天好，。、《》…～", max_size=30), st.sampled_from(["en", "zh"]))
def test_seed_tts_eval_equals_its_rules_one_by_one(text: str, language: str) -> None:
    """Guards against a table of punctuation that lacks a mark; its slow twin deletes one after another."""
    assert normaliser(text, language, "seed-tts-eval")(text) == by_hand(text, language)


def test_corpus_value_is_not_the_mean_of_rates() -> None:
    counts = [errors("a silver coin sank", "a silver coin", "en"), errors("coin", "spoon", "en")]
    assert sum(each.edits for each in counts) / sum(each.length for each in counts) == pytest.approx(0.4)


@pytest.mark.parametrize("protocol", ["whisper", "seed-tts-eval"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_text_without_words_has_no_rate(protocol: ProtocolName, language: str) -> None:
    with pytest.raises(InputError, match="no words"):
        errors("...", "hello", language, protocol)


def test_unknown_protocol_names_those_there_are() -> None:
    """Guards against a misspelt protocol that is found out after sampling."""
    with pytest.raises(InputError, match="'whisper' and 'seed-tts-eval'"):
        WER(protocol="seed-tts")  # type: ignore[arg-type]


def test_protocol_is_part_of_the_identity() -> None:
    """Guards against values of two protocols that share one name in a stored run."""
    assert str(WER(protocol="seed-tts-eval")) == "WER(protocol='seed-tts-eval')"
    assert str(WER(protocol="whisper")) == "WER()"
