"""Finds verifiers, strategies and prompt formats by name, built-in or of any package, without importing them."""

from __future__ import annotations

import ast
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

    A package registers an object in its `pyproject.toml`, as this one does::

        [project.entry-points."llasa_search.verifiers"]
        loudness = "my_package.loudness:Loudness"

    The name (`loudness`) then finds it, and so does the object's own name (`Loudness`) if no other package
    offers one with the same name.

    Args:
        group: the entry-point group.
        kind: of its objects, in one word, for messages.
    """

    def __init__(self, group: str, kind: str) -> None:
        self.group = group
        self.kind = kind

    @cached_property
    def entries(self) -> dict[str, EntryPoint]:
        """Entry points by name, sorted; one of them if two packages use the same name."""
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

    def make(self, spec: str, *given: object) -> Any:
        """Calls the object of a name with arguments, and returns the result.

        Args:
            spec: the name, with arguments if wanted, such as "beam:width=4,expand=2". A value that is not a literal
                of Python stays text.
            given: arguments before those.

        Raises:
            InputError: nothing has that name, or it does not take these arguments.
        """
        name, arguments = self._parsed(spec)
        made = self.get(name)
        try:
            inspect.signature(made).bind(*given, **arguments)
            return made(*given, **arguments)
        except TypeError as error:
            takes = taken(made, len(given))
            raise InputError(f"{self.kind} {spec!r}: {error}; {name} takes {takes}") from error

    def _parsed(self, spec: str) -> tuple[str, dict[str, Any]]:
        """Returns the name and the arguments of "name:argument=value,argument=value"."""
        name, _, listed = spec.partition(":")
        name = name.strip()
        call = f"{name}({listed})"
        try:
            tree = ast.parse(call, mode="eval").body
        except (SyntaxError, ValueError):
            tree = None
        if (
            not isinstance(tree, ast.Call)
            or tree.args
            or any(keyword.arg is None for keyword in tree.keywords)
        ):
            raise InputError(f"{self.kind} {spec!r}: give its arguments as name=value, name=value, ...")
        named = {str(keyword.arg): _value(keyword.value, call) for keyword in tree.keywords}
        if len(named) < len(tree.keywords):
            raise InputError(f"{self.kind} {spec!r}: an argument is given twice")
        return name, named

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


def _value(node: ast.expr, call: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return ast.get_source_segment(call, node)


def taken(made: Callable[..., object], given: int = 0) -> str:
    """Returns the arguments of a class or function with their defaults, such as "n=16, alpha=0.25".

    Args:
        made: a class or a function.
        given: how many of its first arguments are left out.
    """
    parameters = list(inspect.signature(made).parameters.values())[given:]
    if [each.kind for each in parameters] == [inspect.Parameter.VAR_KEYWORD]:
        preset = made()  # a preset, such as `Beam.short`, takes what its class takes
        of_class = inspect.signature(type(preset)).parameters.values()
        parameters = [each.replace(default=vars(preset)[each.name]) for each in of_class]
    return ", ".join(str(each.replace(annotation=each.empty)) for each in parameters) or "no arguments"


verifiers = Registry("llasa_search.verifiers", kind="verifier")
strategies = Registry("llasa_search.strategies", kind="strategy")
prompt_formats = Registry("llasa_search.prompt_formats", kind="prompt format")
