"""The text that a command speaks: an argument, standard input, or a file."""

from __future__ import annotations

import sys
from pathlib import Path

from llasa_search.errors import InputError
from llasa_search.storage.reading import open_regular
from llasa_search.text.cleaning import MAX_CHARACTERS

MAX_BYTES = 4 * MAX_CHARACTERS
"""A character has at most four bytes in UTF-8."""


def given_text(text: str | None, file: Path | None) -> str:
    """Returns the text to speak.

    Args:
        text: the argument; "-" reads standard input.
        file: of `--text-file`.

    Raises:
        InputError: none or both are given, or what is read is not text in UTF-8, or too long.
    """
    if (text is None) == (file is None):
        wrong = "no text" if text is None else "both TEXT and --text-file"
        raise InputError(f'{wrong}: give TEXT, "-" to read standard input, or --text-file FILE')
    if file is not None:
        with open_regular(file, f"the text file {file}") as content:
            return _decoded(content.read(MAX_BYTES + 1), f"the text file {file}")
    if text == "-":
        return _decoded(_standard_input(), "standard input")
    assert text is not None
    return text


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except OSError as error:  # for example a folder
        raise InputError(f"standard input cannot be read: {error.strerror}") from error


def _decoded(content: bytes, what: str) -> str:
    if len(content) > MAX_BYTES:
        raise InputError(f"{what} is too long: a text has at most {MAX_CHARACTERS:,} characters")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is not text in UTF-8 (byte {error.start})") from error
