"""The voice prompt (`Voice`), and the prompt of the language model in one search (`Prompt`)."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from llasa_search.arrays import Audio, Codes
from llasa_search.audio import (
    SAMPLE_RATE,
    clipped_share,
    given,
    high_band_db,
    is_silent,
    one_channel,
    read_file,
    resampled,
    shortened_silences,
)
from llasa_search.checkpoints.names import TINY
from llasa_search.errors import InputError, warn
from llasa_search.storage.reading import read_text, require_regular
from llasa_search.text.joining import join_texts

MAX_SECONDS = 15.0
"""Longer references are cropped: they would leave too few of Llasa's 2,048 tokens for new speech."""

READ_SECONDS = 120.0
"""Seconds of a recording that are read at most, including silences."""

MIN_SECONDS = 0.1
"""Shorter references are refused."""

CLIPPED_SHARE = 0.001
"""Clipped samples above this share cause a warning. The built-in voices have none, and 0.004 or more if they are
amplified to twice full scale."""

BAND_LIMITED_DB = -65.0
"""Recordings with less power in the highest band than this, in dB of all their power, cause a warning. The built-in
voices have -50 or more; after resampling to 8, 11 or 12 kHz they have -80 or less, and the embedded speaker encoder
finds a cosine of 0.38, 0.70 or 0.79 with the original."""

VOICES = TINY / "voices"


class Voice:
    """A reference recording; the model continues in its voice and speaking style.

    Attributes:
        audio: read-only float32 mono [samples] at 16 kHz, at most 15 s.
        text: its transcript, or None if that is unknown.
        name: the file's stem, a built-in voice's name, or "voice".
        resynthesis: the recording encoded and decoded by a codec, float32 mono [samples] at 16 kHz, or None
            if that has not been computed.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        source: str | PathLike[str] | ArrayLike,
        text: str | None = None,
        sample_rate: int | None = None,
        name: str | None = None,
    ) -> None:
        """Reads a recording of any sample rate and any number of channels.

        An offset is removed, and silences of more than 0.5 s are shortened to that. A warning names a recording
        that is cut off, clipped or band-limited.

        Args:
            source: a file that soundfile can read (wav, flac, ogg, mp3, ...), or samples
                [samples] or [samples, channels] in [-1, 1].
            text: the transcript. None reads it from `ref.txt` beside a file `ref.wav`, if there is one. The
                transcript of a recording longer than 15 s is dropped, because the model would speak the part
                that was cut off.
            sample_rate: in Hz; only for samples.
            name: its name in tables.

        Raises:
            InputError: the recording is missing, empty, not audio, silent, shorter than 0.1 s, or has NaN
                samples; or its transcript is not a string.
        """
        if isinstance(source, str | PathLike):
            path = Path(source)
            where = f"the voice prompt {path}"
            samples, rate = _read(path)
            beside = path.with_suffix(".txt")
            if len(samples) >= READ_SECONDS * rate:
                warn(f"{where} is long; only its first {READ_SECONDS:g} s are read, without its transcript")
                text = None
            elif text is None and beside.is_file():
                text = read_text(beside, f"the transcript {beside}")
            name = name or path.stem.encode(errors="replace").decode()
        else:
            where = "the voice prompt given as samples"
            if sample_rate is None:
                raise InputError(f"{where} needs its sample rate: Voice(samples, text, sample_rate=24000)")
            samples, rate = given((source, sample_rate), where)
        audio, text = _at_most_15_seconds(_prepare(samples, rate, where), text, where)
        self.audio: Audio = _read_only(audio)
        self.text = _one_line(text, where)
        self.name = name or "voice"
        self.resynthesis: Audio | None = None

    @classmethod
    def stored(cls, path: str | PathLike[str], text: str | None, name: str) -> Voice:
        """Reads the audio of a `Voice` that was written to a file, without preparing it again.

        Raises:
            InputError: the file is missing, or not the audio of a `Voice`.
        """
        where = f"the voice prompt {os.fspath(path)}"
        audio, rate = read_file(path, where, MAX_SECONDS)
        if rate != SAMPLE_RATE or audio.ndim != 1 or not np.isfinite(audio).all():
            raise InputError(f"{where} is not one channel of finite samples at {SAMPLE_RATE:,} Hz")
        return cls._of(audio, text, name)

    @classmethod
    def _of(cls, audio: Audio, text: str | None, name: str) -> Voice:
        voice = cls.__new__(cls)
        voice.audio = _read_only(audio)
        voice.text = _one_line(text, "the voice prompt")
        voice.name = name
        voice.resynthesis = None
        return voice

    @classmethod
    def builtin(cls, name: str, style: str | None = None) -> Voice:
        """Returns a voice that comes with the package.

        Args:
            name: one of `Voice.builtins()`.
            style: one of its styles; None for the first one, neutral.

        Raises:
            InputError: there is no such voice or style.
        """
        styles = _built_in(name)
        style = style or next(iter(styles))
        if style not in styles:
            raise InputError(f"the voice {name!r} has no style {style!r}; it has: {', '.join(styles)}")
        entry = styles[style]
        return cls(VOICES / entry["file"], entry["text"], name=f"{name}-{style}")

    @staticmethod
    def builtins() -> list[str]:
        """Returns the names of the voices that come with the package."""
        return list(_catalogue())

    @staticmethod
    def styles(name: str) -> list[str]:
        """Returns the styles of the built-in voice `name`, the neutral one first.

        Raises:
            InputError: there is no such voice.
        """
        return list(_built_in(name))

    def with_text(self, text: str) -> Voice:
        """Returns the same recording with another transcript."""
        return Voice._of(self.audio, text, self.name)

    @property
    def seconds(self) -> float:
        """Length of the recording in seconds."""
        return len(self.audio) / SAMPLE_RATE

    @cached_property
    def id(self) -> str:
        """Hash of the audio and the transcript; equal voices have equal ids."""
        content = hashlib.sha256(self.audio.tobytes())
        content.update((self.text or "").encode())
        return content.hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Voice) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Voice({self.name!r}, {self.text!r}, {self.seconds:.1f} s)"


@dataclass(frozen=True, eq=False)
class Step:
    """One in-context step: a part of the text, and its accepted speech codes."""

    text: str
    codes: Codes


@dataclass(frozen=True)
class Prompt:
    """The text, voice and history on which one search conditions the language model.

    Attributes:
        text: the text to speak.
        language: a code of Whisper's list, such as "en".
        voice: the voice prompt, or None to let the model choose a voice.
        history: steps spoken between the voice prompt and this text.
    """

    text: str
    language: str
    voice: Voice | None = None
    history: tuple[Step, ...] = ()


def _catalogue() -> dict[str, dict[str, dict[str, Any]]]:
    index = VOICES / "voices.json"
    return json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}


def _built_in(name: str) -> dict[str, dict[str, Any]]:
    voices = _catalogue()
    if name not in voices:
        raise InputError(f"there is no built-in voice {name!r}; there are: {', '.join(voices) or 'none'}")
    return voices[name]


def _read(path: Path) -> tuple[Audio, int]:
    where = f"the voice prompt {path}"
    require_regular(path, where)
    if not path.stat().st_size:
        raise InputError(f"{where} is an empty file")
    return read_file(path, where, READ_SECONDS)


def _prepare(samples: Audio, rate: int, where: str) -> Audio:
    """Returns the recording at 16 kHz, without offset and long silences; refuses short and silent ones."""
    mono = one_channel(samples, rate, where)
    if len(mono) < MIN_SECONDS * rate:
        raise InputError(f"{where} lasts {len(mono) / rate:.3g} s; give at least {MIN_SECONDS:g} s")
    if is_silent(mono):
        raise InputError(f"{where} is silent; give a recording of speech")
    audio = resampled(mono, rate)
    if (share := clipped_share(samples)) > CLIPPED_SHARE:
        warn(
            f"{where} is clipped: {share:.1%} of its samples are at the limit; record it again at a lower level"
        )
    if high_band_db(audio, SAMPLE_RATE) < BAND_LIMITED_DB:
        recorded = f" (it has {rate} Hz)" if rate < SAMPLE_RATE else ""
        warn(
            f"{where} has no sound above 6 kHz{recorded}, like a telephone, so comparisons of voices mean little: "
            "give a recording of 16,000 Hz or more"
        )
    return shortened_silences(audio, SAMPLE_RATE)


def _at_most_15_seconds(audio: Audio, text: str | None, where: str) -> tuple[Audio, str | None]:
    """Returns the audio [samples] at 16 kHz, and its transcript; longer audio is cropped, without its transcript."""
    if len(audio) <= MAX_SECONDS * SAMPLE_RATE:
        return audio, text
    message = f"{where} lasts {len(audio) / SAMPLE_RATE:.1f} s; only its first {MAX_SECONDS:g} s are used"
    warn(message + (", without its transcript" if text else ""))
    return audio[: int(MAX_SECONDS * SAMPLE_RATE)], None


def _one_line(text: object, where: str) -> str | None:
    if text is not None and not isinstance(text, str):
        raise InputError(f"{where}: its transcript is {text!r:.80}, not a string")
    return join_texts(text.splitlines()) or None if text is not None else None


def _read_only(audio: Audio) -> Audio:
    audio = np.array(audio, np.float32)
    audio.flags.writeable = False
    return audio
