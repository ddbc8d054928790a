"""From what a caller gives as a prompt to the voice that the model continues."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from llasa_search.errors import InputError
from llasa_search.isolation import isolated
from llasa_search.registry import suggest
from llasa_search.speech import SpeechLike
from llasa_search.voice import Voice

if TYPE_CHECKING:
    from llasa_search.llasa import Llasa
    from llasa_search.verifiers.base import Verifier

VoiceLike: TypeAlias = Voice | SpeechLike


def as_voice(prompt: VoiceLike | None) -> Voice | None:
    """The voice that a caller means.

    Args:
        prompt: a `Voice`; a built-in voice's name, with a style if wanted ("slt", "slt:sad"); a recording's
            path; (samples, sample rate); or None for any voice.

    Raises:
        InputError: there is no such voice, or the recording cannot be used.
    """
    if prompt is None or isinstance(prompt, Voice):
        return prompt
    if isinstance(prompt, tuple):
        samples, rate = prompt
        return Voice(samples, sample_rate=rate)
    if isinstance(prompt, str):
        name, _, style = prompt.partition(":")
        if name in Voice.builtins():
            return Voice.builtin(name, style=style or None)
        if (
            not os.path.splitext(prompt)[1]
            and os.path.basename(prompt) == prompt
            and not os.path.exists(prompt)
        ):
            raise InputError(
                f"no voice {prompt!r}: neither a file nor built in; {suggest(name, Voice.builtins())}"
            )
    if isinstance(prompt, str | os.PathLike):
        return Voice(prompt)
    raise InputError(
        f"prompt={prompt!r:.80}: give a Voice, a path, a built-in voice's name, or (samples, rate)"
    )


def add_resynthesis(voice: Voice | None, llasa: Llasa, verifiers: Sequence[Verifier]) -> None:
    """Sets the voice's resynthesis where a verifier compares with that."""
    if voice is not None and any(getattr(each, "wants_resynthesis", False) for each in verifiers):
        voice.resynthesis = llasa.decode([llasa.voice_codes(voice)])[0]


def with_transcript(voice: Voice | None, language: str, verifiers: Sequence[Verifier]) -> Voice | None:
    """The voice with what it says, heard by the first verifier that can transcribe if that is unknown.

    Raises:
        InputError: no verifier can transcribe, or nothing was heard.
    """
    if voice is None or voice.text:
        return voice
    advice = "say what it says (prompt text), or put that in a .txt file of the same name beside it"
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
