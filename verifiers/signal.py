"""Silence, clipping and repeated codes: faults that need no model to be seen."""

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
PARTIAL_SECONDS = 0.5
NGRAM = 8
"""Codes, .16 s at 50 a second: as much is not said twice in exactly the same codes unless a decoder loops."""

LIMITS = {"silence": (0.5, 0.9), "clipping": (0.001, 0.02), "repetition": (0.2, 0.6)}
"""(plausible, hopeless) shares; our choice, far outside of read speech, so as to find what is broken."""


class Signal(Verifier):
    """How far the worst of three shares lies beyond what is plausible: 0 inside, 1 where hopeless or worse.

    The shares are those of silent frames, of clipped samples, and of speech codes that were spoken before
    (left out where there are no codes). Free. The detail lists all three. It finds broken speech, and
    prefers nothing among speech that is not. Unfinished speech may begin with silence: it abstains until
    there is half a second.
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
            raise InputError(f"{self} cannot judge audio that holds NaN or infinite samples")
        if not utterance.final and utterance.seconds < PARTIAL_SECONDS:
            return Score(math.nan, f"unfinished and shorter than {PARTIAL_SECONDS:g} s", "abstained")
        audible = audible_frames(utterance.audio, utterance.sample_rate)
        shares = {
            "silence": 1.0 - float(audible.mean()) if audible.any() else 1.0,
            "clipping": float((np.abs(utterance.audio) >= CLIPPED).mean()) if len(utterance.audio) else 0.0,
        }
        if utterance.codes is not None:
            shares["repetition"] = repetition(utterance.codes)
        excess = {name: _beyond(share, *LIMITS[name]) for name, share in shares.items()}
        return Score(max(excess.values()), ", ".join(f"{name} {share:.3g}" for name, share in shares.items()))


def repetition(codes: Codes) -> float:
    """Share of the runs of 8 codes that occurred before in `codes` [frames]; 0 where there are fewer.

    >>> repetition(np.arange(50)), repetition(np.tile(np.arange(10), 5))
    (0.0, 0.7674418604651163)
    """
    if len(codes) < NGRAM:
        return 0.0
    runs = np.lib.stride_tricks.sliding_window_view(codes, NGRAM)
    return 1.0 - len(np.unique(runs, axis=0)) / len(runs)


def _beyond(share: float, plausible: float, hopeless: float) -> float:
    return float(np.clip((share - plausible) / (hopeless - plausible), 0.0, 1.0))
