"""What the command line shows of verifiers and strategies, without loading what they run on."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint
from importlib.util import find_spec

from llasa_search import registry
from llasa_search.errors import InputError
from llasa_search.verifiers.base import FunctionVerifier, Verifier

HEADING = ["name", "class", "needs", "partial", "judge", "family", "package", "installed"]


def verifier_rows() -> list[list[str]]:
    """The heading, then one row a verifier, by name.

    "judge" is yes for those that are meant to judge what a search found, not to take part in one.
    "installed" is no where its module cannot be imported, or what it `requires` is not there. Its module is
    imported for its declarations; a verifier that follows the contract imports its back-end in `load`.
    """
    return [HEADING, *(_row(entry) for entry in registry.verifiers.entries.values())]


def _row(entry: EntryPoint) -> list[str]:
    package = entry.dist.name if entry.dist else "-"
    try:
        found = registry.verifiers.get(entry.name)
    except InputError as error:
        return [entry.name, entry.attr, "-", "-", "-", "-", package, f"no: {error.__cause__}"]
    kind = type(found) if isinstance(found, Verifier) else found
    kind = kind if isinstance(kind, type) and issubclass(kind, Verifier) else FunctionVerifier
    missing = missing_modules(kind)
    return [
        entry.name,
        entry.attr,
        ", ".join(sorted(kind.needs)) or "-",
        "yes" if kind.partial else "no",
        "yes" if kind.judge else "no",
        kind.family or "-",
        package,
        f"no: needs {', '.join(missing)}" if missing else "yes",
    ]


def missing_modules(kind: type[Verifier]) -> list[str]:
    """Those modules of `kind.requires` that are not installed; none of them is imported."""
    return [name for name in kind.requires if find_spec(name.partition(".")[0]) is None]


def strategy_rows() -> list[list[str]]:
    """The heading, then one row a strategy, by name, with its settings and their defaults.

    What it does is the first line of its docstring.
    """
    rows = [["name", "package", "does", "settings"]]
    for entry in registry.strategies.entries.values():
        settings = "-"
        try:
            made = registry.strategies.get(entry.name)
            does, settings = (inspect.getdoc(made) or "-").splitlines()[0], registry.taken(made)
        except InputError as error:
            does = f"cannot be used: {error.__cause__}"
        rows.append([entry.name, entry.dist.name if entry.dist else "-", does, settings])
    return rows
