"""How many rows memory holds, and how much of it was used."""

from __future__ import annotations

import math
import os
import resource
import sys
from pathlib import Path

import torch

from llasa_search.engine.language_model import ROW_MULTIPLE


def rows_that_fit(bytes_per_row: int, device: torch.device) -> int:
    """Rows that memory has room for: nine tenths of what a GPU has free, half of what a computer can
    still give, or its container may hold at all."""
    if device.type == "cuda":
        room = 0.9 * torch.cuda.mem_get_info(device)[0]
    else:
        room = 0.5 * min(_available(), _container_limit())
    rows = int(room // bytes_per_row)
    return max(ROW_MULTIPLE, rows // ROW_MULTIPLE * ROW_MULTIPLE)


def _available() -> float:
    """Bytes that this computer can still give."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):  # no Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _container_limit() -> float:
    """Bytes that the control group of this process may hold; infinite without a limit."""
    try:
        return float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # there is no group, or its limit is "max"
        return math.inf


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch could not allocate; on a CPU only its words say so."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # what getrusage counts in
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
