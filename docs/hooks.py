"""Fills the command-line page of the documentation with the help of each command."""

from __future__ import annotations

from typing import Any

import typer.main
from typer.testing import CliRunner

from llasa_search.cli.main import app

MARKER = "<!-- command line -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replaces the marker on a page by one section of help text for each command."""
    return markdown.replace(MARKER, _help()) if MARKER in markdown else markdown


def _help() -> str:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    runner = CliRunner(env={"COLUMNS": "100", "NO_COLOR": "1"})
    texts = {name: runner.invoke(app, [name, "--help"], prog_name="llasa-search").output for name in commands}
    return "\n".join(f"## {name}\n\n```text\n{text.strip()}\n```\n" for name, text in texts.items())
