"""Naturalness: what would all_verifiers say of the speech's quality?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE
from llasa_search.candidate import Score, Utterance
from llasa_search.errors import InputError
from llasa_search.verifiers.backends.batches import at_16k
from llasa_search.verifiers.backends.extras import import_from_extra
from llasa_search.verifiers.base import Verifier

_SILENCE = 1e-4
"""Of full scale, -80 dB: below it there is nothing to rate."""


class Naturalness(Verifier):
    """Overall quality by DNSMOS P.835, a mean opinion score from 1 to about 4.

    DNSMOS predicts what all_verifiers answer who are asked by ITU-T P.835 about the signal, the background, and
    the whole (arXiv 2110.01763); the value is that of the whole, the detail has the other two and the score
    by P.808 (arXiv 2010.15258). It was trained on what noise suppressors make of calls, so it hears noise and
    distortion rather than stress and melody, and nothing of what is said.

    Windows of 9.01 s are rated, one a second, and averaged; shorter speech is doubled until it fills one.
    Silence is not rated. The scale goes from 1 to 4: the published calibration ends at 3.93. Needs the extra
    `judges`.
    """

    needs = frozenset()
    family = "dnsmos"
    judge = True
    requires = ("speechmos", "onnxruntime")
    cost = 0.5
    scale = (1.0, 4.0)

    def load(self) -> None:
        self._dnsmos()

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [self._score(at_16k(utterance)) for utterance in utterances]

    def _score(self, audio: Audio) -> Score:
        # It would repeat a recording without samples for ever.
        if np.abs(audio).max(initial=0.0) < _SILENCE:
            raise InputError(f"{self} cannot rate silence")
        found = self._dnsmos().run(np.clip(audio, -1, 1), SAMPLE_RATE)
        detail = ", ".join(
            f"{name} {found[key]:.2f}"
            for name, key in (("signal", "sig_mos"), ("background", "bak_mos"), ("P.808", "p808_mos"))
        )
        return Score(float(found["ovrl_mos"]), detail)

    def _dnsmos(self) -> Any:
        # Its wheel holds the weights, and it keeps what it has loaded.
        return import_from_extra("speechmos.dnsmos", "judges")
