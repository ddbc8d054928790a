"""Detecting the language of a text, and what the search does about it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from llasa_search import search
from llasa_search.checkpoints.names import TINY
from llasa_search.errors import InputError
from llasa_search.result import SearchResult
from llasa_search.text.language import LANGUAGES, has_spaces, language_of, may_be
from llasa_search.text.scripts import languages_in, script_of
from llasa_search.text.speech_rates import RATES, characters_per_second, letters_per_second, words_per_second
from llasa_search.verifiers import WER, Pace
from llasa_search.verifiers.word_errors import errors
from llasa_search.voice import Prompt
from tests.helpers.tiny_recognisers import write_whisper

LLASA = ("en", "zh")

SENTENCES = {
    "de": "Der Kapitän fand eine silberne Münze am Ufer des Sees.",
    "fr": "Le capitaine a trouvé une pièce d'argent près du lac.",
    "es": "El capitán encontró una moneda de plata cerca del lago.",
    "it": "Il capitano ha trovato una moneta d'argento vicino al lago.",
    "nl": "De kapitein heeft een zilveren munt bij het meer gevonden.",
    "pl": "Kapitan znalazł srebrną monetę w pobliżu jeziora.",
    "tr": "Kaptan gölün yakınında gümüş bir para buldu.",
    "vi": "Thuyền trưởng tìm thấy một đồng xu bạc gần hồ.",
    "ru": "Капитан нашёл серебряную монету возле озера.",
    "uk": "Капітан знайшов срібну монету біля озера.",
    "el": "Ο καπετάνιος βρήκε ένα ασημένιο νόμισμα κοντά στη λίμνη.",
    "he": "הקפטן מצא מטבע כסף ליד האגם.",
    "ar": "وجد القبطان عملة فضية بالقرب من البحيرة.",
    "fa": "ناخدا یک سکه نقره نزدیک دریاچه پیدا کرد.",
    "hi": "मुझे यह किताब बहुत पसंद आई और मैं इसे फिर से पढ़ूँगा।",
    "th": "กัปตันพบเหรียญเงินใกล้ทะเลสาบ",
    "ko": "선장은 호수 근처에서 은화를 발견했다.",
    "ja": "船長は湖の近くで銀貨を見つけた。",
    "zh": "船长在湖边发现了一枚银币。",
    "en": "The captain found a silver coin near the lake.",
}


@pytest.mark.parametrize(("language", "text"), SENTENCES.items())
def test_sentences_are_in_their_language(language: str, text: str) -> None:
    """Among all languages, among two, and where only English and Chinese are known; all but two were "en"."""
    for known in (None, {language, "en"}, LLASA):
        assert language_of(text, known=known) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("我用iPhone打电话给Christopher", "zh"),
        ("今天天气很好, OK", "zh"),
        ("The word 好 means good.", "en"),
        ("I like 北京烤鸭 a lot.", "en"),
        ("Hello 世界", "en"),
        ("東京都知事選挙に立候補した", "ja"),
        ("新しいiPhoneを買った", "ja"),
        ("円高で働き方が変わる", "ja"),
        ("这家店叫鲜の屋，很好吃", "zh"),
        ("中国", "zh"),
        ("佢喺度食嘢", "zh"),
        ("Ok.", "en"),
        ("Bonjour, said Pierre.", "en"),
        ("Angela Merkel visited München.", "en"),
        ("Volkswagen Aktiengesellschaft", "en"),
        ("大韓民國은 民主共和國이다 그리고 모두의 나라이다.", "ko"),
    ],
)
def test_texts_of_two_scripts_and_names(text: str, language: str) -> None:
    """Words count, not letters; kana make Japanese; names and single words are not taken for another language."""
    assert language_of(text, known=LLASA) == language


@pytest.mark.parametrize("name", ["dev", "standard", "hard"])
def test_the_texts_of_the_package_are_english(name: str) -> None:
    lines = (TINY / "texts" / f"{name}.jsonl").read_text("utf-8").splitlines()
    for known in (("en",), LLASA):
        assert {language_of(json.loads(line)["text"], known=known) for line in lines} == {"en"}


@pytest.mark.parametrize(("text", "known"), [("Ok.", None), ("2024", LLASA), ("Ok.", ("en", "de", "nl"))])
def test_an_uncertain_language_is_asked_for(text: str, known: tuple[str, ...] | None) -> None:
    with pytest.raises(InputError, match=rf"language of the text '{text}' is uncertain.*--language CODE"):
        language_of(text, known=known)
    assert language_of(text, "nl", known) == "nl"


def test_cantonese_is_chinese_where_only_that_is_known() -> None:
    assert language_of("佢喺度食嘢", known=("zh", "yue")) == "yue"


def test_a_text_may_be_in_a_language_unless_it_is_clearly_in_another() -> None:
    assert may_be("Ok.", "de") and may_be("Ok.", "en") and may_be("今天", "zh")
    assert not may_be(SENTENCES["de"], "en") and not may_be("今天", "en") and not may_be("ᏣᎳᎩ", "en")


def test_the_table_of_languages_is_that_of_whisper() -> None:
    """Codes in Whisper's order, and its languages without spaces; every language has a script."""
    from whisper.tokenizer import LANGUAGES as WHISPER
    from whisper.tokenizer import get_tokenizer

    assert list(LANGUAGES) == list(WHISPER)
    word = get_tokenizer(True).encode("incomprehensibilities")
    divided = {
        code
        for code in LANGUAGES
        if len(get_tokenizer(True, num_languages=100, language=code).split_to_word_tokens(word)[0]) > 1
    }
    assert {code for code in LANGUAGES if not has_spaces(code)} == divided | {"km", "bo"}
    assert all(code in languages_in(script_of(text.strip()[0])) for code, text in SENTENCES.items())


def test_the_rates_of_all_languages() -> None:
    """English and Chinese keep their figures; every language has one, and those of `RATES` are plausible."""
    assert (words_per_second("en"), characters_per_second("en")) == (3.0, 17.0)
    assert (words_per_second("zh"), characters_per_second("zh")) == (5.2, 5.2)
    assert set(RATES) <= set(LANGUAGES)
    for code in LANGUAGES:
        assert 5 <= letters_per_second(code) <= 18
        assert words_per_second(code) <= letters_per_second(code) <= characters_per_second(code)
        Pace().check(Prompt("abc", code))


@pytest.mark.parametrize("language", ["de", "fr", "ru", "ko", "ja", "th", "hi", "ar"])
def test_a_texts_own_transcript_has_no_errors(language: str) -> None:
    """As "en", these had error rates of up to 9."""
    text = SENTENCES[language]
    assert errors(text, text, language).edits == 0
    units = errors(text, "", language).length
    assert units >= len(text.split()) if has_spaces(language) else units > 10


@pytest.mark.parametrize(
    ("language", "text", "said", "edits", "length"),
    [
        (
            "fr",
            "L’été (chaud) à Nice.",
            "l'été chaud a nice",
            1,
            4,
        ),  # à and a are two words, and l'été is one
        ("de", "Schöne Straße", "schone strasse", 2, 2),
        ("hi", "कल काल किला", "कल काल कला", 1, 3),
        ("ko", "은화를 발견했다.", "은화를 발견했다", 0, 2),
        ("ja", "銀貨を、見つけた。", "銀貨 を見つけた", 0, 7),
        ("th", "เหรียญเงิน", "เหรียญ เงิน", 0, 8),
        ("yue", "佢喺度食嘢。", "佢係度食嘢", 1, 5),
    ],
)
def test_errors_in_other_languages(language: str, text: str, said: str, edits: int, length: int) -> None:
    """Accents and vowel signs distinguish words; scripts without spaces are compared by character."""
    assert errors(text, said, language) == (edits, length)


def recording() -> tuple[np.ndarray, int]:
    return np.sin(np.arange(32_000) / 9).astype(np.float32) / 4, 16_000


def test_a_recogniser_refuses_languages_that_it_does_not_know(tmp_path: Path) -> None:
    """The text was scored as English; the message says which checkpoint knows the language."""
    with pytest.raises(
        InputError, match=r"knows en, and the text is German \('de'\).*WER\(model='large-v3'\)"
    ):
        search.select([recording()], SENTENCES["de"], verifiers=WER())
    english = WER(str(write_whisper(tmp_path / "en", multilingual=False)))
    with pytest.raises(InputError, match=r"Chinese \('zh'\).*paraformer-zh"):
        search.select([recording()], SENTENCES["zh"], verifiers=english)
    with pytest.raises(InputError, match=r"knows en, and the text is French"):
        search.select([recording()], "Ok.", verifiers="ctc", language="fr")


def test_the_language_is_in_the_result(tmp_path: Path) -> None:
    """Given or detected, it is stored in the run folder."""
    given = search.select([recording()], "Ok.", verifiers="pace", language="sv")
    assert given.language == "sv"
    given.save_run(tmp_path / "run")
    assert SearchResult.load_run(tmp_path / "run").language == "sv"
    assert search.select([recording()], SENTENCES["ko"], verifiers="pace").language == "ko"


def test_the_model_refuses_a_language_that_it_does_not_speak() -> None:
    with pytest.raises(InputError, match=r"'tiny' speaks en.*, and the text is German \('de'\)"):
        search.generate(SENTENCES["de"], model="tiny", verifiers="pace")
