"""Samples tokens by the inverse CDF of a stateless random number for each row and position."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from llasa_search.sampling import Sampling

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)


def mix(*parts: int) -> int:
    """Returns a 64-bit key from whole numbers; different numbers give unrelated keys.

    It applies SplitMix64's finaliser (Steele, Lea and Flood 2014) to each part in turn.
    """
    key = 0
    for part in parts:
        key = (key + (part & _MASK) + _GOLDEN) & _MASK
        for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, 1), strict=True):
            key = ((key ^ (key >> shift)) * multiplier) & _MASK
    return key


def signed(key: int) -> int:
    """Returns the same 64 bits as a signed integer, as torch.int64 stores them."""
    key &= _MASK
    return key - (1 << 64) if key >> 63 else key


def uniform(keys: Tensor, position: int) -> Tensor:
    """Returns each row's random number at one position; it does not depend on the batch.

    Args:
        keys: int64 [rows].
        position: of the token in the row, from 0.

    Returns:
        float32 [rows] in (0, 1].
    """
    bits = keys + signed((position + 1) * _GOLDEN & _MASK)  # int64 wraps around, as SplitMix64 needs
    for shift, multiplier in zip(_SHIFTS, (*_MULTIPLIERS, 1), strict=True):
        unsigned_shift = (bits >> shift) & ((1 << (64 - shift)) - 1)
        bits = (bits ^ unsigned_shift) * signed(multiplier)
    mantissa = (bits >> 40) & 0xFFFFFF
    return (mantissa.float() + 0.5) * 2.0**-24


def draw(logits: Tensor, keys: Tensor, position: int, sampling: Sampling) -> Tensor:
    """Samples one token per row.

    Args:
        logits: float32 [rows, tokens]; -inf forbids a token.
        keys: int64 [rows].
        position: of the token in the row, from 0.
        sampling: temperature, top-k and top-p, applied in this order, as in transformers.

    Returns:
        int64 [rows].
    """
    if sampling.temperature == 0:
        return logits.argmax(-1)
    probabilities = torch.softmax(logits / sampling.temperature, -1)
    if 0 < sampling.top_k < logits.shape[-1]:
        weakest = probabilities.topk(sampling.top_k).values[:, -1:]
        probabilities = probabilities.where(probabilities >= weakest, 0.0)
    if sampling.top_p < 1:
        weakest = _lowest_kept_by_top_p(probabilities, sampling.top_p)
        probabilities = probabilities.where(probabilities >= weakest, 0.0)
    cumulative = probabilities.cumsum(-1)
    # The first token whose cumulative probability reaches u > 0 has a probability above 0 itself.
    target = uniform(keys, position).unsqueeze(-1) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target).squeeze(-1)


def _lowest_kept_by_top_p(probabilities: Tensor, top_p: float) -> Tensor:
    """Returns the probability [rows, 1] of the last token that top-p keeps."""
    ordered = _sort(probabilities)
    cumulative = ordered.cumsum(-1)
    dropped = (cumulative <= (1 - top_p) * cumulative[:, -1:]).sum(-1, keepdim=True)
    return ordered.gather(-1, dropped.clamp(max=ordered.shape[-1] - 1))


def _sort(values: Tensor) -> Tensor:
    """Sorts ascending along the last dimension; on a CPU NumPy's sort is 30 times faster than torch's."""
    return torch.from_numpy(np.sort(values.numpy())) if values.device.type == "cpu" else values.sort().values


def penalise(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Divides positive and multiplies negative logits of tokens already seen (Keskar et al. 2019, CTRL).

    Args:
        logits: [rows, tokens].
        seen: bool [rows, tokens].
        penalty: 1 changes nothing.
    """
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)
