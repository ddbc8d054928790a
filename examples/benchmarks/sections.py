"""Runs the benchmarks' commands and writes sections of Markdown pages."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import typer

from llasa_search.errors import LlasaSearchError

ROOT = Path(__file__).resolve().parents[2]
CARD = ROOT / "llasa_search" / "tiny" / "README.md"
RESULTS = ROOT / "docs" / "results"
BENCHMARKS = RESULTS / "benchmarks.md"
INTERRUPTED = 130  # typer's exit status after Ctrl-C
PACKAGES = ("llasa-search", "torch", "transformers", "openai-whisper", "pocketsphinx")


def write(page: Path, name: str, body: str) -> None:
    """Writes `body` between `<!-- name:begin -->` and `<!-- name:end -->`; adds the section if it is missing."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    section = f"{begin}\n\n{body.strip()}\n\n{end}"
    text = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks\n"
    if begin in text:
        text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: section, text, flags=re.DOTALL)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")


def made_by() -> str:
    """Returns the first line of a section: the command, the versions and the machine.

    Options for the folders of results are left out.
    """
    script = Path(sys.argv[0]).resolve()
    module = f"examples.benchmarks.{script.stem}" if script.is_relative_to(ROOT) else script.stem
    arguments = re.sub(r"--(folder|page)(=| )\S+ ?", "", shlex.join(sys.argv[1:]))
    command = f"python -m {module} {arguments}".strip()
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    return f"`{command}` wrote this section ({versions}; {machine})."


def run(main: Callable[..., None]) -> None:
    """Runs a benchmark's command; prints errors in one line, and a hint how to continue after an interrupt."""
    app = typer.Typer(add_completion=False)
    app.command()(main)
    try:
        app()
    except LlasaSearchError as error:
        sys.exit(f"Error: {error}")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            typer.echo("Interrupted. Finished work is stored; run the same command to continue.", err=True)
        raise
