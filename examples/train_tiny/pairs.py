"""Pairs of recordings of one or two names: for the error rate and the scale of a model that compares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from speechbrain.utils.metric_stats import EER


def split(first: np.ndarray, second: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all pairs of two recordings, one from each side, of one name and of two names.

    Args:
        first: embeddings of length 1, [recordings, dim].
        second: of the same recordings, perhaps after the codec.
        names: who or what each recording is.
    """
    cosines, named = first @ second.T, np.array(names)
    alike = named[:, None] == named
    return cosines[alike & ~np.eye(len(named), dtype=bool)], cosines[~alike]


def equal_error_rate(same: np.ndarray, other: np.ndarray, most: int = 4000) -> float:
    """The share of `same` refused where as many of `other` are accepted; `most` of each, evenly taken."""
    return float(EER(*(torch.from_numpy(x[:: -(-len(x) // most)]) for x in (same, other)))[0])


def write_scale(same: np.ndarray, other: np.ndarray, folder: Path) -> None:
    """Writes (worst, best) for verifiers: the median of `other`, and what one in twenty of `same` exceeds."""
    scale = [round(float(np.median(other)), 4), round(float(np.percentile(same, 95)), 4)]
    (folder / "scale.json").write_text(f"{json.dumps(scale)}\n")
