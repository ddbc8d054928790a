"""The one family of errors: each message says what was wrong, with which input, and what to do."""

from __future__ import annotations

import reprlib
from typing import TypeVar

T = TypeVar("T")


class LlasaSearchError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(LlasaSearchError, ValueError):
    """The caller's input cannot be used; nothing has been run or written."""


class ModelError(LlasaSearchError):
    """A checkpoint cannot be found, loaded, or is not what it should be."""


def short_repr(value: object) -> str:
    """A value for a message: short, and whatever its own `__repr__` does."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 80
    return short.repr(value)


def format_error(error: BaseException) -> str:
    """An error's kind and text, whatever its own `__str__` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def of_kind(given: T | None, kind: type[T], name: str) -> T | None:
    """The argument as it was given.

    Raises:
        InputError: it is neither of this kind nor None.
    """
    if given is not None and not isinstance(given, kind):
        raise InputError(f"{name}={given!r:.80}: give a {kind.__name__}, not {type(given).__name__}")
    return given
