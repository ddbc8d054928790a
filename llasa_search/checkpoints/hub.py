"""Checkpoints by name: the package's own, and ids of the Hugging Face hub."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from llasa_search.checkpoints.names import TINY
from llasa_search.errors import InputError, ModelError

T = TypeVar("T")

HUB_SECONDS = 10.0
"""How long the hub may take to say that it has a checkpoint; its own clients would retry for a minute."""


def is_id(given: str) -> bool:
    """Whether this can be a hub id (owner/name)."""
    return given.count("/") == 1 and given[0] not in "./~"


def require_id(given: str, what: str, known: Sequence[str] = ()) -> None:
    """Refuses what is neither a path that exists nor can be a hub id.

    Args:
        given: by the user.
        what: it is to be, such as "model".
        known: names to suggest where one is near.

    Raises:
        InputError: it is neither.
    """
    if given and (Path(given).expanduser().exists() or is_id(given)):
        return
    near = difflib.get_close_matches(given, known, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"unknown {what} {given!r}: no such file or folder, no hub id (owner/name){hint}")


def from_hub(get: Callable[[bool], T], given: str, what: str, instead: str = "give a folder") -> T:
    """What has been downloaded before, and else what the hub gives, if it answers in time.

    Args:
        get: takes whether it may use only what is on this computer.
        given: the hub id.
        what: it is, for messages.
        instead: what else can be done.

    Raises:
        ModelError: it is not on this computer, and the hub does not give it.
    """
    from huggingface_hub import HfApi

    try:
        return get(True)
    except Exception:  # not on this computer: each version has errors of its own for that
        pass
    try:
        HfApi().model_info(given, timeout=HUB_SECONDS)
        return get(False)
    except Exception as error:
        raise ModelError(
            f"{what} {given!r} is not on this computer, and the hub did not give it ({first_lines(error)}): "
            f"download it first (hf download {given}), or {instead}"
        ) from error


def find_checkpoint(model: str, files: Sequence[str]) -> Path:
    """The file or folder `model`, or what the Hugging Face hub has under that id, downloaded once.

    Args:
        model: a path, or a hub id (owner/name).
        files: patterns of the files to download.

    Raises:
        InputError: it is neither a path that exists nor an id.
        ModelError: it is not on this computer, and the hub does not give it.
    """
    path = Path(model).expanduser()
    if path.exists():
        return path
    if path.is_relative_to(TINY):
        raise ModelError(f"the embedded checkpoint is missing from {path}: install the package again")
    require_id(model, "checkpoint")
    from huggingface_hub import snapshot_download

    def get(local_files_only: bool) -> Path:
        found = snapshot_download(model, allow_patterns=list(files), local_files_only=local_files_only)
        return Path(found)

    return from_hub(get, model, "the checkpoint")


def first_lines(error: Exception) -> str:
    """What a library says is wrong; PyTorch lists what does not fit from its second line on."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:300] or type(error).__name__
