"""Speech from any source as the verifiers hear it: float32 mono at 16 kHz."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.errors import InputError

SAMPLE_RATE = 16_000
LOUDEST = 10.0
"""Of float samples, which should stay within 1; integers that were not scaled are far above."""

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
    import soxr

    if isinstance(source, tuple):
        samples, rate = given(source, name)
    elif not isinstance(source, str | os.PathLike):
        raise InputError(f"{name}: a {type(source).__name__}; give a path, or (samples, rate in Hz)")
    else:
        samples, rate = read_file(source, f"{name}: {os.fspath(source)}")
    mono = one_channel(samples, rate, name)
    return np.asarray(mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE), np.float32)


def read_file(path: str | os.PathLike[str], name: str) -> tuple[Audio, int]:
    """A file's samples, float32 [samples] or [samples, channels], and their rate in Hz.

    Raises:
        InputError: it is missing, or not audio.
    """
    import soundfile

    try:
        with open(path, "rb") as file:  # opened by name, text that is called .mp3 makes libmpg123 print
            samples, rate = soundfile.read(file, dtype="float32")
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist") from error
    except (OSError, TypeError, soundfile.LibsndfileError) as error:  # TypeError: headerless samples
        why = getattr(error, "error_string", error)
        raise InputError(f"{name} is not audio that can be read ({why})") from error
    return samples, rate


def given(source: tuple[Any, ...], name: str) -> tuple[Audio, int]:
    """The two parts of (samples, rate), as what they have to be.

    Raises:
        InputError: they are something else.
    """
    try:
        samples, rate = source
        return np.asarray(samples, np.float32), int(rate)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: give numbers, and their rate in Hz ({error})") from error


def one_channel(samples: Audio, rate: int, name: str) -> Audio:
    """The mean of all channels: float32 [samples].

    Args:
        samples: [samples] or [samples, channels] in [-1, 1]; a little above is let pass.
        rate: in Hz.
        name: what messages call it.

    Raises:
        InputError: there is nothing, NaN or infinity in it, or it has another shape or scale.
    """
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise InputError(f"{name}: no samples (shape {samples.shape}); give [samples] or [samples, channels]")
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        raise InputError(f"{name}: shape {samples.shape} has more channels than samples; transpose it")
    if rate <= 0:
        raise InputError(f"{name}: a sample rate of {rate} Hz")
    if not np.isfinite(samples).all():
        raise InputError(f"{name}: it holds NaN or infinite samples")
    if (peak := float(np.abs(samples).max())) > LOUDEST:
        raise InputError(f"{name}: samples reach {peak:.3g}; scale them to [-1, 1]")
    return samples if samples.ndim == 1 else samples.mean(axis=1)
