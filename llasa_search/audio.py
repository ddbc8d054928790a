"""Audio: reading, resampling, levels. All models read float32 mono speech at 16 kHz."""

from __future__ import annotations

import os
import re
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.errors import InputError, warn
from llasa_search.storage.reading import open_regular

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

OPPOSITE = 0.5
"""Channels cancel each other if the power of their mean is below this share of that of unrelated channels."""

OFFSET_SHARE = 0.05
"""Share of the level that an offset must exceed to be removed. Clean synthesised speech has up to 0.035."""

DRIFT_SHARE = 0.15
"""The same for an offset that varies: the RMS below about 10 Hz. Clean speech has up to 0.09."""

BLOCK_SECONDS = 0.01
OFFSET_SECONDS = 0.1
"""An offset at a time is the mean of the audio within this distance, with weights that fall to 0."""

PLATEAU = 0.99
"""Clipped samples come in runs of equal values, of at least this share of the peak."""

LONGEST_SILENCE_SECONDS = 0.5
"""Silence that is kept at each end of a voice prompt and, half on each side, between two sounds. Our choice."""

HIGH_BAND_HZ = (6200.0, 7500.0)
"""A band that telephone speech and recordings at 8 to 12 kHz do not have."""

TRUNCATED = 0.99
STREAMED = 2**31 - 2**16
"""Programs that write to a pipe state at least this size, in bytes, because they do not know the length."""

MIN_RATE, MAX_RATE = 1_000, 1_000_000
"""Sample rates in Hz that are accepted: others are damaged headers."""

MAX_SECONDS = 7200
MAX_VALUES = 2**27
"""Limits of one recording: its seconds, and its samples of all channels together, which take 512 MiB."""

BLOCK_VALUES = 2**20
"""Samples of all channels that are decoded at once."""

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


def read_file(path: str | os.PathLike[str], name: str, seconds: float | None = None) -> tuple[Audio, int]:
    """Returns a file's samples, float32 [samples] or [samples, channels], and their rate in Hz.

    Args:
        path: of a regular file.
        name: what messages call the recording.
        seconds: maximum to read. None reads all, and refuses more than 2 hours, or more than 134 million samples
            of all channels together.

    Raises:
        InputError: it is missing, not a regular file, not audio, or too long.
    """
    import soundfile

    try:
        # Opened here: given the path of a text file called .mp3, libmpg123 prints to stderr.
        with open_regular(path, name) as file, soundfile.SoundFile(file) as sound:
            return _read_blocks(sound, name, seconds), sound.samplerate
    except (TypeError, RuntimeError) as error:  # TypeError: samples without a header
        why = getattr(error, "error_string", error)
        raise InputError(f"{name} is not audio that can be read ({why})") from error


def _read_blocks(sound: Any, name: str, seconds: float | None) -> Audio:
    """Returns the samples of an open file; the number that its header states is not used."""
    rate, channels = _require_rate(sound.samplerate, name), sound.channels
    most = min(int(rate * min(seconds or MAX_SECONDS, MAX_SECONDS)), MAX_VALUES // channels)
    if seconds is None and sound.frames > most:
        raise InputError(f"{name} {_too_long(most, rate)}")
    blocks, read = [], 0
    while read <= most:
        block = sound.read(min(BLOCK_VALUES // channels, most + 1 - read), dtype="float32")
        if not len(block):
            break
        blocks.append(block)
        read += len(block)
    if seconds is None and read > most:
        raise InputError(f"{name} {_too_long(most, rate)}")
    if read <= most:
        _warn_if_truncated(name, read, sound.frames, sound.extra_info)
    samples = np.concatenate(blocks) if blocks else sound.read(0, dtype="float32")
    return np.asarray(samples[:most])


def _require_rate(rate: int, name: str) -> int:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise InputError(f"{name}: a sample rate of {rate} Hz; give {MIN_RATE:,} to {MAX_RATE:,} Hz")
    return rate


def _too_long(most: int, rate: int) -> str:
    return (
        f"is too long, or its header is damaged: at most {most / rate / 60:.1f} minutes of such audio are read; "
        "cut it into parts"
    )


def _warn_if_truncated(name: str, read: int, frames: int, log: str) -> None:
    """Warns if a file has less audio than its header states.

    Args:
        name: of the recording, for the message.
        read: samples that were read.
        frames: samples that libsndfile expects.
        log: libsndfile's log, with lines such as "data : 96000 (should be 256)".
    """
    stated = [(int(size), int(found)) for size, found in re.findall(r": (\d+) \(should be (\d+)\)", log)]
    shares = [found / size for size, found in stated if 0 < size < STREAMED]
    share = min([*shares, read / frames if frames else 1.0])
    if share < TRUNCATED:
        warn(
            f"{name} is cut off: it has {share:.1%} of the audio that its header states; copy or download it "
            "again"
        )


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
    """Returns one channel without offset, float32 [samples], after checking the samples.

    It is the mean of all channels, or the loudest one if they cancel each other.

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
    _require_rate(rate, name)
    if not np.isfinite(samples).all():
        raise InputError(f"{name}: it holds NaN or infinite samples")
    if (peak := float(np.abs(samples).max())) > MAX_PEAK:
        raise InputError(f"{name}: samples reach {peak:.3g}; scale them to [-1, 1]")
    return without_offset(samples if samples.ndim == 1 else _mixed(samples), rate)


def _mixed(samples: Audio) -> Audio:
    """Returns the mean of the channels of [samples, channels], or the loudest one if they cancel each other."""
    mean = samples.mean(axis=1)
    powers = samples.var(axis=0, dtype=np.float64)
    unrelated = powers.sum() / samples.shape[1] ** 2
    return samples[:, powers.argmax()] if mean.var(dtype=np.float64) < OPPOSITE * unrelated else mean


def without_offset(audio: Audio, sample_rate: int) -> Audio:
    """Returns audio [samples] without a significant offset, constant or slowly varying; other audio is unchanged.

    Recognisers and measurements of level treat an offset as sound. The offset is a mean over 0.2 s with
    triangular weights, so what remains of speech is above about 10 Hz.
    """
    if not len(audio):
        return audio
    size = max(1, round(BLOCK_SECONDS * sample_rate))
    starts = np.arange(0, len(audio), size)
    counts = np.minimum(size, len(audio) - starts)
    means = np.add.reduceat(audio, starts, dtype=np.float64) / counts
    slow = _smoothed(means, round(OFFSET_SECONDS / BLOCK_SECONDS))
    level = float(np.sqrt(np.square(audio, dtype=np.float64).mean()))
    constant = abs(float(audio.mean(dtype=np.float64)))
    varying = float(np.sqrt(np.square(slow).mean()))
    if constant <= OFFSET_SHARE * level and varying <= DRIFT_SHARE * level:
        return audio
    offset = np.interp(np.arange(len(audio)), starts + (counts - 1) / 2, slow)
    return (audio - offset).astype(np.float32)


def _smoothed(values: NDArray[np.float64], distance: int) -> NDArray[np.float64]:
    """Returns means of the values within a distance, with triangular weights."""
    weights = np.bartlett(2 * distance + 1)
    sums, totals = (np.convolve(each, weights)[distance:-distance] for each in (values, np.ones_like(values)))
    return np.asarray(sums / totals)


def resampled(audio: Audio, sample_rate: int, to: int = SAMPLE_RATE) -> Audio:
    """Returns audio, float32 mono [samples], at another rate.

    Args:
        audio: mono [samples].
        sample_rate: its rate in Hz.
        to: the rate to return, in Hz.

    Raises:
        InputError: it has NaN or infinite samples.
    """
    import soxr

    if not np.isfinite(audio).all():
        raise InputError("audio that holds NaN or infinite samples cannot be scored")
    if sample_rate != to:
        audio = soxr.resample(audio, sample_rate, to)
    return np.asarray(audio, np.float32)


def is_silent(audio: Audio) -> bool:
    """Whether no sample of audio [samples] reaches -80 dB of full scale; an offset does not count.

    >>> is_silent(np.full(1000, 0.05, np.float32))
    True
    """
    return not len(audio) or bool(np.ptp(audio) < 2 * DIGITAL_SILENCE)


def audible_frames(audio: Audio, sample_rate: int) -> NDArray[np.bool_]:
    """Returns whether each frame of 20 ms is within 40 dB of the loudest one and above -60 dB of full scale.

    The last frame may be shorter. A significant offset does not count.

    >>> tone = np.tile(np.float32([0.1, -0.1]), 640)
    >>> audible_frames(np.repeat(np.float32([0, 1, 1, 0]), 320) * tone, 16_000).tolist()
    [False, True, True, False]
    """
    size = max(1, round(FRAME_SECONDS * sample_rate))
    starts = np.arange(0, len(audio), size)
    if not len(starts):
        return np.zeros(0, np.bool_)
    sums = np.add.reduceat(np.square(without_offset(audio, sample_rate), dtype=np.float64), starts)
    powers = sums / np.minimum(size, len(audio) - starts)
    floor = max(10 ** (SILENCE_DB / 10), powers.max() * 10 ** (-RANGE_DB / 10))
    return np.asarray(powers > floor)


def speech_seconds(audio: Audio, sample_rate: int) -> float:
    """Returns the seconds from the first audible frame to the last; 0 for silence."""
    audible = np.flatnonzero(audible_frames(audio, sample_rate))
    return float(audible[-1] - audible[0] + 1) * FRAME_SECONDS if len(audible) else 0.0


def shortened_silences(audio: Audio, sample_rate: int) -> Audio:
    """Returns speech [samples] with at most 0.5 s of silence at each end and between two sounds.

    Frames 40 dB below the loudest one are silent. Audio without longer silences is unchanged.
    """
    peak = float(np.abs(audio).max(initial=0.0))
    audible = audible_frames(audio / np.float32(peak), sample_rate) if peak else np.zeros(0, np.bool_)
    if not audible.any():
        return audio
    most = round(LONGEST_SILENCE_SECONDS / FRAME_SECONDS)
    near = most // 2
    kept = np.convolve(audible, np.ones(2 * near + 1))[near:-near] > 0
    first, last = np.flatnonzero(audible)[[0, -1]]
    kept[max(0, first - most) : first] = True
    kept[last : last + 1 + most] = True
    size = round(FRAME_SECONDS * sample_rate)
    return audio if kept.all() else audio[np.repeat(kept, size)[: len(audio)]]


def clipped_share(samples: Audio) -> float:
    """Returns the largest share of clipped samples of any channel of [samples] or [samples, channels].

    >>> tone = np.sin(np.arange(1000, dtype=np.float32))
    >>> clipped_share(tone), clipped_share(np.clip(tone, -0.5, 0.5)) > 0.3
    (0.0, True)
    """
    extreme = np.abs(samples) >= np.maximum(PLATEAU * np.abs(samples).max(axis=0), DIGITAL_SILENCE)
    held = (samples[1:] == samples[:-1]) & extreme[1:]
    return float(held.mean(axis=0).max()) if len(held) else 0.0


def high_band_db(audio: Audio, sample_rate: int) -> float:
    """Returns the power of speech [samples] from 6.2 to 7.5 kHz, in dB of all its power; -inf for no power."""
    spectrum = np.square(np.abs(np.fft.rfft(audio)))
    hertz = np.fft.rfftfreq(len(audio), 1 / sample_rate)
    low, high = HIGH_BAND_HZ
    share = spectrum[(hertz > low) & (hertz < high)].sum() / max(float(spectrum.sum()), 1e-30)
    return float(10 * np.log10(share)) if share > 0 else -float("inf")
