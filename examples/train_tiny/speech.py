"""Synthesises speech of flite voices and pseudo-speakers in four styles, 16 kHz mono.

A pseudo-speaker is a base voice whose formants are changed by resampling. flite's pitch and pace settings, or Praat
if flite ignores them, compensate the effect of the resampling on pitch and pace. The utterances of a session sound
similar; other takes of the same speaker differ slightly. Needs the program `flite` (Debian: `apt-get install flite`).
"""

from __future__ import annotations

import io
import json
import multiprocessing
import random
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from examples.train_tiny import pitch, texts

SAMPLE_RATE = 16_000
BASES = {"slt": 172.0, "awb": 128.0, "kal16": 105.0, "rms": 100.0}  # mean pitch in Hz
BUILT_IN = (*BASES, "p000", "p001")  # the built-in voices of the package
SESSION = 5  # utterances of one speaker, style and strength
STRENGTHS = (0.3, 1.5)  # range of the strengths of styles
NARROWEST, WIDEST = 0.82, 1.22  # formant ratios that sound like an adult


@dataclass(frozen=True)
class Speaker:
    """A speaker or pseudo-speaker, with formants, pitch and duration as ratios to the base voice."""

    name: str
    base: str
    formant: float = 1.0
    pitch: float = 1.0
    duration: float = 1.0


@dataclass(frozen=True)
class Style:
    """The ratios by which a style changes duration, mean pitch and pitch range, at a strength of 1."""

    duration: float
    pitch: float
    spread: float


STYLES = {
    "neutral": Style(1.0, 1.0, 1.0),
    "happy": Style(0.87, 1.22, 1.9),
    "sad": Style(1.28, 0.86, 0.4),
    "angry": Style(0.80, 0.95, 1.5),
}


@dataclass(frozen=True)
class Delivery:
    """The properties of one utterance; the last three are ratios to those of the speaker."""

    speaker: Speaker
    style: str = "neutral"
    strength: float = 1.0
    pace: float = 1.0
    pitch: float = 1.0
    formant: float = 1.0


@dataclass(frozen=True)
class Population:
    """The speakers, the seed of the first shard's texts, and the range of the formants between takes."""

    speakers: list[Speaker]
    seed: int
    takes: float = 0.0


def _drawn(prefix: str, count: int, seed: int) -> list[Speaker]:
    """Returns pseudo-speakers, which take the base voices in turn."""
    rng = random.Random(seed)
    return [
        Speaker(
            f"{prefix}{i:03d}",
            list(BASES)[i % len(BASES)],
            rng.uniform(0.88, 1.14),
            rng.uniform(0.85, 1.25),
            rng.uniform(0.92, 1.1),
        )
        for i in range(count)
    ]


def speakers(held_out: bool = False) -> list[Speaker]:
    """Returns the 4 base voices and 32 training pseudo-speakers, or the 16 held-out pseudo-speakers."""
    if held_out:
        return _drawn("h", 16, seed=7)
    return [*(Speaker(base, base) for base in BASES), *_drawn("p", 32, seed=5)]


def verifier_speakers() -> list[Speaker]:
    """Returns 300 other pseudo-speakers, whose speech only the verifiers are trained on."""
    return _drawn("v", 300, seed=9)


def _trim(audio: np.ndarray, keep: float = 0.08) -> np.ndarray:
    """Trims the silence at both ends to `keep` seconds."""
    loud = np.flatnonzero(np.abs(audio) > 0.02 * np.abs(audio).max())
    pad = int(keep * SAMPLE_RATE)
    return audio[max(0, loud[0] - pad) : loud[-1] + pad]


def speak(text: str, how: Delivery) -> np.ndarray:
    """Synthesises one utterance: float32 [samples], root mean square 0.08."""
    speaker, style, power = how.speaker, STYLES[how.style], how.strength
    formant = min(max(speaker.formant * how.formant, NARROWEST), WIDEST)
    duration = speaker.duration * how.pace * style.duration**power
    wanted = BASES[speaker.base] * speaker.pitch * how.pitch * style.pitch**power
    mean = wanted / formant  # before resampling
    mean = max(mean, 150.0) if speaker.base == "slt" else mean  # below this, slt has octave jumps
    spread = (0.11 if speaker.base == "slt" else 0.13) * mean * style.spread**power
    command = [
        "flite",
        "-voice",
        speaker.base,
        "--setf",
        f"int_f0_target_mean={mean:.1f}",
        "--setf",
        f"int_f0_target_stddev={spread:.1f}",
        "--setf",
        f"duration_stretch={duration * formant:.3f}",
        "-t",
        text,
        "-o",
        "/dev/stdout",
    ]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    audio = _from_wav(raw)
    if speaker.base == "rms":  # flite cannot set its pitch
        audio = pitch.moved(audio, SAMPLE_RATE, mean, style.spread**power)
    if formant != 1.0:
        audio = soxr.resample(audio, SAMPLE_RATE * formant, SAMPLE_RATE, quality="HQ")
    audio = _trim(audio)
    return np.asarray(audio * (0.08 / max(1e-4, float(np.sqrt(np.mean(audio**2))))), np.float32).clip(
        -0.99, 0.99
    )


def _from_wav(raw: bytes) -> np.ndarray:
    """Reads the samples after flite's wav header; its sizes are wrong, because flite cannot seek in a pipe."""
    rate = int.from_bytes(raw[24:28], "little")
    audio = np.frombuffer(raw[44 : 44 + (len(raw) - 44) // 2 * 2], "<i2").astype(np.float32) / 32768
    return audio if rate == SAMPLE_RATE else soxr.resample(audio, rate, SAMPLE_RATE)


POPULATIONS = {
    "training": Population(speakers(), 0, takes=0.15),
    "held out": Population(speakers(held_out=True), 1_000_000),
    "verifiers": Population(verifier_speakers(), 2_000_000),
}


def session(
    rng: random.Random, population: Population, forbidden: set[str]
) -> Iterator[tuple[texts.Text, Delivery]]:
    """Yields one take: several texts of one speaker in one style. A built-in voice is eight times as probable as
    another voice.
    """
    everyone = population.speakers
    speaker = rng.choices(everyone, [8.0 if s.name in BUILT_IN else 1.0 for s in everyone])[0]
    style, strength = rng.choice(list(STYLES)), rng.uniform(*STRENGTHS)

    def about(ratio: float) -> float:
        return rng.uniform(1 - ratio, 1 + ratio)

    pace, tone, formant = about(0.04), about(0.03), about(population.takes)
    for _ in range(SESSION):
        text = texts.training_text(rng)
        if text.spoken not in forbidden:
            yield text, Delivery(speaker, style, strength, pace * about(0.02), tone * about(0.02), formant)


def write_shard(folder: Path, shard: int, sessions: int, population: str = "training") -> None:
    """Writes `sessions` sessions as one int16 array and one JSON line per utterance, unless the files exist."""
    wav, meta = folder / f"{shard:04d}.npy", folder / f"{shard:04d}.jsonl"
    if meta.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    everyone = POPULATIONS[population]
    rng = random.Random(everyone.seed + shard)
    forbidden = {t.spoken for group in texts.evaluation_sets().values() for t in group}
    pieces, lines, position = [], [], 0
    for number in range(sessions):
        for text, how in session(rng, everyone, forbidden):
            audio = (speak(text.text, how) * 32767).astype(np.int16)
            row = {
                **asdict(text),
                "speaker": how.speaker.name,
                "style": how.style,
                "strength": how.strength,
                "session": f"{shard}-{number}",
                "start": position,
                "length": len(audio),
            }
            lines.append(json.dumps(row))
            pieces.append(audio)
            position += len(audio)
    np.save(wav, np.concatenate(pieces))
    meta.write_text("\n".join(lines) + "\n")


def write_shards(
    folder: Path, shards: range, processes: int, population: str = "training", sessions: int = 200
) -> None:
    with multiprocessing.Pool(processes) as pool:
        pool.starmap(write_shard, [(folder, shard, sessions, population) for shard in shards], chunksize=1)


def read_shards(folder: Path) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yields (row, int16 audio) of every finished shard."""
    for meta in sorted(folder.glob("*.jsonl")):
        audio = np.load(meta.with_suffix(".npy"), mmap_mode="r")
        for line in meta.read_text().splitlines():
            row = json.loads(line)
            yield row, audio[row["start"] : row["start"] + row["length"]]


def to_float(audio: np.ndarray) -> np.ndarray:
    """Returns int16 samples as the float32 input of models."""
    return audio.astype(np.float32) / 32768


def to_flac(audio: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16", compression_level=1.0)
    return buffer.getvalue()
