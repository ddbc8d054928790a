"""Computes the initial filters of a front end for raw audio; with random filters, training would take hours."""

from __future__ import annotations

import math

import torch

from examples.train_tiny import speech

LOWEST, HIGHEST = 60.0, 7600.0  # Hz


def sinusoids(channels: int, width: int) -> torch.Tensor:
    """Returns windowed sinusoids at frequencies that are evenly spaced in mel: [channels, 1, width].

    Each frequency has four phases, whose rectified outputs sum approximately to its magnitude. Above 500 Hz, the
    amplitude increases by 6 dB per octave, because the spectrum of speech decreases.
    """
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST, HIGHEST))
    hertz = 700 * (10 ** (torch.linspace(low, high, channels // 4) / 2595) - 1)
    phases = torch.arange(4) * math.pi / 2
    time = torch.arange(width) / speech.SAMPLE_RATE
    waves = torch.cos(2 * math.pi * hertz[:, None, None] * time + phases[:, None])
    waves *= torch.hann_window(width, periodic=False) * (1 + hertz[:, None, None] / 500)
    return (waves / waves[0, 0].norm()).view(channels, 1, width)
