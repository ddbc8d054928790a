"""Fits a prompt into the model's context window, and bounds the length of its speech."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

import numpy as np

from llasa_search.errors import InputError
from llasa_search.llasa.duration import seconds_range, typical_seconds
from llasa_search.llasa.prompt_format import PromptFormat
from llasa_search.sampling import Sampling
from llasa_search.text.joining import join_texts
from llasa_search.voice import Prompt

ROOM_FOR_SLOW_SPEECH = 1.5
"""A text is too long if its typical duration times this does not fit. Our choice."""

CERTAIN = 0.95
"""Share of the characters that would fit at equal duration; the message states this many. Our choice."""


@dataclass(frozen=True)
class Fit:
    """The token ids of a prompt, and the bounds of its speech.

    Attributes:
        text_ids: token ids up to the start of speech.
        minimum, maximum: speech tokens that may follow the codes of voice and history, END not counted.
        expected: speech tokens that reading the text usually takes, between the two.
        refusal: why the text cannot be spoken in one piece, if it is too long; else None.
    """

    text_ids: list[int]
    minimum: int
    maximum: int
    expected: int
    refusal: str | None = None


def fit(prompt: Prompt, sampling: Sampling, form: PromptFormat, hop: int, rate: float, window: int) -> Fit:
    """Computes the token ids of a prompt and the bounds of its speech, before any model runs.

    Args:
        prompt: text, voice and history.
        sampling: may set the shortest and longest speech; by default, they depend on the text.
        form: the prompt format.
        hop: samples per code.
        rate: codes per second.
        window: tokens that the model can hold.

    Raises:
        InputError: the voice has no transcript, or the text contains a marker of the model.
    """
    text_ids = form.prompt_ids(_everything(prompt, prompt.text), np.zeros(0, np.int32))
    low, high = _seconds(prompt.text, sampling)
    room = window - len(text_ids) - _codes_before(prompt, hop)
    typical = typical_seconds(prompt.text) * rate
    needed, refusal = ROOM_FOR_SLOW_SPEECH * typical, None
    if room < max(1, min(high * rate, needed)):
        fixed = len(form.prompt_ids(_everything(prompt, ""), np.zeros(0, np.int32))) + _codes_before(
            prompt, hop
        )
        per_character = (len(text_ids) + _codes_before(prompt, hop) - fixed + needed) / len(prompt.text)
        limit = max(0, int(CERTAIN * (window - fixed) / per_character))
        beside = "" if prompt.voice is None else " beside this voice prompt"
        refusal = (
            f"the text of {len(prompt.text)} characters is too long for a window of {window} tokens: some "
            f"{limit} characters fit{beside}; the strategy in_context_steps takes any"
        )
        room = round(high * rate)
    minimum, maximum = (min(room, max(1, round(seconds * rate))) for seconds in (low, high))
    return Fit(text_ids, minimum, maximum, min(max(minimum, round(typical)), maximum), refusal)


def within(
    prompt: Prompt, sampling: Sampling, form: PromptFormat, hop: int, rate: float, window: int
) -> Prompt:
    """Returns the prompt with as much of its history as leaves room for the text's longest speech.

    The oldest steps are dropped first, text and codes together. The voice stays; without one, the first step
    stays, because it sets the voice. Arguments are those of `fit`.
    """
    longest = round(_seconds(prompt.text, sampling)[1] * rate)
    anchor = 0 if prompt.voice is not None else 1

    def without(oldest: int) -> Prompt:
        history = prompt.history
        return replace(prompt, history=(*history[:anchor], *history[anchor + oldest :]))

    def has_room(oldest: int) -> bool:
        shorter = without(oldest)
        text_ids = form.prompt_ids(_everything(shorter, prompt.text), np.zeros(0, np.int32))
        return len(text_ids) + _codes_before(shorter, hop) + longest <= window

    most = max(0, len(prompt.history) - anchor)
    return without(bisect_left(range(most), True, key=has_room))


def _seconds(text: str, sampling: Sampling) -> tuple[float, float]:
    """Returns the fewest and the most seconds that speech of the text may take."""
    low, high = seconds_range(text)
    high = sampling.max_seconds or max(high, sampling.min_seconds or 0)
    return sampling.min_seconds or min(low, high), high


def _everything(prompt: Prompt, text: str) -> str:
    """Returns the transcript of the voice, the text of the history and the text, joined."""
    voice = prompt.voice
    if voice is not None and not voice.text:
        raise InputError(f"the voice prompt {voice.name!r} has no transcript; give it: Voice(..., text=...)")
    spoken = [voice.text] if voice is not None and voice.text else []
    return join_texts([*spoken, *(step.text for step in prompt.history), text])


def _codes_before(prompt: Prompt, hop: int) -> int:
    """Returns the number of codes of voice and history; the codec appends one sample to a voice."""
    voice = 0 if prompt.voice is None else len(prompt.voice.audio) // hop + 1
    return voice + sum(len(step.codes) for step in prompt.history)
