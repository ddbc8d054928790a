"""Prompt formats: what each must offer, and that of Llasa with its chat template, markers and speech tokens."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Codes
from llasa_search.errors import InputError, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INSTRUCTION = "Convert the text to speech:"
TEXT_START, TEXT_END = "<|TEXT_UNDERSTANDING_START|>", "<|TEXT_UNDERSTANDING_END|>"
SPEECH_START, SPEECH_END = "<|SPEECH_GENERATION_START|>", "<|SPEECH_GENERATION_END|>"
MARKERS = (TEXT_START, TEXT_END, SPEECH_START, SPEECH_END)

DATE = "26 Jul 2024"
"""The date in Llama 3's chat template: fixed to its own default, so that a seed keeps its speech."""


class PromptFormat(Protocol):
    """How a family of models lays out a prompt, and which token ids stand for speech.

    Formats cannot be added by entry point yet: every model uses `LlasaFormat`. Loading them that way comes later,
    with this interface.

    Attributes:
        languages: codes of the languages that models of this format speak, such as "en".
        codebook_size: number of speech codes.
        speech_ids: int64 [codebook_size], the vocabulary id of each speech code.
        end_id: the vocabulary id that ends speech.
    """

    languages: frozenset[str]
    codebook_size: int
    speech_ids: NDArray[np.int64]
    end_id: int

    @staticmethod
    def matches(tokenizer: PreTrainedTokenizerBase) -> bool:
        """Returns whether a tokenizer belongs to a model of this format."""
        ...

    def prompt_ids(self, text: str, codes: Codes) -> list[int]:
        """Returns the token ids of a prompt, which the model continues with speech codes.

        Args:
            text: transcript of the voice prompt, text of the history, and the text to speak, joined.
            codes: speech codes of the voice prompt and of the history, int32 [frames].

        Raises:
            InputError: the text contains one of the model's own markers.
        """
        ...

    def unknown_characters(self, text: str) -> list[str]:
        """Returns the characters of the text that the tokenizer cannot represent, each once, in order."""
        ...


class LlasaFormat:
    """The prompt format of Llasa, with token ids from the model's own tokenizer; a `PromptFormat`.

    The user's turn is the instruction, then the text between two markers. The assistant's turn is left open after
    the start of speech and the codes so far (arXiv 2502.04128 and the model cards).

    Attributes:
        codebook_size: number of speech codes; their tokens are `<|s_0|>`, `<|s_1|>`, ...
        speech_ids: int64 [codebook_size], the vocabulary id of each code.
        end_id: the vocabulary id that ends speech.
    """

    languages = frozenset({"en", "zh"})

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Looks up the markers.

        Raises:
            ModelError: the tokenizer does not have a marker, the speech tokens or a chat template.
        """
        vocabulary = tokenizer.get_vocab()
        missing = _missing_markers(vocabulary)
        if missing:
            raise ModelError(
                f"this is not a Llasa checkpoint: its tokenizer does not have {', '.join(missing)}"
            )
        if not tokenizer.chat_template:
            raise ModelError("this is not a complete Llasa checkpoint: its tokenizer has no chat template")
        self._tokenizer = tokenizer
        self.codebook_size = 0
        while f"<|s_{self.codebook_size}|>" in vocabulary:
            self.codebook_size += 1
        self.speech_ids = np.array([vocabulary[f"<|s_{code}|>"] for code in range(self.codebook_size)])
        self.end_id: int = vocabulary[SPEECH_END]
        self._template = f"{{% macro strftime_now(format) %}}{DATE}{{% endmacro %}}{tokenizer.chat_template}"
        special = map(re.escape, tokenizer.all_special_tokens)
        self._marker = re.compile("|".join((r"<\|\w+\|>", *special)))

    @staticmethod
    def matches(tokenizer: PreTrainedTokenizerBase) -> bool:
        """Returns whether a tokenizer has Llasa's markers and speech tokens."""
        return not _missing_markers(tokenizer.get_vocab())

    def prompt_ids(self, text: str, codes: Codes) -> list[int]:
        """Returns the token ids of a prompt.

        Args:
            text: transcript of the voice prompt, text of the history, and the text to speak, joined.
            codes: speech codes of the voice prompt and of the history, int32 [frames].

        Raises:
            InputError: the text contains one of the model's own markers.
        """
        marker = self._marker.search(text)
        if marker:
            raise InputError(f"the text contains the model's own marker {marker[0]!r}: remove it")
        turns = [
            {"role": "user", "content": f"{INSTRUCTION}{TEXT_START}{text}{TEXT_END}"},
            {"role": "assistant", "content": SPEECH_START},
        ]
        rendered = self._tokenizer.apply_chat_template(
            turns,
            chat_template=self._template,
            tokenize=False,
            continue_final_message=True,
            date_string=DATE,
        )
        # `context_window.fit` checks the length; the tokenizer must not warn.
        ids = self._tokenizer.encode(rendered, add_special_tokens=False, verbose=False)
        return [*ids, *self.speech_ids[codes].tolist()]

    def unknown_characters(self, text: str) -> list[str]:
        """Returns the characters of the text that the tokenizer cannot represent, each once, in order."""
        return [char for char in dict.fromkeys(text) if not char.isspace() and not self._represents(char)]

    def _represents(self, char: str) -> bool:
        ids = self._tokenizer.encode(char, add_special_tokens=False)
        unknown = self._tokenizer.unk_token_id
        return bool(ids) and (unknown is None or unknown not in ids)


def _missing_markers(vocabulary: Container[str]) -> list[str]:
    return [marker for marker in (*MARKERS, "<|s_0|>") if marker not in vocabulary]
