"""X-codec2: encodes speech to codes and decodes codes to speech."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from llasa_search.arrays import Audio, Codes
from llasa_search.errors import ModelError

if TYPE_CHECKING:
    from transformers import Xcodec2FeatureExtractor, Xcodec2Model

CONTEXT_FRAMES = 50
"""Codes decoded before the speech, whose audio is removed: one second, the receptive field of the decoder."""

FRAMES_PER_CALL = 8192
"""Frames decoded in one call, to bound memory."""


class Codec:
    """Encodes mono speech to one stream of codes, and decodes it.

    Attributes:
        sample_rate: of the audio, in Hz.
        hop: samples per code.
        codebook_size: codes are 0 .. codebook_size - 1.
    """

    def __init__(self, model: Xcodec2Model, features: Xcodec2FeatureExtractor) -> None:
        self._model, self._features = model, features
        self.sample_rate: int = model.config.sampling_rate
        self.hop: int = model.config.hop_length
        self.codebook_size = int(np.prod(model.config.quantization_levels))

    def require_working(self) -> None:
        """Decodes two codes and checks what comes out.

        Raises:
            ModelError: it is not two frames of finite samples: the settings do not fit the weights.
        """
        audio = self._decode(np.zeros((1, 2), np.int32))[0]
        if len(audio) != 2 * self.hop or not np.isfinite(audio).all():
            raise ModelError(
                f"its settings do not fit its weights: 2 codes became {len(audio)} samples instead of "
                f"{2 * self.hop}, or not finite ones"
            )

    @property
    def frame_rate(self) -> float:
        """Codes per second."""
        return self.sample_rate / self.hop

    @torch.inference_mode()
    def encode(self, audio: Audio) -> Codes:
        """Encodes speech.

        Args:
            audio: float32 mono [samples] at `sample_rate`.

        Returns:
            int32 [samples // hop + 1]: the feature extractor appends a sample, as in Llasa's training.
        """
        samples = torch.from_numpy(np.array(audio))  # a copy: read-only arrays make torch warn
        inputs = self._features(samples, sampling_rate=self.sample_rate, return_tensors="pt")
        codes = self._model.encode(**inputs.to(self._model.device)).audio_codes
        return np.asarray(codes[0, 0].cpu().numpy(), dtype=np.int32)

    def decode(self, rows: Sequence[Codes], context: Codes | NDArray[np.int32] | None = None) -> list[Audio]:
        """Decodes several rows of codes.

        Rows of equal length are decoded together and none is padded, because padding would change the audio.
        The last 50 codes of the context are decoded before each row, and their samples are removed.

        Args:
            rows: codes [frames] each.
            context: codes spoken before, [frames] for all rows or [rows, frames] for each, or None.

        Returns:
            float32 [frames * hop] for each row.
        """
        before = np.zeros((0,), np.int32) if context is None else context[..., -CONTEXT_FRAMES:]
        before = np.broadcast_to(before, (len(rows), before.shape[-1]))
        by_length: dict[int, list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            by_length[len(row)].append(index)
        speech: dict[int, Audio] = {index: np.zeros(0, np.float32) for index in by_length.pop(0, [])}
        for length, group in by_length.items():
            at_once = max(1, FRAMES_PER_CALL // (before.shape[1] + length))
            for start in range(0, len(group), at_once):
                some = group[start : start + at_once]
                codes = np.stack([np.concatenate((before[index], rows[index])) for index in some])
                speech.update(zip(some, self._decode(codes)[:, before.shape[1] * self.hop :], strict=True))
        return [speech[index] for index in range(len(rows))]

    def flops(self, frames: int) -> float:
        """Returns the FLOPs of decoding `frames` frames: two for each weight, without attention."""
        decoding = (self._model.quantizer, self._model.acoustic_decoder)
        return 2.0 * frames * sum(weight.numel() for module in decoding for weight in module.parameters())

    @torch.inference_mode()
    def _decode(self, codes: NDArray[np.int32]) -> NDArray[np.float32]:
        if codes.min() < 0 or codes.max() >= self.codebook_size:
            raise ModelError(f"codes outside 0..{self.codebook_size - 1}: from another codec?")
        if codes.size == 1:  # torch refuses to normalise a single value
            return self._decode(codes.repeat(2, axis=0))[:1]
        batch = torch.from_numpy(codes).long().unsqueeze(1).to(self._model.device)
        audio = self._model.decode(batch).audio_values[:, 0].float().cpu().numpy()
        return np.asarray(audio, dtype=np.float32)
