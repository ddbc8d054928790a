"""A verifier of the speech level."""

import numpy as np

from llasa_search.plugin import Score, Verifier


class Loudness(Verifier):
    """The absolute difference between the level of the speech and a target, in decibels.

    Args:
        target: level in decibels relative to full scale.
    """

    scale = (20.0, 0.0)
    needs = frozenset()
    partial = True
    family = "signal"
    cost = 0.001

    def __init__(self, target=-23.0):
        self.target = target

    def score(self, utterances):
        return [Score(abs(level(utterance.audio) - self.target)) for utterance in utterances]


def level(audio):
    """Returns the mean power of audio, float32 [samples] in [-1, 1], in decibels relative to full scale."""
    power = float(np.mean(np.square(audio))) if len(audio) else 0.0
    if not power > 0:
        raise ValueError("the audio is silent")
    return 10 * np.log10(power)
