"""The text to be spoken: what is left of it, and its language."""

from __future__ import annotations

import re
import unicodedata
import warnings

from llasa_search.errors import InputError

_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # colours and the like, whose letters nobody says
_MARKER = re.compile(r"<\|[^|<>]*\|>")


def clean_text(text: str, what: str = "the text") -> str:
    """The text as it will be spoken: one line, without what has no sound.

    Control characters, emoji and other pictures are left out with a warning; white space becomes one space.

    Args:
        text: to speak, or spoken by a voice prompt.
        what: what messages call it.

    Raises:
        InputError: nothing is left to say, or the text holds the model's own markers.

    >>> clean_text("  The captain\\n found it. ")
    'The captain found it.'
    """
    if not isinstance(text, str):
        raise InputError(f"{what} is a {type(text).__name__}, not a string")
    if not text.strip():
        raise InputError(f"{what} is empty: give at least one word to say")
    if marker := _MARKER.search(text):
        raise InputError(f"{what} holds {marker.group()!r}, a marker of the model: leave it out")
    folded = " ".join(unicodedata.normalize("NFC", _TERMINAL.sub("", text)).split())
    spoken = " ".join("".join(c if _has_sound(c) else _left_by(c) for c in folded).split())
    if not any(unicodedata.category(c)[0] in "LN" for c in spoken):
        raise InputError(f"{what} {text!r:.60} has nothing to say: no letter, digit or character")
    if spoken != folded:
        dropped = sorted({c for c in folded if not _has_sound(c)})
        warnings.warn(f"left out of {what}: {' '.join(map(_name, dropped))}", stacklevel=2)
    return spoken


def _has_sound(character: str) -> bool:
    """Letters and their marks, digits, punctuation, spaces, currency and mathematical signs."""
    if _VARIATION_SELECTORS.match(character):
        return False
    category = unicodedata.category(character)
    return category[0] in "LNPZ" or category in ("Mn", "Mc", "Sc", "Sm")


def _left_by(character: str) -> str:
    """Pictures stand between words; control characters, joiners and soft hyphens within one."""
    within = unicodedata.category(character) in ("Cc", "Cf") or _VARIATION_SELECTORS.match(character)
    return "" if within else " "


def _name(character: str) -> str:
    return character if unicodedata.category(character) == "So" else f"U+{ord(character):04X}"
