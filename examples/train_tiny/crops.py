"""Makes batches of crops for the speaker and emotion models; all crops of a batch have the same length."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from examples.train_tiny import speech


class Crops:
    """Batches of crops of sessions; a batch depends only on the number of the step.

    Args:
        folders: folders of shards, which are sampled with equal probability.
        shortest: minimum length of a crop in seconds.
        longest: maximum length of a crop in seconds.
    """

    def __init__(self, folders: list[Path], shortest: float, longest: float) -> None:
        self.shortest, self.longest = shortest, longest
        self.folders = [_sessions(folder, longest) for folder in folders]

    def batch(self, step: int, size: int) -> tuple[list[dict[str, Any]], torch.Tensor]:
        """Returns rows with speaker and style, and their audio, [size, samples]."""
        rng = random.Random(step)
        samples = int(rng.uniform(self.shortest, self.longest) * speech.SAMPLE_RATE)
        rows, crops = [], []
        for _ in range(size):
            row, pieces = rng.choice(rng.choice(self.folders))
            whole = np.concatenate(pieces)
            start = rng.randint(0, len(whole) - samples)
            rows.append(row)
            crops.append(whole[start : start + samples])
        return rows, torch.from_numpy(np.stack(crops).astype(np.float32) / 32768)


def _sessions(folder: Path, longest: float) -> list[tuple[dict[str, Any], list[np.ndarray]]]:
    """Returns the first row and all audio of each session that is at least as long as the longest crop."""
    found = []
    for _, group in itertools.groupby(speech.read_shards(folder), key=lambda pair: pair[0]["session"]):
        rows, pieces = zip(*group, strict=True)
        if sum(map(len, pieces)) >= longest * speech.SAMPLE_RATE:
            found.append((rows[0], list(pieces)))
    return found
