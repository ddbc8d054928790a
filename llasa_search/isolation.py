"""Runs code that is not ours without letting it disturb a search."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np


@contextmanager
def isolated() -> Iterator[None]:
    """Restores what is global after the block: random states, torch's threads and type, numpy's errors.

    Loaders and plug-ins seed globally (funasr does, and sets the threads); with this around them nothing that
    they do changes a later draw, in the search or in the caller's own program.
    """
    torch: ModuleType | None = sys.modules.get("torch")
    python, numpy = random.getstate(), np.random.get_state()
    if torch is not None:
        state, threads, kind = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
        cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        with np.errstate():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch is not None:
            torch.set_rng_state(state)
            torch.set_num_threads(threads)
            torch.set_default_dtype(kind)
            if cuda is not None:
                torch.cuda.set_rng_state_all(cuda)


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


def forget_lazy_modules() -> None:
    """Takes out of `sys.modules` what speechbrain has put there and cannot be imported.

    These stand-ins raise ImportError when anything looks at them, as whatever walks over all modules does
    (hypothesis, IPython's autoreload).
    """
    importutils = sys.modules.get("speechbrain.utils.importutils")
    if importutils is not None:
        for name, module in list(sys.modules.items()):
            if issubclass(type(module), importutils.LazyModule):
                del sys.modules[name]
