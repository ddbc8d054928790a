"""The one family of errors: each message says what was wrong, with which input, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llasa_search.result import SearchResult


class LlasaSearchError(Exception):
    """Base of every error this library raises on purpose."""


class InputError(LlasaSearchError, ValueError):
    """The caller's input cannot be used; nothing has been run or written."""


class ModelError(LlasaSearchError):
    """A checkpoint cannot be found, loaded, or is not what it should be."""


class SearchError(LlasaSearchError):
    """A search ended without a speakable choice.

    Attributes:
        result: every candidate that was sampled, with what happened to it, or None.
    """

    def __init__(self, message: str, result: SearchResult | None = None) -> None:
        super().__init__(message)
        self.result = result
