"""Finds verifiers and strategies by name, built-in or from any installed package, without importing them."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from llasa_search.checkpoints.locks import third_party_lock
from llasa_search.errors import InputError


class Registry:
    """The objects that installed packages offer under one entry-point group.

    A package joins by listing its object in its `pyproject.toml`, as this one does::

        [project.entry-points."llasa_search.verifiers"]
        loudness = "my_package.loudness:Loudness"

    The name (`loudness`) then finds it, and so does the object's own name (`Loudness`) if no other package
    offers one that is called the same.

    Args:
        group: the entry-point group.
        kind: what it holds, in one word, for messages.
    """

    def __init__(self, group: str, kind: str) -> None:
        self.group = group
        self.kind = kind

    @cached_property
    def entries(self) -> dict[str, EntryPoint]:
        """Entry points by name, sorted; one of them if two packages claim a name."""
        return {entry.name: entry for entry in sorted(entry_points(group=self.group), key=lambda e: e.name)}

    def get(self, name: str) -> Any:
        """Imports and returns the object called `name`.

        Raises:
            InputError: nothing has that name, or two packages, or its package cannot be imported.
        """
        claims = [entry.value for entry in entry_points(group=self.group) if entry.name == name]
        if name not in self.entries:
            claims = [entry.value for entry in self.entries.values() if entry.attr == name]
        if len(set(claims)) > 1:
            raise InputError(f"two packages offer a {self.kind} named {name!r}: {', '.join(sorted(claims))}")
        entry = self.entries.get(name) or next((e for e in self.entries.values() if e.value in claims), None)
        if entry is None:
            raise InputError(self._unknown(name))
        try:
            with third_party_lock:
                return entry.load()
        except Exception as error:
            raise InputError(
                f"the {self.kind} {name!r} ({entry.value}) cannot be imported: {error}"
            ) from error

    def _unknown(self, name: str) -> str:
        if not self.entries:
            return f"no {self.kind} is registered: install the package (`pip install -e .` in a checkout)"
        return f"unknown {self.kind} {name!r}; {suggest(name, self.entries)}"


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns advice about an unknown name: the nearest known one, else all of them.

    >>> suggest("wre", ["speaker", "wer"])
    "did you mean 'wer'?"
    >>> suggest("loudness", ["wer", "speaker"])
    'known: speaker, wer'
    """
    known = sorted(known)
    nearest = difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(known)}"


def taken(made: Callable[..., object]) -> str:
    """Returns the arguments of a verifier or a strategy with their defaults, such as "n=16, alpha=0.25"."""
    parameters = list(inspect.signature(made).parameters.values())
    if [each.kind for each in parameters] == [inspect.Parameter.VAR_KEYWORD]:
        preset = made()  # a preset, such as `Beam.short`, takes what its class takes
        of_class = inspect.signature(type(preset)).parameters.values()
        parameters = [each.replace(default=vars(preset)[each.name]) for each in of_class]
    return ", ".join(str(each.replace(annotation=each.empty)) for each in parameters) or "no arguments"


verifiers = Registry("llasa_search.verifiers", kind="verifier")
strategies = Registry("llasa_search.strategies", kind="strategy")
