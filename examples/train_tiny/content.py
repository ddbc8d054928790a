"""Defines a loss on a recogniser's output, with which the codec learns to preserve the content.

A spectral loss gives the same weight to all sounds; a recogniser's features emphasise differences between words.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
import whisper
from torch import nn
from whisper.model import disable_sdpa

from examples.train_tiny import asr


class ContentLoss(nn.Module):
    """L1 loss between a frozen recogniser's encodings, plus the KL divergence of its characters per frame."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        self.speller = asr.load(checkpoint).eval().requires_grad_(False)

    def _recognised(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with disable_sdpa():  # its backward pass is slow on a CPU
            encoded = self.speller.encode(whisper.log_mel_spectrogram(audio))
            letters = self.speller.ctc(encoded)
        return encoded.float(), letters.float().log_softmax(-1)

    def forward(self, output: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            target, letters = self._recognised(true)
        encoded, predicted = self._recognised(output)
        divergence = F.kl_div(predicted, letters, reduction="none", log_target=True).sum(-1).mean()
        return F.l1_loss(encoded, target) + divergence
