"""The command line: the app with its commands, and how errors and warnings are printed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, TextIO

import typer

from llasa_search.cli.check import check
from llasa_search.cli.listing import strategies, verifiers, voices
from llasa_search.cli.say import say
from llasa_search.cli.score import score
from llasa_search.cli.study import study
from llasa_search.cli.terminal import flush, prepare_streams, write, write_error
from llasa_search.cli.trace import trace
from llasa_search.errors import InputError, LlasaSearchError, format_error

app = typer.Typer(
    name="llasa-search",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (say, score, trace, study, check, voices, verifiers, strategies):
    app.command()(command)

WrongUse: Any = typer.BadParameter.__base__
"""Click's `UsageError`, of the click that typer is made with."""


def _version(asked: bool) -> None:
    if asked:
        from llasa_search import __version__

        write(f"llasa-search {__version__}")
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
    prepare_streams()
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        sys.exit(_run(sys.argv[1:] or ["--help"]))


def _run(arguments: Sequence[str]) -> int:
    """Returns the exit code of a command; an error is printed in one line."""
    try:
        code = app(arguments, standalone_mode=False)
        flush()
        return code or 0
    except WrongUse as error:
        command = error.ctx.command_path if error.ctx else "llasa-search"
        write_error(f"error: {error.format_message()} (see {command} --help)")
    except InputError as error:
        write_error(f"error: {error}")
    except (KeyboardInterrupt, typer.Abort):
        write_error("interrupted")
        return 130
    except (MemoryError, ImportError) as error:  # without memory, libraries cannot be imported
        write_error(f"error: not enough memory, or a library is damaged ({format_error(error)})")
        return 1
    except (LlasaSearchError, OSError) as error:  # an OSError is, for example, a full disk
        write_error(f"error: {error}")
        return 1
    return 2


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, UserWarning):
        write_error(f"warning: {message}")
