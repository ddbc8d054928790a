"""How many rows memory holds, and how much of it was used."""

from __future__ import annotations

import os
import resource
import sys

import torch

from llasa_search.llasa.decoder import ROW_MULTIPLE


def rows_that_fit(bytes_per_row: int, device: torch.device) -> int:
    """Rows that memory has room for: nine tenths of what a GPU has free, half of what a computer has."""
    if device.type == "cuda":
        room = 0.9 * torch.cuda.mem_get_info(device)[0]
    else:
        room = 0.5 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    rows = int(room // bytes_per_row)
    return max(ROW_MULTIPLE, rows // ROW_MULTIPLE * ROW_MULTIPLE)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch could not allocate; on a CPU only its words say so."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def peak_memory(device: torch.device) -> int:
    """Most bytes held so far: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # what getrusage counts in
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
