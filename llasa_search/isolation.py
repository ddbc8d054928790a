"""Runs code that is not ours without letting it disturb a search."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np


@contextmanager
def isolated() -> Iterator[None]:
    """Restores global random states and torch's number of threads after the block.

    Loaders and plug-ins seed globally (funasr does both of these); with this around them nothing that they do
    changes a later draw, in the search or in the caller's own program.
    """
    torch: ModuleType | None = sys.modules.get("torch")
    python, numpy = random.getstate(), np.random.get_state()
    if torch is not None:
        state, threads = torch.get_rng_state(), torch.get_num_threads()
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch is not None:
            torch.set_rng_state(state)
            torch.set_num_threads(threads)
            if cuda is not None:
                torch.cuda.set_rng_state_all(cuda)
