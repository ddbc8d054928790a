"""Silence, clipping and repeated codes: faults that are found without a model."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from llasa_search.arrays import Codes
from llasa_search.audio import audible_frames
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.verifiers.base import Verifier

CLIPPED = 0.999
"""Samples of at least this absolute value are clipped."""

PARTIAL_SECONDS = 0.5
NGRAM = 8
"""Length of repeated runs of codes, 0.16 s at 50 per second: only a looping language model repeats as many."""

LIMITS = {"silence": (0.5, 0.9), "clipping": (0.001, 0.02), "repetition": (0.2, 0.6)}
"""(plausible, unusable) shares. Our choice, far outside the range of read speech, to find only broken speech."""


class Signal(Verifier):
    """The largest excess of three shares over their plausible limits: 0 within them, 1 for unusable speech.

    The shares are those of silent frames, of clipped samples, and of runs of speech codes that occurred before
    (only if there are codes). The detail lists them. It needs no model, finds broken speech, and does not rank other
    speech. Unfinished speech may begin with silence, so the verifier abstains below half a second.
    """

    needs = frozenset()
    partial = True
    window_seconds = 4.0
    family = "signal"
    scale = (1.0, 0.0)

    def flops(self, seconds: float) -> float:
        return 0.0

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [self._score(utterance) for utterance in utterances]

    def _score(self, utterance: Utterance) -> Score:
        if not np.isfinite(utterance.audio).all():
            raise InputError(f"{self} cannot score audio that holds NaN or infinite samples")
        if not utterance.final and utterance.seconds < PARTIAL_SECONDS:
            return Score(math.nan, f"unfinished and shorter than {PARTIAL_SECONDS:g} s", "abstained")
        audible = audible_frames(utterance.audio, utterance.sample_rate)
        shares = {
            "silence": 1.0 - float(audible.mean()) if audible.any() else 1.0,
            "clipping": float((np.abs(utterance.audio) >= CLIPPED).mean()) if len(utterance.audio) else 0.0,
        }
        if utterance.codes is not None:
            shares["repetition"] = repetition(utterance.codes)
        excess = {name: _excess(share, *LIMITS[name]) for name, share in shares.items()}
        return Score(max(excess.values()), ", ".join(f"{name} {share:.3g}" for name, share in shares.items()))


def repetition(codes: Codes) -> float:
    """Returns the share of runs of 8 codes that occurred before in `codes` [frames]; 0 for fewer codes.

    >>> repetition(np.arange(50)), repetition(np.tile(np.arange(10), 5))
    (0.0, 0.7674418604651163)
    """
    if len(codes) < NGRAM:
        return 0.0
    runs = np.lib.stride_tricks.sliding_window_view(codes, NGRAM)
    return 1.0 - len(np.unique(runs, axis=0)) / len(runs)


def _excess(share: float, plausible: float, unusable: float) -> float:
    return float(np.clip((share - plausible) / (unusable - plausible), 0.0, 1.0))
