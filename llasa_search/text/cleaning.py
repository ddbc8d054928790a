"""Cleans the text to be spoken."""

from __future__ import annotations

import re
import unicodedata

from llasa_search.errors import InputError, warn
from llasa_search.text.joining import join_texts

MAX_CHARACTERS = 100_000
"""Of one text, about two hours of speech; a longer one is refused at once. Our choice."""

_VARIATION_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # escape sequences, such as colours
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, or a byte that is not UTF-8
_SPOKEN_SYMBOLS = "°℃℉№"
_MARKER = re.compile(r"<\|[^|<>]*\|>")


def clean_text(text: str, what: str = "the text") -> str:
    """Returns the text on one line, without characters that have no sound.

    Control characters, emoji and other symbols are removed with a warning; white space becomes one space, but a line
    break between Chinese or Japanese characters is removed.

    Args:
        text: the text to speak, or the transcript of a voice prompt.
        what: what messages call the text.

    Raises:
        InputError: nothing is left to speak, the text contains markers of the model, is not UTF-8, or is
            longer than 100,000 characters.

    >>> clean_text("  The captain\\n found it. ")
    'The captain found it.'
    """
    if not isinstance(text, str):
        raise InputError(f"{what} is a {type(text).__name__}, not a string")
    if len(text) > MAX_CHARACTERS:
        raise InputError(
            f"{what} has {len(text):,} characters: give at most {MAX_CHARACTERS:,}, in several texts if need be"
        )
    if surrogate := _SURROGATE.search(text):
        raise InputError(f"{what} is not UTF-8 (it holds U+{ord(surrogate.group()):04X})")
    if not text.strip():
        raise InputError(f"{what} is empty: give at least one word to say")
    if marker := _MARKER.search(text):
        raise InputError(f"{what} holds {marker.group()!r}, a marker of the model: leave it out")
    folded = join_texts(unicodedata.normalize("NFC", _TERMINAL.sub("", text)).splitlines())
    spoken = " ".join("".join(c if _has_sound(c) else _left_by(c) for c in folded).split())
    if not any(unicodedata.category(c)[0] in "LN" for c in spoken):
        raise InputError(f"{what} {text!r:.60} has nothing to say: no letter, digit or character")
    if spoken != folded:
        removed = sorted({c for c in folded if not _has_sound(c)})
        warn(f"left out of {what}: {' '.join(map(_name, removed))}")
    return spoken


def _has_sound(character: str) -> bool:
    """Whether this is a letter, mark, digit, punctuation, space, currency or mathematical sign, or as in 25 °C."""
    if _VARIATION_SELECTORS.match(character):
        return False
    category = unicodedata.category(character)
    return category[0] in "LNPZ" or category in ("Mn", "Mc", "Sc", "Sm") or character in _SPOKEN_SYMBOLS


def _left_by(character: str) -> str:
    """Returns what replaces a removed character: a space, or nothing for one that can be inside a word."""
    # Control characters, joiners, soft hyphens and variation selectors.
    within = unicodedata.category(character) in ("Cc", "Cf") or _VARIATION_SELECTORS.match(character)
    return "" if within else " "


def _name(character: str) -> str:
    return character if unicodedata.category(character) == "So" else f"U+{ord(character):04X}"
