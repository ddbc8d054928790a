"""The voice prompt (`Voice`), and what one search conditions the language model on (`Prompt`)."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from llasa_search.arrays import Audio, Codes
from llasa_search.audio import SAMPLE_RATE, given, is_silent, one_channel, read_file, resampled
from llasa_search.checkpoints.names import TINY
from llasa_search.errors import InputError

MAX_SECONDS = 15.0
"""Longer references are cut: they would leave too few of Llasa's 2,048 tokens for new speech."""

MIN_SECONDS = 0.1
"""Shorter references are refused."""

VOICES = TINY / "voices"


class Voice:
    """A reference recording, whose voice and speaking style the model continues.

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

        Args:
            source: a file that soundfile can read (wav, flac, ogg, mp3, ...), or samples
                [samples] or [samples, channels] in [-1, 1].
            text: the transcript. None reads it from `ref.txt` beside a file `ref.wav`, if there is one. The
                transcript of a recording longer than 15 s is dropped, because the model would speak the part
                that was cut off.
            sample_rate: in Hz; only for samples.
            name: what tables call it.

        Raises:
            InputError: the recording is missing, empty, not audio, silent, shorter than 0.1 s, or has NaN
                samples; or its transcript is not a string.
        """
        if isinstance(source, str | PathLike):
            path = Path(source)
            where = f"the voice prompt {path}"
            samples, rate = _read(path)
            beside = path.with_suffix(".txt")
            if text is None and beside.is_file():
                text = _transcript(beside)
            name = name or path.stem.encode(errors="replace").decode()
        else:
            where = "the voice prompt's samples"
            if sample_rate is None:
                raise InputError(f"{where} need their sample rate: Voice(samples, text, sample_rate=24000)")
            samples, rate = given((source, sample_rate), where)
        mono = one_channel(samples, rate, where)
        if len(mono) < MIN_SECONDS * rate:
            raise InputError(f"{where} lasts {len(mono) / rate:.3g} s; give at least {MIN_SECONDS:g} s")
        if len(mono) > MAX_SECONDS * rate:
            message = f"{where} lasts {len(mono) / rate:.1f} s; only its first {MAX_SECONDS:g} s are used"
            warnings.warn(message + (", without its transcript" if text else ""), stacklevel=2)
            mono, text = mono[: int(MAX_SECONDS * rate)], None
        self.audio: Audio = _prepare(mono, rate, where)
        if text is not None and not isinstance(text, str):
            raise InputError(f"{where}: its transcript is {text!r:.80}, not a string")
        self.text = " ".join(text.split()) or None if text is not None else None
        self.name = name or "voice"
        self.resynthesis: Audio | None = None

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
        return Voice(self.audio, text, SAMPLE_RATE, self.name)

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


@dataclass(frozen=True)
class Step:
    """One in-context step: a part of the text and the speech codes that were accepted for it."""

    text: str
    codes: Codes


@dataclass(frozen=True)
class Prompt:
    """What one search conditions the language model on.

    Attributes:
        text: the text to speak.
        language: "en" or "zh".
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


def _transcript(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        message = (
            f"the transcript {path} is not UTF-8 ({error.reason} at byte {error.start}): save it as UTF-8"
        )
        raise InputError(message) from error


def _read(path: Path) -> tuple[Audio, int]:
    if not os.path.exists(path):
        raise InputError(f"the voice prompt {str(path)[:200]} does not exist")
    if path.is_dir():
        raise InputError(f"the voice prompt {path} is a folder; give an audio file")
    if path.stat().st_size == 0:
        raise InputError(f"the voice prompt {path} is an empty file")
    return read_file(path, f"the voice prompt {path}")


def _prepare(mono: Audio, rate: int, where: str) -> Audio:
    """Returns a read-only copy at 16 kHz; refuses silence."""
    if is_silent(mono):
        raise InputError(f"{where} is silent; give a recording of speech")
    audio = resampled(mono, rate).copy()
    audio.flags.writeable = False
    return audio
