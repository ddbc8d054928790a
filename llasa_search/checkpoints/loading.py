"""Loads checkpoints completely, without executing anything that they contain."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from llasa_search.checkpoints.bounds import require_finite, within_its_files
from llasa_search.checkpoints.hub import first_lines
from llasa_search.checkpoints.settings_files import read_settings
from llasa_search.errors import InputError, LlasaSearchError, ModelError, short_repr
from llasa_search.storage.reading import read_json

if TYPE_CHECKING:
    import torch


def pick_device(device: str = "auto") -> torch.device:
    """Returns a torch device; "auto" is CUDA if there is a GPU, else Apple's MPS, else the CPU.

    Raises:
        InputError: there is no such device on this computer.
    """
    import torch

    if not isinstance(device, str):
        raise InputError(f"device={short_repr(device)}: give a name, such as 'auto', 'cpu' or 'cuda:1'")
    if device == "auto":
        gpu = "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device("cuda" if torch.cuda.is_available() else gpu)
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen).item()  # fails on "meta", which has no values
    except Exception as error:  # each device type raises other errors
        why = first_lines(error)
        raise InputError(f"the device {short_repr(device)} cannot be used here: {why}") from error
    return chosen


def use_half(device: torch.device, dtype: str) -> bool:
    """Returns whether a recogniser computes in float16: on CUDA, unless the dtype is float32."""
    return device.type == "cuda" and dtype != "float32"


def read_weights(path: Path, mmap: bool = False) -> dict[str, Any]:
    """Returns the content of a PyTorch file that has only tensors and plain containers.

    Args:
        path: of the file.
        mmap: whether the tensors stay in the file until they are used.

    Raises:
        ModelError: the file cannot be read, or contains anything else, which could run as code.
    """
    import torch

    with loading(path):
        weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    return weights


def stated(path: Path, key: str) -> str:
    """Returns the text that a JSON or YAML file has under a key; "" if the file or the text is missing.

    Raises:
        ModelError: the file cannot be read.
    """
    value = read_settings(path).get(key) if path.is_file() else None
    return value if isinstance(value, str) else ""


def require_type(folder: Path, kind: str, name: str) -> None:
    """Checks that a folder has a transformers model of a type.

    Args:
        folder: as `save_pretrained` writes it.
        kind: the `model_type` that its `config.json` must state.
        name: of the expected model, for the message.

    Raises:
        ModelError: the file is missing, or states another type.
    """
    found = stated(folder / "config.json", "model_type")
    if found != kind:
        there = f"holds a {found!r}" if found else "has no config.json with a model_type"
        raise ModelError(f"{folder} is not a {name}: it {there}")


def load_strictly(model: Any, weights: dict[str, Any], path: Path) -> None:
    """Loads weights that must fit exactly.

    Raises:
        ModelError: a weight is missing, unexpected, or of another shape.
    """
    with loading(path):
        model.load_state_dict(weights, strict=True)
    require_finite(model, path)
    model.requires_grad_(False)


def pretrained(kind: Any, folder: Path, training: Sequence[str] = (), **options: Any) -> Any:
    """Returns a transformers model from a folder that must have all of its weights.

    Args:
        kind: its class.
        folder: as `save_pretrained` writes it.
        training: prefixes of weights that only training needs.
        options: of `from_pretrained`; the default dtype is float32, whatever the file has.

    Raises:
        ModelError: the folder cannot be read, or a weight is missing and would be random.
    """
    import torch

    options = {"dtype": torch.float32, **options}
    with loading(folder), without_progress_bars():
        model, report = load_without_code(kind, folder, **options)
    require_complete(report, kind.__name__, folder, training)
    require_finite(model, folder)
    return model.eval().requires_grad_(False)


def load_without_code(kind: Any, where: Path | str, **options: Any) -> tuple[Any, Mapping[str, Any]]:
    """Returns a transformers model and the report of its weights; code that its files name is not run.

    A `config.json` may name Python files of the checkpoint (`auto_map`), and a kernel to be downloaded from a hub
    (`attn_implementation`). Both are ignored, and transformers does not ask on the terminal.

    Args:
        kind: its class.
        where: a folder, or a hub id.
        options: of `from_pretrained`.
    """
    config = kind.config_class.from_pretrained(where, local_files_only=options.get("local_files_only", False))
    forget_code(config)
    with within_its_files(where):
        return kind.from_pretrained(  # type: ignore[no-any-return]
            where,
            config=config,
            trust_remote_code=False,
            attn_implementation="sdpa" if kind._supports_sdpa else "eager",
            output_loading_info=True,
            **options,
        )


def forget_code(config: Any) -> None:
    """Removes from a transformers configuration, and from those inside it, the names of Python files."""
    vars(config).pop("auto_map", None)
    for name in config.sub_configs:
        if (part := getattr(config, name, None)) is not None:
            forget_code(part)


def require_complete(
    report: Mapping[str, Any], kind: str, where: Path | str, unused: Sequence[str] = ()
) -> None:
    """Checks the report of transformers' `from_pretrained(..., output_loading_info=True)`.

    Args:
        report: its second value.
        kind: name of the expected model.
        where: what it was loaded from.
        unused: prefixes of weights that only training needs.

    Raises:
        ModelError: a weight is missing.
    """
    # Embeddings of masked frames are used in training only.
    wanted = (name for name in report["missing_keys"] if not name.endswith("masked_spec_embed"))
    if missing := sorted(name for name in wanted if not name.startswith(tuple(unused))):
        raise ModelError(f"{where} is not a {kind}: {missing[0]} is missing, {len(missing)} weights in all")
    # Weights that only training needs may be there, but not layers that the settings do not describe.
    if unknown := sorted(name for name in report["unexpected_keys"] if re.search(r"\blayers\.\d+\.", name)):
        raise ModelError(
            f"{where}: its settings describe fewer layers than its weights, such as {unknown[0]}"
        )


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Hides the progress bars that transformers draws while it reads weights."""
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
def loading(path: Path | str, what: str = "the checkpoint") -> Iterator[None]:
    """Turns any exception inside the block into a `ModelError` that names the checkpoint.

    A failed import passes through, for `explain_missing_imports`.

    Args:
        path: of the checkpoint.
        what: the object that is loaded from it, for the message.
    """
    try:
        yield
    except (LlasaSearchError, ImportError):
        raise
    except Exception as error:
        raise ModelError(f"{what} {path} cannot be loaded: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Returns a library's message, except where it advises to run code from a file."""
    if "trust_remote_code" in str(error):
        return (
            "it works only with its own Python code, and code from a checkpoint is never run; "
            "use a checkpoint in a format of transformers"
        )
    if isinstance(error, UnpicklingError):
        return "it is not a PyTorch file of tensors alone, and anything else in it could run as code"
    return first_lines(error)


def stored_scale(model: str) -> tuple[float, float] | None:
    """Returns (worst, best) from the `scale.json` of a checkpoint folder, or None without that file.

    Raises:
        ModelError: the file does not have two different numbers, such as `[0.2, 0.8]`.
    """
    path = Path(model).expanduser() / "scale.json"
    if not path.is_file():
        return None
    with loading(path):
        worst, best = map(float, read_json(path, str(path)))
    if worst == best:
        raise ModelError(f"{path}: worst and best are the same number, {worst:g}")
    return worst, best
