"""Crops of sessions, for models of speaker and style: all of one length in a batch, so that nothing
is padded.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from examples.train_tiny import speech


class Crops:
    """Draws crops of sessions; each draw is decided by the step's number alone.

    Args:
        folders: of shards; each is as likely as another, whatever it holds.
        shortest: seconds of the shortest crop.
        longest: seconds of the longest.
    """

    def __init__(self, folders: list[Path], shortest: float, longest: float) -> None:
        self.shortest, self.longest = shortest, longest
        self.folders = [_sessions(folder, longest) for folder in folders]

    def batch(self, step: int, size: int) -> tuple[list[dict[str, Any]], torch.Tensor]:
        """Returns rows with speaker and style, and audio [size, samples]."""
        rng = random.Random(step)
        samples = int(rng.uniform(self.shortest, self.longest) * speech.SAMPLE_RATE)
        rows, made = [], []
        for _ in range(size):
            row, pieces = rng.choice(rng.choice(self.folders))
            whole = np.concatenate(pieces)
            start = rng.randint(0, len(whole) - samples)
            rows.append(row)
            made.append(whole[start : start + samples])
        return rows, torch.from_numpy(np.stack(made).astype(np.float32) / 32768)


def _sessions(folder: Path, longest: float) -> list[tuple[dict[str, Any], list[np.ndarray]]]:
    """The first row and all audio of each session that holds the longest crop."""
    found = []
    for _, group in itertools.groupby(speech.read_shards(folder), key=lambda pair: pair[0]["session"]):
        rows, pieces = zip(*group, strict=True)
        if sum(map(len, pieces)) >= longest * speech.SAMPLE_RATE:
            found.append((rows[0], list(pieces)))
    return found
