"""Changes the pitch of recorded speech by overlap-add (Praat), for voices whose pitch flite cannot set."""

from __future__ import annotations

import numpy as np
import parselmouth
from parselmouth.praat import call

LOWEST, HIGHEST = 60.0, 300.0  # Hz


def moved(audio: np.ndarray, sample_rate: int, mean: float, spread: float) -> np.ndarray:
    """Returns the speech with another mean pitch and pitch range.

    Args:
        audio: float [samples].
        sample_rate: in Hz.
        mean: the new mean pitch in Hz.
        spread: ratio of the new pitch range to the old pitch range, in octaves.

    Returns:
        float32 [samples]; `audio` itself if Praat finds no pitch.
    """
    manipulation = call(
        parselmouth.Sound(audio.astype(np.float64), sample_rate), "To Manipulation", 0.01, LOWEST, HIGHEST
    )
    tier = call(manipulation, "Extract pitch tier")
    if call(tier, "Get number of points") < 2:
        return audio
    old = call(tier, "Get mean (points)", 0, 0)
    call(tier, "Formula", f"{mean:.2f} * exp({spread:.3f} * ln(self / {old:.2f}))")
    call([tier, manipulation], "Replace pitch tier")
    return np.asarray(call(manipulation, "Get resynthesis (overlap-add)").values[0], np.float32)
