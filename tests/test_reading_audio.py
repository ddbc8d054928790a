"""Recordings: only regular files are opened, and memory does not depend on what a header states."""

from __future__ import annotations

import json
import os
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from llasa_search import Voice, search
from llasa_search.arrays import Audio
from llasa_search.audio import MAX_VALUES, read_file, read_speech
from llasa_search.errors import InputError
from llasa_search.verifiers import EmotionSimilarity, Signal

Noise = Callable[..., Audio]
SPEECH = Voice.builtin("slt").audio


@pytest.fixture(params=["fifo", "folder", "socket", "zero", "full", "absent", "nul"])
def not_a_file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Returns a path that is not a regular file."""
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most 107 bytes
    match request.param:
        case "fifo":
            os.mkfifo("a.wav")
        case "folder":
            Path("a.wav").mkdir()
        case "socket":
            socket.socket(socket.AF_UNIX).bind("a.wav")
        case "zero" | "full":
            return f"/dev/{request.param}"
        case "nul":
            return "a\0.wav"
    return "a.wav"


@pytest.mark.parametrize(
    "read",
    [
        Voice,
        lambda path: Voice.stored(path, "a", "a"),
        lambda path: read_speech(path, "the recording"),
        lambda path: search.select([path], "a coin", verifiers=Signal(), language="en"),
        lambda path: search.generate("a coin", prompt=path),
        lambda path: search.select(
            [(SPEECH, 16_000)], "a coin", verifiers=EmotionSimilarity(path), language="en"
        ),
    ],
)
def test_only_regular_files_are_opened(not_a_file: str, read: Callable[[str], object]) -> None:
    """Other files are refused at once (a FIFO blocked forever, and /dev/zero filled the memory)."""
    with pytest.raises(InputError, match=r"cannot be read|does not exist|not a path"):
        read(not_a_file)


def sparse_wav(path: Path, seconds: float, rate: int = 16_000, channels: int = 1) -> Path:
    """Writes a wav of zeros that takes no space on the disk, with half a second of noise at its start."""
    size = int(seconds * rate) * channels * 2
    stated = min(size, 2**32 - 64)
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", stated + 36, b"WAVE", b"fmt ", 16, 1, channels, rate,
                       rate * channels * 2, channels * 2, 16, b"data", stated)  # fmt: skip
    noise = np.random.default_rng(0).normal(0, 3000, rate * channels // 2).astype("<i2")
    with path.open("wb") as file:
        file.write(head + noise.tobytes())
        file.truncate(len(head) + size)
    return path


@pytest.mark.filterwarnings("ignore")
def test_only_the_beginning_of_a_long_voice_is_read(tmp_path: Path) -> None:
    """A voice prompt of 2 GB takes less than 200 MB of memory (the file was read completely)."""
    path = sparse_wav(tmp_path / "a.wav", 18 * 3600)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    voice = Voice(path, "a transcript of all of it")
    assert voice.seconds <= 15 and voice.text is None
    assert time.monotonic() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_recording_that_is_too_long_is_refused_by_its_header(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(InputError, match=r"too long, .*: at most 120\.0 minutes"):
        read_speech(sparse_wav(tmp_path / "a.wav", 18 * 3600), "the recording")
    with pytest.raises(InputError, match="too long"):
        read_file(sparse_wav(tmp_path / "b.wav", 3600, channels=8), "the recording")
    assert time.monotonic() - start < 2


def flac_that_states(path: Path, frames: int, noise: Noise) -> Path:
    """Writes one second of FLAC whose header states another number of samples."""
    soundfile.write(path, noise(1.0), 16_000, format="FLAC")
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | frames >> 32  # the lowest 36 bits of bytes 18 to 25
    content[22:26] = (frames & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def test_memory_does_not_depend_on_the_header(tmp_path: Path, noise: Noise) -> None:
    """A FLAC that states 2^36 samples takes less than 100 MB (it took 256 GiB)."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for frames in (2**36 - 1, MAX_VALUES // 2, 0):  # 0: unknown
        with pytest.raises(InputError, match="recording"):
            read_speech(flac_that_states(tmp_path / "a.flac", frames, noise), "the recording")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


@pytest.mark.parametrize("rate", [1, 999, 1_000_001, 2**31 - 1])
def test_impossible_sample_rates_are_refused(tmp_path: Path, noise: Noise, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", noise(1.0), rate)
    with pytest.raises(InputError, match="1,000 to 1,000,000 Hz"):
        read_speech(tmp_path / "a.wav", "the recording")


def test_an_invalid_recording_of_a_manifest_fails_alone(tmp_path: Path, noise: Noise) -> None:
    """Invalid files neither end nor block the run, and the other recordings are scored."""
    soundfile.write(tmp_path / "good.wav", noise(1.0), 16_000)
    os.mkfifo(tmp_path / "fifo.wav")
    sparse_wav(tmp_path / "long.wav", 18 * 3600)
    flac_that_states(tmp_path / "huge.flac", 2**36 - 1, noise)
    names = ["good.wav", "fifo.wav", "long.wav", "huge.flac", "/dev/zero"]
    lines: list[dict[str, Any]] = [{"id": str(i), "text": "one", "wav": name} for i, name in enumerate(names)]
    lines.append({"id": "prompt", "text": "one", "wav": "good.wav", "prompt": "fifo.wav"})
    (tmp_path / "list.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ["--language", "en", "--verifier", "signal", "-o", str(tmp_path / "scores")]
    command = [sys.executable, "-m", "llasa_search", "score", str(tmp_path / "list.jsonl"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "scores" / "scores.jsonl").read_text().splitlines()]
    statuses = [record["recordings"][0]["status"] for record in records]
    assert statuses == ["scored", "failed", "failed", "failed", "failed", "scored"]
