"""Prompt formats: what each must offer, and that of Llasa, whose strings can be replaced."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field, fields
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Codes
from llasa_search.checkpoints.hub import first_lines
from llasa_search.errors import InputError, ModelError, short_repr
from llasa_search.llasa.markers import LLASA_MARKERS, special_markers
from llasa_search.text.language import LANGUAGES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DATE = "26 Jul 2024"
"""The date in Llama 3's chat template: fixed to its own default, so that a seed keeps its speech."""

PROBES = ("a", "b c")
"""Texts that the template is tried on."""


class PromptFormat(Protocol):
    """How a family of models lays out a prompt, and which token ids stand for speech.

    A package adds one by listing a class, or a function, of a tokenizer under the entry point
    `llasa_search.prompt_formats`. It takes further arguments by name. `LlasaFormat` covers formats that differ
    from Llasa's in strings only.

    Attributes:
        languages: codes of the languages that models of this format speak, such as "en".
        codebook_size: number of speech codes.
        speech_ids: int64 [codebook_size], the vocabulary id of each speech code.
        end_id: the vocabulary id that ends speech.
        spoken_form: whether the model reads texts in their spoken form, with numbers and signs in words.
    """

    languages: frozenset[str]
    spoken_form: bool
    codebook_size: int
    speech_ids: NDArray[np.int64]
    end_id: int

    @classmethod
    def matches(cls, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Returns whether a tokenizer can only belong to a model of this format."""
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


@dataclass(eq=False)
class LlasaFormat:
    """The prompt format of Llasa, and of models that differ from it in some strings; a `PromptFormat`.

    The user's turn is the instruction, then the text between two markers. The assistant's turn is left open after a
    prefix, the start of speech and the codes so far (arXiv 2502.04128 and the model cards). The model's own chat
    template wraps the turns; it may add a system prompt or another prefix.

    A subclass with other defaults is another format, such as one with other markers.

    Args:
        tokenizer: the model's own.
        assistant_prefix: what stands before the start of speech, such as "Speaker kore ".
        system: system prompt; "" for that of the chat template.
        instruction: what stands before the text.
        text_start, text_end: markers around the text.
        speech_start, speech_end: markers before and after the speech codes.
        speech_token: the token of a speech code; {} stands for its number, from 0.
        languages: codes of the languages that the model speaks.
        spoken_form: whether the model reads texts in their spoken form, with numbers and signs in words, as the
            embedded model does.

    Attributes:
        codebook_size: number of speech codes.
        speech_ids: int64 [codebook_size], the vocabulary id of each code.
        end_id: the vocabulary id that ends speech.

    Raises:
        InputError: an argument is not what it should be.
        ModelError: the tokenizer does not have a marker, the speech tokens or a chat template, or its template
            does not lay out such a prompt.
    """

    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    _: KW_ONLY
    assistant_prefix: str = ""
    system: str = ""
    instruction: str = "Convert the text to speech:"
    text_start: str = LLASA_MARKERS[2]
    text_end: str = LLASA_MARKERS[3]
    speech_start: str = LLASA_MARKERS[4]
    speech_end: str = LLASA_MARKERS[5]
    speech_token: str = "<|s_{}|>"
    languages: frozenset[str] = frozenset({"en", "zh"})
    spoken_form: bool = False

    def __post_init__(self) -> None:
        self._check_arguments()
        vocabulary = self.tokenizer.get_vocab()
        missing = [marker for marker in _markers(self) if marker not in vocabulary]
        if missing:
            raise ModelError(
                f"this is not a Llasa checkpoint: its tokenizer does not have {', '.join(missing)}"
            )
        if not self.tokenizer.chat_template:
            raise ModelError("this is not a complete Llasa checkpoint: its tokenizer has no chat template")
        self.codebook_size = 0
        while _speech_token(self, self.codebook_size) in vocabulary:
            self.codebook_size += 1
        tokens = [_speech_token(self, code) for code in range(self.codebook_size)]
        self.speech_ids: NDArray[np.int64] = np.array([vocabulary[token] for token in tokens])
        self.end_id: int = vocabulary[self.speech_end]
        self._template = (
            f"{{% macro strftime_now(format) %}}{DATE}{{% endmacro %}}{self.tokenizer.chat_template}"
        )
        own = {*_markers(self), *self.tokenizer.all_special_tokens}
        self._marker = re.compile("|".join((r"<\|\w+\|>", *map(re.escape, own))))
        self._check_template()

    @classmethod
    def matches(cls, tokenizer: PreTrainedTokenizerBase) -> bool:
        """Returns whether a tokenizer has this format's markers and speech tokens, and no other ones.

        Markers that its chat template writes do not count. A subclass with Llasa's own markers matches nothing,
        because a tokenizer cannot tell it from Llasa.
        """
        own = _markers(cls)
        if cls is not LlasaFormat and own == _markers(LlasaFormat):
            return False
        known = {*(re.sub(r"\d+", "N", marker) for marker in own), *LLASA_MARKERS, "<|s_N|>"}
        return not (set(own) - set(tokenizer.get_vocab()) or set(special_markers(tokenizer)) - known)

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
        # `context_window.fit` checks the length; the tokenizer must not warn.
        ids = self.tokenizer.encode(self._rendered(text), add_special_tokens=False, verbose=False)
        return [*ids, *self.speech_ids[codes].tolist()]

    def unknown_characters(self, text: str) -> list[str]:
        """Returns the characters of the text that the tokenizer cannot represent, each once, in order."""
        return [char for char in dict.fromkeys(text) if not char.isspace() and not self._represents(char)]

    def _represents(self, char: str) -> bool:
        ids = self.tokenizer.encode(char, add_special_tokens=False)
        unknown = self.tokenizer.unk_token_id
        return bool(ids) and (unknown is None or unknown not in ids)

    def _rendered(self, text: str) -> str:
        """The prompt before the speech codes, in characters."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        turns = [
            *system,
            {"role": "user", "content": self._user_turn(text)},
            {"role": "assistant", "content": self._assistant_turn()},
        ]
        return str(
            self.tokenizer.apply_chat_template(
                turns,
                chat_template=self._template,
                tokenize=False,
                continue_final_message=True,
                date_string=DATE,
            )
        )

    def _user_turn(self, text: str) -> str:
        return f"{self.instruction}{self.text_start}{text}{self.text_end}"

    def _assistant_turn(self) -> str:
        return self.assistant_prefix + self.speech_start

    def _check_arguments(self) -> None:
        for name in (
            each.name for each in fields(self) if each.name not in ("tokenizer", "languages", "spoken_form")
        ):
            value = getattr(self, name)
            if not isinstance(value, str) or not (
                value or name in ("assistant_prefix", "system", "instruction")
            ):
                raise InputError(f"prompt format: {name}={short_repr(value)}: give a text")
        if self.speech_token.count("{}") != 1:
            raise InputError(f"prompt format: speech_token={self.speech_token!r}: write {{}} for the number")
        given = self.languages
        if (
            not isinstance(given, list | tuple | set | frozenset)
            or not given
            or not set(given) <= set(LANGUAGES)
        ):
            raise InputError(
                f"prompt format: languages={short_repr(given)}: give codes, such as ['en', 'zh']"
            )
        self.languages = frozenset(given)

    def _check_template(self) -> None:
        """Refuses a chat template that lays out another prompt than this format's.

        Raises:
            ModelError: it fails, changes or repeats a turn, or adds a marker.
        """
        try:
            prompts = [self._rendered(text) for text in PROBES]
        except Exception as error:  # a template can fail in any way
            raise ModelError(f"the chat template of this checkpoint fails: {first_lines(error)}") from error
        frames = {self._frame(text, prompt) for text, prompt in zip(PROBES, prompts, strict=True)}
        frame = "".join(frames.pop())
        if frames or any(marker in frame for marker in (*_markers(self), *LLASA_MARKERS)):
            raise self._refusal(prompts[0], "adds markers, or text that depends on the turns")
        if self.system and self.system not in prompts[0]:
            raise self._refusal(prompts[0], "leaves out the system prompt")
        ids = self.tokenizer.encode(prompts[0], add_special_tokens=False)
        markers = [self.tokenizer.get_vocab()[marker] for marker in _markers(self)[:3]]
        if [each for each in ids if each in markers] != markers or ids[-1] != markers[-1]:
            raise self._refusal(prompts[0], "gives other tokens than the format's markers")

    def _frame(self, text: str, prompt: str) -> tuple[str, str]:
        """What the template writes before the user's turn, and between it and the assistant's."""
        before, user, after = prompt.partition(self._user_turn(text))
        between = after.removesuffix(self._assistant_turn())
        if not user or between == after:
            raise self._refusal(prompt, "changes a turn")
        return before, between

    def _refusal(self, prompt: str, what: str) -> ModelError:
        return ModelError(
            f"the chat template of this checkpoint {what}, so it does not fit the prompt format {self}; give the "
            f"format it was trained with (--prompt-format). For the text {PROBES[0]!r} it writes {prompt!r:.300}"
        )

    def __str__(self) -> str:
        changed = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "tokenizer"}
        listed = [
            f"{name}={value!r}" for name, value in changed.items() if value != getattr(type(self), name)
        ]
        return f"{type(self).__name__}({', '.join(listed)})"


def _markers(form: LlasaFormat | type[LlasaFormat]) -> tuple[str, ...]:
    """The four markers of a format, and its first speech token."""
    return (form.text_start, form.text_end, form.speech_start, form.speech_end, _speech_token(form, 0))


def _speech_token(form: LlasaFormat | type[LlasaFormat], code: int) -> str:
    return form.speech_token.replace("{}", str(code))
