"""Naturalness: a prediction of the mean opinion score that people would give the speech."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE, is_silent
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.imports import import_from_extra
from llasa_search.errors import InputError
from llasa_search.verifiers.backends.batches import at_16k
from llasa_search.verifiers.base import Verifier


class Naturalness(Verifier):
    """Overall quality by DNSMOS P.835, a mean opinion score from 1 to about 4.

    DNSMOS predicts the mean ratings of people who are asked, by ITU-T P.835, about the signal, the background and
    the overall quality (arXiv 2110.01763). The value is the overall rating; the detail has the other two and the
    rating by P.808 (arXiv 2010.15258). It was trained on the output of noise suppressors for calls, so it responds
    to noise and distortion rather than to stress and intonation, and not to the words.

    Windows of 9.01 s are rated, one per second, and averaged; shorter speech is repeated until it fills one.
    Silence fails. The scale is 1 to 4, because the published calibration ends at 3.93. Needs the extra `judges`.
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
        # It would repeat a recording without samples forever.
        if is_silent(audio):
            raise InputError(f"{self} cannot rate silence")
        ratings = self._dnsmos().run(np.clip(audio, -1, 1), SAMPLE_RATE)
        detail = ", ".join(
            f"{name} {ratings[key]:.2f}"
            for name, key in (("signal", "sig_mos"), ("background", "bak_mos"), ("P.808", "p808_mos"))
        )
        return Score(float(ratings["ovrl_mos"]), detail)

    def _dnsmos(self) -> Any:
        # Its wheel has the weights, and it keeps the loaded model.
        return import_from_extra("speechmos.dnsmos", "judges")
