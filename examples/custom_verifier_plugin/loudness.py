"""Is the speech as loud as it should be?"""

import numpy as np

from llasa_search.candidate import Score
from llasa_search.verifiers import Verifier


class Loudness(Verifier):
    """Distance of the speech's level from a target, in decibels.

    Args:
        target: level in decibels below full scale.
    """

    needs = frozenset()
    partial = True
    family = "signal"
    cost = 0.001
    scale = (20.0, 0.0)

    def __init__(self, target=-23.0):
        self.target = target

    def score(self, utterances):
        return [Score(abs(level(utterance.audio) - self.target)) for utterance in utterances]


def level(audio):
    """Decibels of the mean power; float32 [samples] in [-1, 1]."""
    power = float(np.mean(np.square(audio))) if len(audio) else 0.0
    if not power > 0:
        raise ValueError("there is no sound")
    return 10 * np.log10(power)
