"""Word errors under each protocol: units, normalisation, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.errors import InputError
from llasa_search.verifiers import WER
from llasa_search.verifiers.word_errors import Errors, errors
from llasa_search.verifiers.word_errors.normalise import ProtocolName

WORDS = st.lists(
    st.sampled_from(
        ["captain's", "colour", "21", "don't", "um", "Mr.", "well-known", "we've", "café,", "gonna"]
    ),
    min_size=1,
    max_size=8,
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
        ("Um, I think so.", "i think so", "en", 0.25),
        ("今天天气好。", "今天天气好", "zh", 0.0),
        ("今天天气好。", "今天 天汽 好", "zh", 0.2),
        ("今天", "", "zh", 1.0),
        ("我有ABC", "我有abc", "zh", 0.0),
        ("今天天氣好，看著！", "今天天气好看着", "zh", 0.0),
        ("今天天气好", "今天天氣好", "zh", 0.0),
    ],
)
def test_the_whisper_protocol(text: str, said: str, language: str, rate: float) -> None:
    """Spellings and numbers are normalised, Chinese is counted by character, and the rate can exceed 1.

    On commit dd163da "Um, I think so." said as "i think so" had a rate of 0.
    """
    assert errors(text, said, language).rate == pytest.approx(rate)


@pytest.mark.parametrize(
    ("text", "said", "language", "edits", "before"),
    [
        ("He said that the basement was modern (and rusty).", "modern and rusty", "en", 6, 7),
        ("The pipe is 20 mm wide.", "the pipe is twenty wide", "en", 1, 0),
        ("The [red] car", "the red car", "en", 0, 1),
        ("Don’t, it’s the captain’s.", "don't it's the captain's", "en", 0, 4),
        ("It cost $5.", "it cost five dollars", "en", 0, 0),
        ("It cost $5.", "it cost five", "en", 1, 1),
        ("It cost five dollars.", "It cost $5.", "en", 0, 0),
        ("In 1999.", "in nineteen ninety nine", "en", 0, 0),
        ("In 1999.", "in nineteen ninety eight", "en", 1, 1),
        ("At 10:30.", "at ten thirty", "en", 0, 2),
        ("At 10:30.", "at ten forty", "en", 1, 2),
        ("At ten thirty.", "At 10:30.", "en", 0, 2),
        ("The U.S. won.", "the us won", "en", 0, 2),
        ("The U.S. won.", "The US won.", "en", 0, 2),
        ("The BBC said so.", "the b b c said so", "en", 0, 3),
        ("Take 5kg.", "take five kilograms", "en", 0, 1),
        ("Call 555-0132.", "call five five five oh one three two", "en", 0, 2),
        ("May 3, 2021", "the third of May twenty twenty one", "en", 0, 4),
        ("Add 3/4 cup.", "add three quarters cup", "en", 0, 1),
        ("Dr. Smith, No. 5, etc.", "doctor smith number five et cetera", "en", 0, 3),
        ("我不知道怎么办", "我不知道曾么办", "zh", 1, 2),
        ("这么好", "折么好", "zh", 1, 2),
        ("著作权", "著做权", "zh", 1, 2),
        ("怎么", "怎 么", "zh", 0, 1),
        ("效果顯著", "效果显著", "zh", 0, 1),
        ("看着", "看著", "zh", 0, 0),
        ("2024年", "二零二四年", "zh", 0, 4),
        ("2024年", "二零二三年", "zh", 1, 4),
        ("二零二四年", "2024年", "zh", 0, 4),
        ("50%", "百分之五十", "zh", 0, 5),
        ("打13800138000", "打幺三八零零幺三八零零零", "zh", 0, 11),
        ("两个3.5米", "2个三点五米", "zh", 0, 4),
        ("Es sind 25 Äpfel.", "es sind fünfundzwanzig äpfel", "de", 0, 1),
        ("사과 3개", "사과 세 개", "ko", 0, 2),
    ],
)
def test_numbers_and_signs_are_compared_as_spoken(
    text: str, said: str, language: str, edits: int, before: int
) -> None:
    """`before` are the edits on commit dd163da (German and Korean there as English)."""
    assert errors(text, said, language).edits == edits


@given(WORDS, WORDS)
def test_plain_words_have_the_counts_of_jiwer_with_the_normaliser_of_whisper(
    words: list[str], other: list[str]
) -> None:
    """The outside implementation differs only for numbers, signs, brackets and fillers."""
    import jiwer
    from whisper.normalizers import EnglishTextNormalizer

    left_out = {"21", "um"}
    text, said = (
        " ".join(word for word in each if word not in left_out) or "coin" for each in (words, other)
    )
    normalise = EnglishTextNormalizer()
    counts = jiwer.process_words(normalise(text), normalise(said))
    edits = counts.substitutions + counts.deletions + counts.insertions
    assert errors(text, said, "en") == Errors(edits, counts.substitutions + counts.deletions + counts.hits)


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
