"""Runs code that is not ours without letting it disturb a search."""

from __future__ import annotations

import logging
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def isolated() -> Iterator[None]:
    """Restores after the block what loaders and plug-ins set for the whole program.

    That is: random states, warning filters, handlers of the root logger, numpy's reaction to errors, and
    torch's number of threads, default type and gradients. funasr alone seeds, sets the threads, and silences
    every warning. Nothing of this changes a later draw, in the search or in the caller's own program.
    """
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    state, threads, kind = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.get_rng_state_all() if used else None
    handlers = logging.root.handlers[:]
    try:
        with np.errstate(), warnings.catch_warnings(), torch.set_grad_enabled(torch.is_grad_enabled()):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(state)
        torch.set_num_threads(threads)
        torch.set_default_dtype(kind)
        logging.root.handlers[:] = handlers
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
