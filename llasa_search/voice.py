"""Who speaks (`Voice`) and what is asked of the model (`Prompt`)."""

from __future__ import annotations

from dataclasses import dataclass

from llasa_search.candidate import Codes


@dataclass(frozen=True)
class Step:
    """An accepted piece of speech that the next step continues: its text and codes."""

    text: str
    codes: Codes


@dataclass(frozen=True)
class Prompt:
    """One conditioning of the model.

    Attributes:
        text: what to say.
        language: "en" or "zh".
        voice: the voice prompt, or None for any voice.
        history: accepted steps, spoken after the voice prompt and before this text.
    """

    text: str
    language: str
    voice: "Voice | None" = None
    history: tuple[Step, ...] = ()
