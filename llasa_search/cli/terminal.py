"""Prints to the terminal: control characters are escaped, and closed streams cause no error."""

from __future__ import annotations

import errno
import os
import sys
from io import TextIOWrapper
from typing import Any

from llasa_search.errors import LlasaSearchError
from llasa_search.storage.files import to_json
from llasa_search.table import printable

MAX_ERROR = 500
"""Characters of an error or a warning; the middle of a longer one is left out."""

EXACT = 2**53
"""Whole numbers up to this one are exact in every JSON reader; larger ones are written as text."""


def prepare_streams() -> None:
    """Opens standard streams that were closed (as by `2>&-`), and replaces characters that they cannot encode.

    If a stream stayed closed, the next file would get its number, and C code would write messages into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (stays open)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def write(text: str) -> None:
    """Prints text of one or more lines to standard output; a closed pipe, as after `head`, is not an error.

    Raises:
        LlasaSearchError: it cannot be written, as on a full disk.
    """
    _write(printable(text, lines=True))


def write_json(content: object) -> None:
    """Prints one JSON document to standard output; errors are those of `write`."""
    _write(to_json(_exact(content)))


def write_error(message: str) -> None:
    """Prints one line to standard error; a failure to write is ignored."""
    line = printable(" ".join(message.split()))
    if len(line) > MAX_ERROR:
        line = f"{line[: MAX_ERROR - 160]} ... {line[-150:]}"
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def flush() -> None:
    """Writes the buffer of standard output, in which the help texts may be."""
    _write("", end="")


def _write(text: str, end: str = "\n") -> None:
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        _discard(sys.stdout)
        if error.errno != errno.EPIPE:
            raise LlasaSearchError(f"standard output cannot be written: {error.strerror}") from error


def _discard(stream: Any) -> None:
    """Redirects a stream to the null device, so that Python does not fail when it flushes the stream at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _exact(content: object) -> object:
    match content:
        case dict():
            return {key: _exact(value) for key, value in content.items()}
        case list() | tuple():
            return [_exact(value) for value in content]
        case int() if abs(content) > EXACT:
            return str(content)
    return content
