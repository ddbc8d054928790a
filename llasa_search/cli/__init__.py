"""The command line, one file for each command."""

from llasa_search.cli.main import main

__all__ = ["main"]
