"""Libraries that come with an extra of this package, and not with the package itself."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from llasa_search.errors import ModelError


def import_from_extra(module: str, extra: str) -> Any:
    """Imports a module that the extra brings.

    Args:
        module: its name.
        extra: as in `pip install 'llasa-search[extra]'`.

    Raises:
        ModelError: it, or what it needs itself, is not installed.
    """
    try:
        # What it warns of when it is imported says nothing to our users.
        with warnings.catch_warnings(action="ignore"):
            return import_module(module)
    except ImportError as error:
        raise ModelError(
            f"{module} cannot be imported ({error}): pip install 'llasa-search[{extra}]'"
        ) from error
