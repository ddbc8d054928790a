"""Llasa's prompt format: chat template, markers, and the token ids of speech codes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from llasa_search.arrays import Codes
from llasa_search.errors import InputError, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INSTRUCTION = "Convert the text to speech:"
TEXT_START, TEXT_END = "<|TEXT_UNDERSTANDING_START|>", "<|TEXT_UNDERSTANDING_END|>"
SPEECH_START, SPEECH_END = "<|SPEECH_GENERATION_START|>", "<|SPEECH_GENERATION_END|>"

DATE = "26 Jul 2024"
"""The date in Llama 3's chat template: fixed to its own default, so that a seed keeps its speech."""


class PromptFormat:
    """Token ids of a prompt, looked up in the model's own tokenizer.

    The user's turn is the instruction and the text between two markers; the assistant's turn is left open
    after the start of speech and the codes spoken so far (arXiv 2502.04128 and its model cards).

    Attributes:
        codebook_size: number of speech codes, `<|s_0|>` and on.
        speech_ids: int64 [codebook_size], the vocabulary id of each code.
        end_id: the vocabulary id that ends speech.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Looks the markers up.

        Raises:
            ModelError: the tokenizer lacks a marker, the speech tokens or a chat template.
        """
        vocabulary = tokenizer.get_vocab()
        markers = (TEXT_START, TEXT_END, SPEECH_START, SPEECH_END, "<|s_0|>")
        missing = [marker for marker in markers if marker not in vocabulary]
        if missing:
            raise ModelError(f"this is not a Llasa checkpoint: its tokenizer lacks {', '.join(missing)}")
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

    def ids(self, text: str, codes: Codes) -> list[int]:
        """The prompt's token ids.

        Args:
            text: transcript of the voice prompt, text of the history, and the text to speak.
            codes: of the voice prompt and of the history.

        Raises:
            InputError: the text holds one of the model's own markers.
        """
        marker = self._marker.search(text)
        if marker:
            raise InputError(f"the text holds the model's own marker {marker[0]!r}: remove it")
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
        """Characters of the text that the tokenizer cannot represent, each once, in order."""
        return [char for char in dict.fromkeys(text) if not char.isspace() and not self._represents(char)]

    def _represents(self, char: str) -> bool:
        ids = self._tokenizer.encode(char, add_special_tokens=False)
        unknown = self._tokenizer.unk_token_id
        return bool(ids) and (unknown is None or unknown not in ids)
