"""Finds checkpoints by path or by id on the Hugging Face hub."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

from llasa_search.checkpoints.names import TINY
from llasa_search.checkpoints.settings_files import require_plain_files
from llasa_search.errors import InputError, LlasaSearchError, ModelError, advice, warn

T = TypeVar("T")

HUB_SECONDS = 10.0
"""Limit for the hub's answer that it has a checkpoint; its own clients would retry for a minute."""


def is_id(given: str) -> bool:
    """Whether this has the form of a hub id (owner/name)."""
    return given.count("/") == 1 and given[0] not in "./~"


def require_id(given: str, what: str, known: Sequence[str] = ()) -> None:
    """Checks that a name is a path that exists or has the form of a hub id.

    Args:
        given: by the user.
        what: what it names, such as "model", for the message.
        known: names to suggest if one is similar.

    Raises:
        InputError: it is neither.
    """
    if given and (Path(given).expanduser().exists() or is_id(given)):
        return
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"unknown {what} {given!r}: no such file or folder, and not a hub id (owner/name){hint}")


def from_hub(
    get: Callable[[bool], T],
    given: str,
    what: str,
    instead: str = "give a folder",
    files: Sequence[str] = ("*.json", "*.safetensors"),
) -> T:
    """Returns a checkpoint from the local cache, or else from the hub if that answers in time.

    A download is announced with its size.

    Args:
        get: loads the checkpoint; its argument is whether it may use local files only.
        given: the hub id.
        what: what is loaded, for messages.
        instead: what the user can do instead, for messages.
        files: patterns of the files that are downloaded.

    Raises:
        ModelError: it is not on this computer and cannot be downloaded.
    """
    from huggingface_hub import HfApi

    try:
        return get(True)
    except Exception:  # not on this computer; the class of this error depends on the library's version
        pass
    try:
        info = HfApi().model_info(given, timeout=HUB_SECONDS, files_metadata=True)
        needed = (
            file for file in info.siblings or [] if any(fnmatch(file.rfilename, each) for each in files)
        )
        announce_download(given, sum(file.size or 0 for file in needed))
        return get(False)
    except LlasaSearchError:
        raise
    except Exception as error:
        raise ModelError(
            f"{what} {given!r} is not on this computer and cannot be downloaded ({first_lines(error)}): "
            f"download it first (hf download {given}), or {instead}"
        ) from error


def find_checkpoint(model: str, files: Sequence[str]) -> Path:
    """Returns the path of a checkpoint, which is downloaded once if `model` is a hub id.

    Args:
        model: a path, or a hub id (owner/name).
        files: patterns of the files to download.

    Raises:
        InputError: it is neither a path that exists nor an id.
        ModelError: it is not on this computer and cannot be downloaded.
    """
    path = Path(model).expanduser()
    if path.exists():
        return require_plain_files(path)
    if path.is_relative_to(TINY):
        raise ModelError(f"the embedded checkpoint is missing from {path}: install the package again")
    require_id(model, "checkpoint")
    from huggingface_hub import snapshot_download

    def get(local_files_only: bool) -> Path:
        found = snapshot_download(model, allow_patterns=list(files), local_files_only=local_files_only)
        return Path(found)

    return require_plain_files(from_hub(get, model, "the checkpoint", files=files))


def announce_download(name: str, size: int) -> None:
    """Tells the user what is about to be downloaded.

    Args:
        name: of the checkpoint.
        size: in bytes; 0 if unknown.
    """
    amount = f"{size / 1e9:.2g} GB" if size >= 1e8 else f"{math.ceil(size / 1e6)} MB"
    warn(f"downloading {name}{f': {amount}' if size else ''}")


def first_lines(error: Exception) -> str:
    """Returns the first two lines of an error, where PyTorch names the first weight that does not fit."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (" ".join(lines[:2])[:300] or type(error).__name__) + advice(error)
