"""Where verifiers' checkpoints are, and reading them without running anything that they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llasa_search.checkpoints.hub import first_lines
from llasa_search.errors import LlasaSearchError, ModelError


def read_weights(path: Path) -> dict[str, Any]:
    """What a PyTorch file holds, tensors and plain containers only: nothing in it is executed."""
    from pickle import UnpicklingError

    import torch

    with loading(path):
        try:
            weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except UnpicklingError as error:  # PyTorch's own advice is to load it without this safety
            raise ModelError(
                f"{path} is no PyTorch file of tensors alone: what else it holds could run as code"
            ) from error
    return weights


def stated(path: Path, key: str) -> str:
    """What a configuration file says, "" where there is none; JSON is also YAML."""
    if not path.is_file():
        return ""
    import yaml

    with loading(path):
        return str(yaml.safe_load(path.read_text(encoding="utf-8")).get(key, ""))


def require_type(folder: Path, kind: str, name: str) -> None:
    """Refuses a folder that holds no model of transformers, or another one.

    Args:
        folder: as `save_pretrained` writes it.
        kind: the `model_type` that its `config.json` must state.
        name: what was looked for.

    Raises:
        ModelError: there is no such file, or it states another model.
    """
    found = stated(folder / "config.json", "model_type")
    if found != kind:
        there = f"holds a {found!r}" if found else "has no config.json with a model_type"
        raise ModelError(f"{folder} is no {name}: it {there}")


def load_strictly(model: Any, weights: dict[str, Any], path: Path) -> None:
    """Loads weights that must fit exactly.

    Raises:
        ModelError: a weight is missing, of another shape, or too many.
    """
    with loading(path):
        model.load_state_dict(weights, strict=True)
    model.requires_grad_(False)


def pretrained(kind: Any, folder: Path, training: Sequence[str] = (), **options: Any) -> Any:
    """A model of transformers out of a folder that must hold all of its weights.

    Args:
        kind: its class.
        folder: as `save_pretrained` writes it.
        training: prefixes of weights that only training needs.
        options: of `from_pretrained`; in float32 unless they say otherwise, whatever the file is in.

    Raises:
        ModelError: the folder cannot be read, or a weight is missing and would be random.
    """
    import torch

    options = {"dtype": torch.float32, **options}
    with loading(folder), without_progress_bars():
        model, report = kind.from_pretrained(folder, output_loading_info=True, **options)
    require_complete(report, kind.__name__, folder, training)
    return model.eval().requires_grad_(False)


def require_complete(
    report: Mapping[str, Any], kind: str, where: Path | str, unused: Sequence[str] = ()
) -> None:
    """Looks at what transformers' `from_pretrained(..., output_loading_info=True)` reports.

    Args:
        report: its second value.
        kind: what was to be loaded.
        where: from where.
        unused: prefixes of weights that only training needs.

    Raises:
        ModelError: a weight is missing.
    """
    # Masks are for training.
    wanted = (name for name in report["missing_keys"] if not name.endswith("masked_spec_embed"))
    if missing := sorted(name for name in wanted if not name.startswith(tuple(unused))):
        raise ModelError(f"{where} is no {kind}: it lacks {missing[0]}, {len(missing)} weights in all")


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keeps transformers from drawing bars while it reads weights."""
    from transformers.utils import logging

    bars: Any = logging  # its functions have no types
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()


@contextmanager
def loading(path: Path | str) -> Iterator[None]:
    """Turns whatever goes wrong inside into a `ModelError` that names the checkpoint."""
    try:
        yield
    except LlasaSearchError:
        raise
    except Exception as error:
        raise ModelError(f"the checkpoint {path} cannot be loaded: {first_lines(error)}") from error


def stored_scale(model: str) -> tuple[float, float] | None:
    """(worst, best) as the folder's own `scale.json` says, such as `[0.2, 0.8]`; None without that file.

    Raises:
        ModelError: the file says something else.
    """
    path = Path(model).expanduser() / "scale.json"
    if not path.is_file():
        return None
    with loading(path):
        worst, best = map(float, json.loads(path.read_text(encoding="utf-8")))
    if worst == best:
        raise ModelError(f"{path}: worst and best are the same number, {worst:g}")
    return worst, best


def pick_device() -> str:
    """Where verifiers run: "cuda" if there is a GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
