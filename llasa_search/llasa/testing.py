"""Contract tests for prompt formats.

Subclass `PromptFormatContract` in a test file, and run pytest::

    from llasa_search.llasa.testing import PromptFormatContract

    class TestYue(PromptFormatContract):
        def tokenizer(self):
            return AutoTokenizer.from_pretrained("a/checkpoint")

        def make(self, tokenizer):
            return YueFormat(tokenizer)
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import pytest

from llasa_search.errors import InputError
from llasa_search.llasa.prompt_format import PromptFormat
from llasa_search.text.language import LANGUAGES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NO_CODES = np.zeros(0, np.int32)


class PromptFormatContract:
    """The properties that every prompt format must have.

    Attributes:
        text: in a language that the models speak.
        found: whether the tokenizer alone shows that a model has this format.
    """

    text: str = "A silver coin."
    found: bool = True

    @abstractmethod
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Returns the tokenizer of a model of this format."""

    @abstractmethod
    def make(self, tokenizer: PreTrainedTokenizerBase) -> PromptFormat:
        """Returns the format under test."""

    @pytest.fixture
    def form(self) -> PromptFormat:
        return self.make(self.tokenizer())

    def test_the_tokenizer_matches(self, form: PromptFormat) -> None:
        """The format is found by the tokenizer, or only by its name."""
        assert type(form).matches(self.tokenizer()) == self.found

    def test_languages_are_codes(self, form: PromptFormat) -> None:
        """The format has at least one language, from Whisper's list."""
        assert form.languages and form.languages <= set(LANGUAGES)

    def test_speech_codes_have_tokens_of_their_own(self, form: PromptFormat) -> None:
        """Each code has a different token, and END has another one."""
        assert form.speech_ids.shape == (form.codebook_size,) and form.codebook_size > 0
        ids = {*form.speech_ids.tolist(), form.end_id}
        assert len(ids) == form.codebook_size + 1
        assert max(ids) < len(self.tokenizer())

    def test_the_prompt_has_the_text_once(self, form: PromptFormat) -> None:
        """The prompt contains the tokens of the text, and another text changes these only."""
        tokenizer = self.tokenizer()
        ids, other = (
            form.prompt_ids(self.text, NO_CODES),
            form.prompt_ids(f"{self.text} {self.text}", NO_CODES),
        )
        own = tokenizer.encode(self.text, add_special_tokens=False)
        places = [i for i in range(len(ids)) if ids[i : i + len(own)] == own]
        assert len(places) == 1, f"the tokens of {self.text!r} occur {len(places)} times"
        end = places[0] + len(own)
        assert other[: places[0]] == ids[: places[0]] and other[len(other) - len(ids) + end :] == ids[end:]

    def test_speech_codes_end_the_prompt(self, form: PromptFormat) -> None:
        """The codes so far are the last tokens, so the model continues them."""
        codes = np.array([form.codebook_size - 1, 0, 0], np.int32)
        expected = [*form.prompt_ids(self.text, NO_CODES), *form.speech_ids[codes].tolist()]
        assert form.prompt_ids(self.text, codes) == expected

    def test_the_same_text_gives_the_same_prompt(self, form: PromptFormat) -> None:
        """A second instance gives the same prompt."""
        other = self.make(self.tokenizer())
        assert form.prompt_ids(self.text, NO_CODES) == other.prompt_ids(self.text, NO_CODES)

    def test_a_marker_in_the_text_is_refused(self, form: PromptFormat) -> None:
        """A text cannot end the speech or give speech codes."""
        for marker in self.tokenizer().convert_ids_to_tokens([form.end_id, int(form.speech_ids[0])]):
            with pytest.raises(InputError, match="marker"):
                form.prompt_ids(f"{self.text} {marker}", NO_CODES)

    def test_the_text_can_be_represented(self, form: PromptFormat) -> None:
        """Only characters that the tokenizer cannot represent are unknown."""
        assert form.unknown_characters(self.text) == []
