"""Speech from any source as the verifiers hear it: float32 mono at 16 kHz."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.errors import InputError

SAMPLE_RATE = 16_000

SpeechLike: TypeAlias = str | os.PathLike[str] | tuple[NDArray[np.floating[Any]], int]


def read_speech(source: SpeechLike, name: str) -> Audio:
    """Reads one recording of any rate and number of channels; silence is allowed, and nothing is trimmed.

    Args:
        source: a path that soundfile can read, or (samples [samples] or [samples, channels], rate in Hz).
        name: what messages call it.

    Returns:
        float32 mono [samples] at 16 kHz.

    Raises:
        InputError: it is missing, not audio, empty, or holds NaN or infinity.
    """
    import soundfile
    import soxr

    if isinstance(source, tuple):
        samples, rate = np.asarray(source[0], np.float32), int(source[1])
    elif not isinstance(source, str | os.PathLike):
        raise InputError(f"{name}: a {type(source).__name__}; give a path, or (samples, rate in Hz)")
    else:
        try:
            samples, rate = soundfile.read(os.fspath(source), dtype="float32")
        except (OSError, soundfile.LibsndfileError) as error:
            raise InputError(f"{name}: {os.fspath(source)} cannot be read as audio ({error})") from error
    if samples.ndim not in (1, 2) or samples.size == 0 or rate <= 0:
        raise InputError(f"{name}: no audio in it (shape {samples.shape}, {rate} Hz)")
    if not np.isfinite(samples).all():
        raise InputError(f"{name}: it holds NaN or infinite samples")
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    return np.asarray(mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE), np.float32)
