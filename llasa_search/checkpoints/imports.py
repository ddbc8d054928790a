"""Imports of the libraries that models need; a missing one is named with the command that installs it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Any

from llasa_search.checkpoints.locks import loading_lock
from llasa_search.errors import ModelError

DISTRIBUTIONS = {"whisper": "openai-whisper"}
"""Names for pip of the modules whose package has another name."""


@contextmanager
def explain_missing_imports(extra: str = "") -> Iterator[None]:
    """Turns a failed import into an error that names the command which installs the library.

    Also a decorator, for a function that imports a library when it is called.

    Args:
        extra: the extra of this package that installs the library; "" for a library of the package itself.

    Raises:
        ModelError: an import inside the block failed.
    """
    try:
        yield
    except ImportError as error:
        if error.name is None:  # not raised by an import statement
            raise
        if str(error.path).endswith(
            tuple(EXTENSION_SUFFIXES)
        ):  # it is there, and its machine code cannot be loaded
            raise ModelError(f"a library is damaged, or there is not enough memory ({error})") from error
        top = error.name.partition(".")[0]
        package = f"'llasa-search[{extra}]'" if extra else DISTRIBUTIONS.get(top, top)
        raise ModelError(f"{error.name} cannot be imported ({error}): pip install {package}") from error


def import_from_extra(module: str, extra: str) -> Any:
    """Returns a module that an extra of this package installs, imported without its warnings.

    Args:
        module: its name.
        extra: as in `pip install 'llasa-search[extra]'`.

    Raises:
        ModelError: it, or a library that it needs, is not installed.
    """
    if sys.modules.get(module) is not None:  # `catch_warnings` makes Python repeat every warning it has shown
        return import_module(module)
    with explain_missing_imports(extra), loading_lock, warnings.catch_warnings(action="ignore"):
        return import_module(module)
