"""The errors of this library. Each message says what was wrong, with which input, and what to do."""

from __future__ import annotations

import reprlib
import sys
import warnings
from typing import TypeVar

T = TypeVar("T")


class LlasaSearchError(Exception):
    """Base of every error that this library raises on purpose."""


class InputError(LlasaSearchError, ValueError):
    """The caller's input cannot be used; nothing has been run or written."""


class ModelError(LlasaSearchError):
    """A checkpoint cannot be found or loaded, or is not of the expected kind."""


def short_repr(value: object) -> str:
    """Returns the `repr` of a value, shortened for a message."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    try:
        return short.repr(value)
    except ValueError:  # a whole number of more than 4,300 digits
        return f"<a {type(value).__name__}>"


def format_error(error: BaseException) -> str:
    """Returns an error's class and message, such as "ValueError: no samples"."""
    return f"{type(error).__name__}: {error}{advice(error)}"


def advice(error: BaseException) -> str:
    """Returns what to do about an error of another library that does not say so itself, or ""."""
    if "cannot cache function" in str(error):  # numba, where neither its package nor a home can be written
        return "; set the environment variable NUMBA_CACHE_DIR to a folder that can be written"
    return ""


def of_kind(given: T | None, kind: type[T], name: str) -> T | None:
    """Returns an argument after checking its type.

    Args:
        given: the argument, or None.
        kind: its class.
        name: of the argument, for the message.

    Raises:
        InputError: it is neither None nor an instance of the class.
    """
    if given is not None and not isinstance(given, kind):
        raise InputError(f"{name}={given!r:.80}: give a {kind.__name__}, not {type(given).__name__}")
    return given


def warn(message: str) -> None:
    """Warns at the line outside this package that led here.

    Python shows a warning once for each line and text, so a loop over calls shows it once.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
