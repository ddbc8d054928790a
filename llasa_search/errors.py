"""The one family of errors: each message says what was wrong, with which input, and what to do."""

from __future__ import annotations


class LlasaSearchError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(LlasaSearchError, ValueError):
    """The caller's input cannot be used; nothing has been run or written."""


class ModelError(LlasaSearchError):
    """A checkpoint cannot be found, loaded, or is not what it should be."""
