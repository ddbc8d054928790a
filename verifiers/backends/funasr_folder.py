"""Reads funasr's checkpoint folders without funasr's loader.

That loader sets all random seeds and the number of threads, makes all logging verbose, and keeps random weights
where those of a checkpoint do not fit. Here all weights must fit, and no global state changes.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from llasa_search.checkpoints.loading import load_strictly, read_weights
from llasa_search.checkpoints.settings_files import read_settings
from llasa_search.errors import ModelError


def read_config(folder: Path, files: tuple[str, ...], kind: str) -> dict[str, Any]:
    """Returns the content of the folder's config.yaml.

    Args:
        folder: of the checkpoint.
        files: that it must have.
        kind: of model, for the message.

    Raises:
        ModelError: one of the files is missing, or config.yaml is not plain YAML.
    """
    for name in files:
        if not (folder / name).is_file():
            raise ModelError(f"{folder} is not a {kind} folder: {name} is missing")
    return read_settings(folder / "config.yaml")


def load_weights(model: Any, path: Path, config: dict[str, Any]) -> None:
    """Loads a model's weights from a funasr file, which may also have weights that only training needs.

    Raises:
        ModelError: a weight is missing or has another shape.
    """
    content = read_weights(path)
    given = next(
        (content[key] for key in ("state_dict", "model_state_dict", "model") if key in content), content
    )
    # scope_map lists pairs: prefix in the file, prefix in the model. fairseq's prefix is "d2v_model.".
    prefixes = ["", "module.", *config.get("scope_map", [])[::2]]
    weights = {
        name: given[prefix + name]
        for name in model.state_dict()
        for prefix in prefixes
        if prefix + name in given
    }
    load_strictly(model, weights, path)


@contextmanager
def quiet() -> Iterator[None]:
    """Hides what funasr prints when it is imported, and restores the level of logging, which it changes.

    `sys.stdout` stays as it is, because it belongs to all threads.
    """
    root, finder = logging.getLogger(), _WithoutPrints()
    level = root.level
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        root.setLevel(level)


class _WithoutPrints(MetaPathFinder):
    """Finds the module of funasr that prints a notice, and gives it a `print` that does nothing."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == "funasr.utils.load_utils" else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        vars(module)["print"] = lambda *values, **options: None
        super().exec_module(module)
