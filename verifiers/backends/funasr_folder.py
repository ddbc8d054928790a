"""funasr's folders without funasr's loader.

That loader reseeds everything, sets the number of threads, makes all logging verbose, and keeps random
weights where a checkpoint's do not fit. Here they must fit, and nothing else is touched.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from llasa_search.checkpoints.loading import load_strictly, read_weights
from llasa_search.errors import ModelError


def read_config(folder: Path, files: tuple[str, ...], kind: str) -> dict[str, Any]:
    """What the folder's config.yaml says.

    Args:
        folder: of the checkpoint.
        files: that it must hold.
        kind: of model, for the error.

    Raises:
        ModelError: one of the files is missing.
    """
    import yaml

    for name in files:
        if not (folder / name).is_file():
            raise ModelError(f"{folder} is no {kind} folder: it lacks {name}")
    config: dict[str, Any] = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    return config


def load_weights(model: Any, path: Path, config: dict[str, Any]) -> None:
    """Loads the weights of a funasr file that the model has; the file may hold more, from its training.

    Raises:
        ModelError: one is missing or has another shape.
    """
    content = read_weights(path)
    given = next(
        (content[key] for key in ("state_dict", "model_state_dict", "model") if key in content), content
    )
    # (prefix in the file, prefix in the model) pairs; what has gone through fairseq has "d2v_model.".
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
    """Keeps the level of logging and standard output, which an import of funasr changes and writes to."""
    root = logging.getLogger()
    level = root.level
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
