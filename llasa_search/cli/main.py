"""The command line: the app with its commands, and how errors and warnings are printed."""

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from typing import Annotated, TextIO

import typer

from llasa_search.cli.check import check
from llasa_search.cli.listing import strategies, verifiers, voices
from llasa_search.cli.say import say
from llasa_search.cli.score import score
from llasa_search.cli.study import study
from llasa_search.cli.trace import trace
from llasa_search.errors import InputError, LlasaSearchError

app = typer.Typer(
    name="llasa-search",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (say, score, trace, study, check, voices, verifiers, strategies):
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        from llasa_search import __version__

        typer.echo(f"llasa-search {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Make Llasa speak better by searching: sample candidates, score them with verifiers, keep the best."""


def main() -> None:
    """Runs the command line; the exit code is 0, 1 after a failure, 2 after wrong use, 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that cannot be printed must not end a search
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            app()
    except InputError as error:
        _fail(error, 2)
    except (LlasaSearchError, OSError) as error:  # an OSError is, for example, a full disk
        _fail(error, 1)


def _fail(error: Exception, code: int) -> None:
    typer.echo(f"error: {' '.join(str(error).split())}", err=True)
    sys.exit(code)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, UserWarning):
        typer.echo(f"warning: {message}", err=True)
