"""From what a caller gives as a prompt to the voice that the model continues."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from llasa_search.audio import SpeechLike
from llasa_search.errors import InputError
from llasa_search.registry import suggest
from llasa_search.scoring.isolation import isolated
from llasa_search.text.cleaning import clean_text
from llasa_search.voice import MAX_SECONDS, Voice

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa
    from llasa_search.verifiers.base import Verifier

VoiceLike: TypeAlias = Voice | SpeechLike


def as_voice(prompt: VoiceLike | None, text: str | None = None) -> Voice | None:
    """The voice that a caller means.

    Args:
        prompt: a `Voice`; a built-in voice's name, with a style if wanted ("slt", "slt:sad"); a recording's
            path; (samples, sample rate); or None for any voice.
        text: what a recording says, if that is not known from elsewhere.

    Raises:
        InputError: there is no such voice, or the recording cannot be used.
    """
    if prompt is None or isinstance(prompt, Voice):
        return prompt
    if isinstance(prompt, tuple):
        if len(prompt) != 2:
            raise InputError(f"a prompt of {len(prompt)} values: give (samples, sample rate)")
        samples, rate = prompt
        return Voice(samples, text, sample_rate=rate)
    if isinstance(prompt, str):
        name, _, style = prompt.partition(":")
        if name in Voice.builtins():
            voice = Voice.builtin(name, style=style or None)
            return voice if text is None else voice.with_text(text)
        if (
            not os.path.splitext(prompt)[1]
            and os.path.basename(prompt) == prompt
            and not os.path.exists(prompt)
        ):
            raise InputError(
                f"no voice {prompt!r}: neither a file nor built in; {suggest(name, Voice.builtins())}"
            )
    if isinstance(prompt, str | os.PathLike):
        return Voice(prompt, text)
    raise InputError(
        f"prompt={prompt!r:.80}: give a Voice, a path, a built-in voice's name, or (samples, rate)"
    )


def add_resynthesis(voice: Voice | None, llasa: Llasa, verifiers: Sequence[Verifier]) -> None:
    """Sets the voice's resynthesis where a verifier compares with that."""
    if voice is not None and any(getattr(each, "wants_resynthesis", False) for each in verifiers):
        voice.resynthesis = llasa.decode([llasa.voice_codes(voice)])[0]


_PLAIN = {
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "%": " percent",
    "&": " and ",
}
_SOUNDLESS = ("Ps", "Pe", "Pi", "Pf", "Pd")
"""Brackets, quotation marks, dashes: categories of what may be left out without a word."""


def in_known_characters(text: str, what: str, llasa: Llasa) -> str:
    """The text in characters that the model knows; other letters become their base letters or are left out.

    Args:
        text: to speak, or spoken by a voice prompt.
        what: what messages call it.
        llasa: whose tokenizer decides.

    Raises:
        InputError: nothing is left to say.
    """
    unknown = llasa.format.unknown_characters(text)
    if not unknown:
        return text
    plain = {each: _plain(each) for each in unknown}
    plain = {each: "" if llasa.format.unknown_characters(letters) else letters for each, letters in plain.items()}
    spoken = " ".join("".join(plain.get(each, each) or " " for each in text).split())
    if not any(unicodedata.category(each)[0] in "LN" for each in spoken):
        raise InputError(f"{what} {text!r:.60} has no letter or digit that the model {llasa.name!r} knows")
    lost = [each for each in unknown if unicodedata.category(each) not in _SOUNDLESS and each != '"']
    if lost:
        listed = " ".join(f"{each} ({plain[each].strip() or 'left out'})" for each in lost)
        warnings.warn(f"{what} has characters that the model does not know: {listed}", stacklevel=3)
    return spoken


def _plain(character: str) -> str:
    """Letters without their marks, of a letter or ligature; the character itself where there are none."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return letters if letters.isalpha() else _PLAIN.get(character, character)


def with_transcript(
    voice: Voice | None, language: str, verifiers: Sequence[Verifier], llasa: Llasa
) -> Voice | None:
    """The voice with what it says, in characters that the model knows.

    If that is unknown, it is heard by the first verifier that can transcribe.

    Raises:
        InputError: no verifier can transcribe, or nothing was heard; or the transcript has nothing to say.
    """
    if voice is None:
        return None
    if voice.text:
        text = in_known_characters(clean_text(voice.text, "the prompt's transcript"), "the prompt's transcript", llasa)
        return voice if text == voice.text else voice.with_text(text)
    advice = "say what it says (prompt text), or put that in a .txt file of the same name beside it"
    if voice.seconds >= MAX_SECONDS:
        advice = f"cut the recording to less than {MAX_SECONDS:g} s, and " + advice
    hearing = next((verifier for verifier in verifiers if hasattr(verifier, "transcribe")), None)
    if hearing is None:
        raise InputError(
            f"the prompt {voice.name!r} has no transcript and no verifier can transcribe it: {advice}"
        )
    with isolated():
        text = hearing.transcribe([voice.audio], [voice.sample_rate], language)[0]
    if not text:
        raise InputError(f"the prompt {voice.name!r} has no transcript and nothing was heard in it: {advice}")
    warnings.warn(f"the prompt {voice.name!r} has no transcript; {hearing} heard {text!r}", stacklevel=3)
    return voice.with_text(text)
