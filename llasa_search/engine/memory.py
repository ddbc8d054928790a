"""Computes how many rows fit into memory, and how much memory is used."""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import torch


def rows_that_fit(bytes_per_row: int, multiple: int, device: torch.device) -> int:
    """Returns the number of rows that memory has room for, a multiple of `multiple`.

    The room is nine tenths of the free memory of a GPU. On a CPU it is half of the available memory, or half of
    the limit of the process's container if that is lower.

    Args:
        bytes_per_row: memory that one row needs.
        multiple: the result is a multiple of this.
        device: of the language model.
    """
    if device.type == "cuda":
        room = 0.9 * torch.cuda.mem_get_info(device)[0]
    else:
        room = 0.5 * min(psutil.virtual_memory().available, _container_limit())
    rows = int(room // bytes_per_row)
    return max(multiple, rows // multiple * multiple)


def _container_limit() -> float:
    """Returns the bytes that the control group of this process may use; infinite without a limit."""
    try:
        return float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # not in a control group, or its limit is "max"
        return math.inf


def is_out_of_memory(error: RuntimeError) -> bool:
    """Returns whether torch could not allocate memory; on a CPU only its message shows that."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def memory_used(device: torch.device) -> int:
    """Returns the bytes of memory in use: on a GPU the most allocated so far, else this process's resident set now.

    The resident set is a sample. The peak of a search on a CPU is the largest of the samples that its sampler
    takes after each sampling stage, and does not include memory that was used only between two samples.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return int(psutil.Process().memory_info().rss)
