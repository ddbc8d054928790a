"""Audio: reading, resampling, levels. All models read float32 mono speech at 16 kHz."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.errors import InputError

SAMPLE_RATE = 16_000
"""Sample rate in Hz of all speech that models read."""

MAX_PEAK = 10.0
"""Largest float sample accepted. Samples should be in [-1, 1]; integers that were not scaled exceed this."""

DIGITAL_SILENCE = 1e-4
"""Audio whose peak is below this, -80 dB of full scale, is treated as silence."""

FRAME_SECONDS = 0.02
SILENCE_DB = -60.0
"""Frames below this level, in dB of full scale, are silent."""

RANGE_DB = 40.0
"""Frames this far below the loudest one are pauses: speech at one distance has about this dynamic range."""

SpeechLike: TypeAlias = str | os.PathLike[str] | tuple[NDArray[np.floating[Any]], int]


def read_speech(source: SpeechLike, name: str) -> Audio:
    """Reads one recording of any sample rate and number of channels. Silence is accepted; nothing is trimmed.

    Args:
        source: a path of a file that soundfile can read, or (samples [samples] or [samples, channels], rate
            in Hz).
        name: what messages call the recording.

    Returns:
        float32 mono [samples] at 16 kHz.

    Raises:
        InputError: it is missing, not audio, empty, or has NaN or infinite samples.
    """
    if isinstance(source, tuple):
        samples, rate = given(source, name)
    elif not isinstance(source, str | os.PathLike):
        raise InputError(f"{name}: a {type(source).__name__}; give a path, or (samples, rate in Hz)")
    else:
        samples, rate = read_file(source, f"{name}: {os.fspath(source)}")
    return resampled(one_channel(samples, rate, name), rate)


def read_file(path: str | os.PathLike[str], name: str) -> tuple[Audio, int]:
    """Returns a file's samples, float32 [samples] or [samples, channels], and their rate in Hz.

    Raises:
        InputError: it is missing, or not audio.
    """
    import soundfile

    try:
        # Opened here: given the path of a text file called .mp3, libmpg123 prints to stderr.
        with open(path, "rb") as file:
            samples, rate = soundfile.read(file, dtype="float32")
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist") from error
    except (OSError, TypeError, soundfile.LibsndfileError) as error:  # TypeError: samples without a header
        why = getattr(error, "error_string", error)
        raise InputError(f"{name} is not audio that can be read ({why})") from error
    return samples, rate


def given(source: tuple[Any, ...], name: str) -> tuple[Audio, int]:
    """Returns the two parts of (samples, rate) as a float32 array and an int.

    Raises:
        InputError: they cannot be converted.
    """
    try:
        samples, rate = source
        return np.asarray(samples, np.float32), int(rate)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name}: give numbers, and their rate in Hz ({error})") from error


def one_channel(samples: Audio, rate: int, name: str) -> Audio:
    """Returns the mean of all channels, float32 [samples], after checking the samples.

    Args:
        samples: [samples] or [samples, channels] in [-1, 1]; peaks up to 10 are accepted.
        rate: in Hz.
        name: what messages call the recording.

    Raises:
        InputError: it is empty, has NaN or infinite samples, or has another shape or scale.
    """
    if samples.ndim not in (1, 2) or samples.size == 0:
        raise InputError(f"{name}: no samples (shape {samples.shape}); give [samples] or [samples, channels]")
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        raise InputError(f"{name}: shape {samples.shape} has more channels than samples; transpose it")
    if rate <= 0:
        raise InputError(f"{name}: a sample rate of {rate} Hz")
    if not np.isfinite(samples).all():
        raise InputError(f"{name}: it holds NaN or infinite samples")
    if (peak := float(np.abs(samples).max())) > MAX_PEAK:
        raise InputError(f"{name}: samples reach {peak:.3g}; scale them to [-1, 1]")
    return samples if samples.ndim == 1 else samples.mean(axis=1)


def resampled(audio: Audio, sample_rate: int) -> Audio:
    """Returns audio, float32 mono [samples], at 16 kHz.

    Args:
        audio: mono [samples].
        sample_rate: its rate in Hz.

    Raises:
        InputError: it has NaN or infinite samples.
    """
    import soxr

    if not np.isfinite(audio).all():
        raise InputError("audio that holds NaN or infinite samples cannot be scored")
    if sample_rate != SAMPLE_RATE:
        audio = soxr.resample(audio, sample_rate, SAMPLE_RATE)
    return np.asarray(audio, np.float32)


def is_silent(audio: Audio) -> bool:
    """Whether no sample of audio [samples] reaches -80 dB of full scale."""
    return bool(np.abs(audio).max(initial=0.0) < DIGITAL_SILENCE)


def audible_frames(audio: Audio, sample_rate: int) -> NDArray[np.bool_]:
    """Returns whether each frame of 20 ms is within 40 dB of the loudest one and above -60 dB of full scale.

    The last frame may be shorter.

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
    """Returns the seconds from the first audible frame to the last; 0 for silence."""
    audible = np.flatnonzero(audible_frames(audio, sample_rate))
    return float(audible[-1] - audible[0] + 1) * FRAME_SECONDS if len(audible) else 0.0
