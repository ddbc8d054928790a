"""Audio: reading, resampling, levels. Speech is float32 mono at 16 kHz wherever a model reads it."""

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

FRAME_SECONDS = 0.02
SILENCE_DB = -60.0
"""Of full scale: what is below is silence, whatever else there is."""

RANGE_DB = 40.0
"""Below the loudest frame: about the range of speech at one distance, so what is below is a pause."""

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


def resampled(audio: Audio, sample_rate: int) -> Audio:
    """Audio, float32 mono [samples], brought to 16 kHz.

    Raises:
        InputError: it holds NaN or infinite samples.
    """
    import soxr

    if not np.isfinite(audio).all():
        raise InputError("audio that holds NaN or infinite samples cannot be judged")
    if sample_rate == SAMPLE_RATE:
        return audio
    return np.asarray(soxr.resample(audio, sample_rate, SAMPLE_RATE), np.float32)


def audible_frames(audio: Audio, sample_rate: int) -> NDArray[np.bool_]:
    """Whether each frame of 20 ms, the last one shorter, is within 40 dB of the loudest and above -60 dBFS.

    >>> audible_frames(np.repeat(np.float32([0, 0.1, 0.1, 0]), 320), 16_000).tolist()
    [False, True, True, False]
    """
    size = max(1, round(FRAME_SECONDS * sample_rate))
    starts = np.arange(0, len(audio), size)
    if not len(starts):
        return np.zeros(0, np.bool_)
    sums = np.add.reduceat(np.square(audio, dtype=np.float64), starts)
    powers = sums / np.minimum(size, len(audio) - starts)
    floor = max(10 ** (SILENCE_DB / 10), powers.max() * 10 ** (-RANGE_DB / 10))
    return np.asarray(powers > floor)


def speech_seconds(audio: Audio, sample_rate: int) -> float:
    """From the first audible frame to the last; 0 for silence."""
    audible = np.flatnonzero(audible_frames(audio, sample_rate))
    return float(audible[-1] - audible[0] + 1) * FRAME_SECONDS if len(audible) else 0.0
