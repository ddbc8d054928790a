"""`llasa-search voices`, `verifiers` and `strategies`: lists of what is installed. No model is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from importlib.util import find_spec

from llasa_search import registry
from llasa_search.cli.options import AsJson
from llasa_search.cli.terminal import write, write_json
from llasa_search.errors import InputError
from llasa_search.table import terminal_width, text_table
from llasa_search.verifiers.base import FunctionVerifier, Verifier
from llasa_search.voice import Voice


def voices(as_json: AsJson = False) -> None:
    """List the built-in voices and their styles."""
    rows = [[name, ", ".join(Voice.styles(name))] for name in Voice.builtins()]
    _print([["voice", "styles"], *rows], as_json)


def verifiers(as_json: AsJson = False) -> None:
    """List the verifiers, what they need, and whether it is installed."""
    _print(verifier_rows(), as_json)


def strategies(as_json: AsJson = False) -> None:
    """List the strategies, what they do, and their settings with the defaults."""
    _print(strategy_rows(), as_json)


def _print(table: Sequence[Sequence[str]], as_json: bool) -> None:
    """Prints a table, or a list with one object for each of its rows."""
    heading, *rows = table
    if as_json:
        write_json([dict(zip(heading, row, strict=True)) for row in rows])
    else:
        write(text_table(table, terminal_width()))


def verifier_rows() -> list[list[str]]:
    """Returns the heading, and one row for each verifier, by name.

    "judge" is "yes" for verifiers that are meant to evaluate the result of a search rather than to guide it.
    "installed" is "no" if the verifier's module cannot be imported, or if one of its `requires` is missing.
    The module is imported for its declarations only; a verifier imports its back-end in `load`.
    """
    heading = ["name", "class", "needs", "partial", "judge", "family", "package", "installed"]
    return [heading, *map(_verifier_row, registry.verifiers.entries.values())]


def _verifier_row(entry: EntryPoint) -> list[str]:
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
    """Returns the modules of `kind.requires` that are not installed; none of them is imported."""
    return [name for name in kind.requires if find_spec(name.partition(".")[0]) is None]


def strategy_rows() -> list[list[str]]:
    """Returns the heading, and one row for each strategy, by name.

    The description is the first line of the strategy's docstring.
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
