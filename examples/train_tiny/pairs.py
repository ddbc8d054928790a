"""Compares pairs of recordings with the same and with different labels, for error rates and scales."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.metric_stats import EER


def split(first: np.ndarray, second: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the cosines of all pairs of recordings with the same label and with different labels.

    Args:
        first: embeddings of length 1, [recordings, dim].
        second: embeddings of the same recordings, possibly after the codec.
        names: label of each recording.
    """
    cosines, named = first @ second.T, np.array(names)
    alike = named[:, None] == named
    return cosines[alike & ~np.eye(len(named), dtype=bool)], cosines[~alike]


def equal_error_rate(same: np.ndarray, other: np.ndarray, most: int = 4000) -> float:
    """Returns the equal error rate, from at most `most` evenly spaced values of each."""
    return float(EER(*(torch.from_numpy(x[:: -(-len(x) // most)]) for x in (same, other)))[0])


def write_scale(same: np.ndarray, other: np.ndarray, folder: Path) -> None:
    """Writes the scale (worst, best) of a verifier: the median of `other` and the 95th percentile of `same`."""
    scale = [round(float(np.median(other)), 4), round(float(np.percentile(same, 95)), 4)]
    (folder / "scale.json").write_text(f"{json.dumps(scale)}\n")
