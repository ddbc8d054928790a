"""Limits of what a checkpoint's settings may make of this process: its weights are finite, and fit its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

import psutil

from llasa_search.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

MAX_PARTS = 12_000
"""Modules, weights and buffers of one model: Whisper large has about 4,000, and a Llama of 8B weights 800."""

SPARE = 2**26
"""Values that are computed and not stored, such as positions and windows."""

WEIGHT_FILES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")


def weight_bytes(where: Path | str) -> int:
    """Returns the size of a checkpoint's weight files; for a hub id, the memory of this computer."""
    path = Path(where)
    if path.is_file():
        return path.stat().st_size
    if not path.is_dir():
        return int(psutil.virtual_memory().total)
    return sum(each.stat().st_size for each in path.iterdir() if each.suffix in WEIGHT_FILES)


@contextmanager
def within_its_files(where: Path | str) -> Iterator[None]:
    """Stops the construction of a model that is larger than the files of its checkpoint.

    Each weight takes a byte or more in a file, so settings that describe more weights than there are bytes are
    wrong. Weights are counted as they are registered, before their memory is written to.

    Args:
        where: a file, a folder or a hub id.

    Raises:
        ModelError: inside the block, more weights or parts are made.
    """
    from torch.nn.modules import module as registration

    builder, most = get_ident(), weight_bytes(where) + SPARE
    seen, counts = set[tuple[int, str]](), {"parts": 0, "weights": 0}

    def count(parent: nn.Module, name: str, made: Any) -> None:
        if get_ident() != builder or (id(parent), name) in seen:
            return
        seen.add((id(parent), name))
        counts["parts"] += 1
        counts["weights"] += made.numel() if hasattr(made, "numel") else 0
        if counts["weights"] > most:
            raise ModelError(f"the settings of {where} describe more weights than its files can hold")
        if counts["parts"] > MAX_PARTS:
            raise ModelError(f"the settings of {where} describe a model of more than {MAX_PARTS:,} parts")

    handles = [
        registration.register_module_module_registration_hook(count),
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def require_finite(model: nn.Module, where: Path | str) -> None:
    """Checks that no weight of a model is NaN or infinite.

    Raises:
        ModelError: one is; it would give scores that mean nothing.
    """
    import torch

    for name, weight in model.state_dict().items():
        if weight.is_floating_point() and weight.numel():
            low, high = torch.aminmax(weight.detach())
            if not bool(torch.isfinite(low) & torch.isfinite(high)):
                raise ModelError(
                    f"{where} is damaged: its weight {name} holds NaN or infinite values in {weight.dtype}"
                )
