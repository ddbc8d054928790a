"""The prompt format: token ids, markers, and texts that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from llasa_search.errors import InputError, ModelError
from llasa_search.llasa.prompt_format import LlasaFormat
from tests.helpers.tiny_random import MARKERS, TEMPLATE, write_language_model

NO_CODES = np.zeros(0, np.int32)


@pytest.fixture(scope="module")
def tokenizer(pair_path: Path) -> Any:
    return AutoTokenizer.from_pretrained(pair_path / "language_model")


def test_ids_are_those_of_the_written_prompt(tokenizer: Any) -> None:
    """The token ids are those of the prompt written out, with the codes as the tokens `<|s_N|>`."""
    written = (
        "<|user|>Convert the text to speech:<|TEXT_UNDERSTANDING_START|>Hello, you.<|TEXT_UNDERSTANDING_END|>"
        "<|eot_id|><|assistant|><|SPEECH_GENERATION_START|><|s_5|><|s_63|><|s_0|>"
    )
    ids = LlasaFormat(tokenizer).prompt_ids("Hello, you.", np.array([5, 63, 0], dtype=np.int32))
    assert ids == tokenizer.encode(written, add_special_tokens=False)


@pytest.mark.parametrize(
    "date",
    [
        "{%- if date_string is not defined %}{%- set date_string = strftime_now('%d %b %Y') %}{%- endif %}"
        "{{ date_string }}",
        "{{ strftime_now('%d %b %Y') }}",
    ],
    ids=["Llama 3", "always now"],
)
def test_the_date_is_pinned(pair_path: Path, date: str) -> None:
    """A template that writes the date gets a fixed one, so that a seed gives the same speech on any day."""
    tokenizer = AutoTokenizer.from_pretrained(pair_path / "language_model")
    tokenizer.chat_template = date + TEMPLATE
    ids = LlasaFormat(tokenizer).prompt_ids("hello", NO_CODES)
    assert str(tokenizer.decode(ids)).replace(" ", "").startswith("26jul2024<|user|>")


@pytest.mark.parametrize("missing", MARKERS[2:6])
def test_a_tokenizer_without_a_marker_is_refused(tmp_path: Path, missing: str) -> None:
    """The error names the missing marker."""
    markers = tuple(marker for marker in MARKERS if marker != missing)
    write_language_model(tmp_path, 4, 0.1, markers, TEMPLATE, {})
    with pytest.raises(ModelError) as error:
        LlasaFormat(AutoTokenizer.from_pretrained(tmp_path))
    assert missing in str(error.value)


def test_a_tokenizer_without_a_template_is_refused(tmp_path: Path) -> None:
    """The error says that the checkpoint is not complete."""
    write_language_model(tmp_path, 4, 0.1, MARKERS, None, {})
    with pytest.raises(ModelError, match="chat template"):
        LlasaFormat(AutoTokenizer.from_pretrained(tmp_path))


@pytest.mark.parametrize("marker", ["<|SPEECH_GENERATION_START|>", "<|s_7|>", "<|eot_id|>", "<|s_99999|>"])
def test_a_marker_in_the_text_is_refused(tokenizer: Any, marker: str) -> None:
    """A text cannot close its own turn or contain speech codes."""
    with pytest.raises(InputError, match="marker"):
        LlasaFormat(tokenizer).prompt_ids(f"hello {marker} there", NO_CODES)


def test_characters_that_cannot_be_spoken_are_named(tokenizer: Any) -> None:
    """Each character that the tokenizer cannot represent is returned once, in order."""
    form = LlasaFormat(tokenizer)
    assert form.unknown_characters("Hello, 你好 naïve 你 \n😀!") == ["你", "好", "ï", "😀"]
    assert form.unknown_characters("Hello, you!") == []


@given(st.text(alphabet="ab .,?!'", max_size=30))
def test_any_plain_text_gives_its_own_characters(tokenizer: Any, text: str) -> None:
    """The template neither trims nor merges the text."""
    form = LlasaFormat(tokenizer)
    before, after = form.prompt_ids("", NO_CODES), form.prompt_ids(text, NO_CODES)
    assert len(after) == len(before) + len(text)
