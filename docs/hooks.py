"""Extends mkdocs and griffe: inserts the help of each command, and formats doctests as code blocks."""

from __future__ import annotations

import re
from typing import Any

import griffe
import typer.main
from typer.testing import CliRunner

from llasa_search.cli.main import app

MARKER = "<!-- command line -->"
DOCTEST = re.compile(r"^(?P<indent> *)>>> .*(?:\n(?P=indent)\S.*)*", re.M)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces the marker on a page by one section of help text for each command."""
    return markdown.replace(MARKER, _help()) if MARKER in markdown else markdown


class DoctestBlocks(griffe.Extension):
    """Formats the doctests of docstrings as code blocks; Markdown would format them as quotations."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = DOCTEST.sub(_fenced, obj.docstring.value)


def _help() -> str:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    runner = CliRunner(env={"COLUMNS": "100", "NO_COLOR": "1"})
    texts = {name: runner.invoke(app, [name, "--help"], prog_name="llasa-search").output for name in commands}
    return "\n".join(f"### {name}\n\n```text\n{text.strip()}\n```\n" for name, text in texts.items())


def _fenced(doctest: re.Match[str]) -> str:
    indent = doctest["indent"]
    return f"{indent}```pycon\n{doctest[0]}\n{indent}```"
