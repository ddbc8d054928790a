"""The spoken form: 300 texts with forms written by hand, and what holds for every text."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llasa_search.checkpoints.names import TINY
from llasa_search.text.spoken_form import fold_apostrophes, letters, segments, spoken_form
from llasa_search.text.spoken_form.other_languages import LANGUAGES
from llasa_search.verifiers.backends.ctc_model import characters
from llasa_search.verifiers.word_errors import errors

FORMS = Path(__file__).parent.parent / "data" / "spoken_forms.tsv"
SIGNS = "0123456789" * 2 + ".,:/-–$€£¥%°'’() +&@#=~½²٣１年月日点个元第aABCtkmgh!"


def forms() -> list[tuple[str, str, str]]:
    """Returns language, text and spoken form of each line; the forms were written by hand."""
    with FORMS.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row["language"], row["text"], row["spoken"]) for row in rows]


def evaluation_texts() -> list[tuple[str, str]]:
    lines = [
        line for path in sorted((TINY / "texts").glob("*.jsonl")) for line in path.open(encoding="utf-8")
    ]
    return [(row["text"], row["spoken"]) for row in map(json.loads, lines)]


def test_texts_have_the_form_that_a_person_wrote() -> None:
    """All have the characters of the form that CTC is given, and the form itself is a recording without errors.

    On commit dd163da, of the 188 English ones 142 had other characters ("$5" was "five", "1999" "one thousand nine
    hundred ninety nine", "21st" "twenty one st"), and 99 had word errors.
    """
    assert len(forms()) >= 300
    wrong = [
        (text, spoken_form(text, language))
        for language, text, spoken in forms()
        if characters(text, language) != characters(spoken, language)
        or errors(text, spoken, language).edits
        or errors(spoken, text, language).edits
    ]
    assert wrong == []


def test_a_wrong_digit_is_an_error() -> None:
    """The last digit of each number is changed: that text as written, and the form of the right one, have an error."""
    missed, tried = [], 0
    for language, text, spoken in forms():
        for place, digit in enumerate(text):
            if digit.isdecimal() and not text[place + 1 : place + 2].isdecimal():
                changed = text[:place] + str((int(digit) + 1) % 10) + text[place + 1 :]
                tried += 1
                if not (errors(changed, spoken, language).edits and errors(text, changed, language).edits):
                    missed.append(changed)
    assert missed == [] and tried > 300


def test_the_packaged_texts_have_the_words_they_were_generated_from() -> None:
    """All 250 texts of the dev, standard and hard sets have the spoken words that are stored beside them."""
    assert [text for text, spoken in evaluation_texts() if letters(text) != spoken] == []


def test_a_text_without_numbers_and_signs_stays_as_it_is() -> None:
    """Case and punctuation stay, so the embedded model gets the input that it had on commit dd163da."""
    plain = [text for text, _ in evaluation_texts() if not any(map(str.isdigit, text))]
    plain.append("“Wait…” she said (twice) — BBC, don't; dogs' 'quotes' [all] stay: J. Smith, OK?")
    assert len(plain) > 150
    assert [text for text in plain if spoken_form(text, "en") != text] == []


def test_the_form_of_a_form_is_the_form() -> None:
    for language, text, _ in forms():
        form = spoken_form(text, language)
        assert spoken_form(form, language) == form


@given(st.text(SIGNS, max_size=16), st.sampled_from(["en", "zh", "de", "fr", "ja", "ko", "ru", "xx"]))
def test_the_segments_are_the_text(text: str, language: str) -> None:
    """The written parts are the whole text in order, and each has a reading. No text raises."""
    parts = segments(text, language)
    wide = str.maketrans("１", "1") if language == "zh" else {}
    assert "".join(part.written for part in parts) == fold_apostrophes(text).translate(wide)
    assert all(part.readings for part in parts)


@pytest.mark.parametrize("sign", "\u2019\u02bc\u2018\u0060\u00b4\uff07")
def test_all_apostrophes_are_one(sign: str) -> None:
    """On commit dd163da the text with any of these had two or more errors of five."""
    text = "It's the captain's coin."
    other = text.replace("'", sign)
    assert letters(other) == letters(text)
    assert errors(other, text, "en").edits == errors(text, other, "en").edits == 0


def test_what_is_not_known_stays_as_written() -> None:
    """Of an unknown language, and of an ordinal whose ending depends on the sentence."""
    assert spoken_form("25 leathanach, 50%", "ga") == "25 leathanach, 50%"
    assert spoken_form("le 1er mai", "fr") == "le 1er mai"
    assert spoken_form("В 1999 году", "ru") == "В 1999 году"
    assert "ar" not in LANGUAGES and spoken_form("3.5", "vi") == "3.5"


@pytest.mark.parametrize("unit", ["a", "1", "a.", "1,234", "$1 ", "ABC ", "1-", "a@b.", "The man came. "])
def test_long_texts_take_linear_time(unit: str) -> None:
    """20,000 characters take a fraction of a second, whatever they are."""
    text = unit * (20_000 // len(unit))
    start = time.process_time()
    spoken_form(text, "en")
    assert time.process_time() - start < 5
