"""Floating-point operations of a model, by torch's own counter: matrix products and convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE

LENGTHS = (2.0, 4.0)
"""Seconds at which `Line` counts: those of ordinary utterances."""

TOKENS = 32
LETTERS_A_SECOND, TOKENS_A_SECOND = 17.0, 4.0
"""Of what a recogniser writes: three words a second (see `WER`), each 5.7 letters or 1.3 tokens long."""


def counted(run: Callable[[], object]) -> float:
    """Floating-point operations of one call; a multiplication and an addition are two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


class Line:
    """Operations of a model that hears speech at its own length, as a straight line in its seconds.

    Counted on noise, once, at the first question.

    Args:
        hear: runs the model on audio, float32 mono [samples] at 16 kHz.
    """

    def __init__(self, hear: Callable[[Audio], object]) -> None:
        self._hear = hear
        self._line: tuple[float, float] | None = None

    def __call__(self, seconds: float) -> float:
        if self._line is None:
            short, long = (counted(lambda s=s: self._hear(_noise(s))) for s in LENGTHS)  # type: ignore[misc]
            slope = (long - short) / (LENGTHS[1] - LENGTHS[0])
            self._line = short - slope * LENGTHS[0], slope
        return max(0.0, self._line[0] + self._line[1] * seconds)


class Windows:
    """Operations of a recogniser that hears whole windows and writes one token after the other.

    Counted once, at the first question.

    Args:
        encode: hears one window, and returns what is to be written from.
        decode: writes `TOKENS` tokens from that.
        window: seconds that it hears at once.
        pace: tokens that it writes a second of speech.
    """

    def __init__(
        self, encode: Callable[[], Any], decode: Callable[[Any], object], window: float, pace: float
    ) -> None:
        self._encode = encode
        self._decode = decode
        self._window = window
        self._pace = pace
        self._counted: tuple[float, float] | None = None

    def __call__(self, seconds: float, new: float = 1.0) -> float:
        """Operations for one recording, of which a share of `new` has not been heard before."""
        if self._counted is None:
            heard = self._encode()
            self._counted = counted(self._encode), counted(lambda: self._decode(heard))
        window, tokens = self._counted
        return new * math.ceil(seconds / self._window) * window + self._pace * seconds / TOKENS * tokens


def _noise(seconds: float) -> Audio:
    draws = np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE))
    return np.asarray(0.1 * draws, np.float32)
