"""Spends compute at inference time to improve Llasa's speech: samples candidates, scores them, and searches.

All names are imported on first use, so that importing the package is fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llasa_search.checkpoints.imports import explain_missing_imports

if TYPE_CHECKING:
    from llasa_search import search
    from llasa_search.budget import Budget, Ledger
    from llasa_search.candidate import Candidate, Score, Utterance
    from llasa_search.errors import InputError, LlasaSearchError, ModelError
    from llasa_search.result import SearchError, SearchResult
    from llasa_search.sampling import Sampling
    from llasa_search.search import Searcher
    from llasa_search.voice import Prompt, Voice

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "Candidate",
    "InputError",
    "Ledger",
    "LlasaSearchError",
    "ModelError",
    "Prompt",
    "Sampling",
    "Score",
    "SearchError",
    "SearchResult",
    "Searcher",
    "Utterance",
    "Voice",
    "search",
]

_HOMES = {
    "budget": ("Budget", "Ledger"),
    "candidate": ("Candidate", "Score", "Utterance"),
    "errors": ("InputError", "LlasaSearchError", "ModelError"),
    "result": ("SearchError", "SearchResult"),
    "sampling": ("Sampling",),
    "search": ("Searcher",),
    "voice": ("Prompt", "Voice"),
}


def __getattr__(name: str) -> Any:
    with explain_missing_imports():
        if name == "search":
            return import_module("llasa_search.search")
        for home, names in _HOMES.items():
            if name in names:
                return getattr(import_module(f"llasa_search.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
