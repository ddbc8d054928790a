"""Finds verifiers and strategies by name, built-in or from any installed package, without importing them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from llasa_search.errors import InputError


class Registry:
    """The objects that installed packages offer under one entry-point group.

    A package joins by listing its object in its `pyproject.toml`, as this one does::

        [project.entry-points."llasa_search.verifiers"]
        loudness = "my_package.loudness:Loudness"

    Both the name (`loudness`) and the object's own name (`Loudness`) then find it.

    Args:
        group: the entry-point group.
        kind: what it holds, in one word, for messages.
    """

    def __init__(self, group: str, kind: str) -> None:
        self.group = group
        self.kind = kind

    @cached_property
    def entries(self) -> dict[str, EntryPoint]:
        """Entry points by name, sorted; two packages that claim one name are an `InputError`."""
        found: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=self.group), key=lambda entry: entry.name):
            claimed = found.setdefault(entry.name, entry)
            if claimed.value != entry.value:
                raise InputError(
                    f"two packages offer a {self.kind} named {entry.name!r}, "
                    f"{claimed.value} and {entry.value}: uninstall one of them"
                )
        return found

    def get(self, name: str) -> Any:
        """Imports and returns the object called `name`.

        Raises:
            InputError: nothing has that name, or its package cannot be imported.
        """
        matches = [entry for entry in self.entries.values() if name in (entry.name, entry.attr)]
        if not matches:
            raise InputError(self._unknown(name))
        try:
            return matches[0].load()
        except Exception as error:
            raise InputError(
                f"the {self.kind} {name!r} ({matches[0].value}) cannot be imported: {error}"
            ) from error

    def _unknown(self, name: str) -> str:
        if not self.entries:
            return f"no {self.kind} is registered: install the package (`pip install -e .` in a checkout)"
        return f"unknown {self.kind} {name!r}; {suggest(name, self.entries)}"


def suggest(name: str, known: Iterable[str]) -> str:
    """What to say beside an unknown name: the nearest known one, else all of them.

    >>> suggest("wre", ["speaker", "wer"])
    "did you mean 'wer'?"
    >>> suggest("loudness", ["wer", "speaker"])
    'known: speaker, wer'
    """
    known = sorted(known)
    nearest = difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"


verifiers = Registry("llasa_search.verifiers", kind="verifier")
strategies = Registry("llasa_search.strategies", kind="strategy")
