"""FLOPs of a model as a function of the speech's length, by torch's counter of products and convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE

LENGTHS = (2.0, 4.0)
"""Seconds at which `LinearFlops` counts: those of ordinary utterances."""

TOKENS = 32
"""Tokens for which `WindowFlops` counts the decoder."""

LETTERS_PER_SECOND, TOKENS_PER_SECOND = 17.0, 4.0
"""Length of a transcript: three words per second (see `WER`), each of 5.7 letters or 1.3 tokens."""


def count_flops(run: Callable[[], object]) -> float:
    """Returns the FLOPs of one call; a multiplication and an addition are two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


class LinearFlops:
    """FLOPs of a model that reads speech without padding, as a linear function of its seconds.

    They are counted on noise, at the first call.

    Args:
        run: runs the model on audio, float32 mono [samples] at 16 kHz.
    """

    def __init__(self, run: Callable[[Audio], object]) -> None:
        self._run = run
        self._line: tuple[float, float] | None = None

    def __call__(self, seconds: float) -> float:
        """Returns the FLOPs for one recording."""
        if self._line is None:
            short, long = (count_flops(lambda s=s: self._run(_noise(s))) for s in LENGTHS)  # type: ignore[misc]
            slope = (long - short) / (LENGTHS[1] - LENGTHS[0])
            self._line = short - slope * LENGTHS[0], slope
        return max(0.0, self._line[0] + self._line[1] * seconds)


class WindowFlops:
    """FLOPs of a recogniser that encodes whole windows and writes one token after the other.

    They are counted at the first call.

    Args:
        encode: encodes one window, and returns the decoder's input.
        decode: runs the decoder on that for `TOKENS` tokens.
        window: seconds that are encoded at once.
        pace: tokens written per second of speech.
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
        """Returns the FLOPs for one recording, where a share of `new` has to be encoded."""
        if self._counted is None:
            features = self._encode()
            self._counted = count_flops(self._encode), count_flops(lambda: self._decode(features))
        window, tokens = self._counted
        return new * math.ceil(seconds / self._window) * window + self._pace * seconds / TOKENS * tokens


def _noise(seconds: float) -> Audio:
    draws = np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE))
    return np.asarray(0.1 * draws, np.float32)
