"""Speech recognition with faster-whisper: Whisper checkpoints in CTranslate2's format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE
from llasa_search.checkpoints.hub import find_checkpoint
from llasa_search.checkpoints.imports import explain_missing_imports, import_from_extra
from llasa_search.checkpoints.loading import loading, pick_device, use_half
from llasa_search.errors import InputError, ModelError
from llasa_search.registry import suggest
from llasa_search.verifiers.backends.batches import transcribe_windows
from llasa_search.verifiers.backends.openai_whisper import MAX_TOKENS_PER_SECOND

PREFIX = "faster-whisper:"
"""What a model's name begins with, as in "faster-whisper:small"."""

FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")


def is_converted(folder: Path) -> bool:
    """Whether a folder has a Whisper in CTranslate2's format."""
    return (folder / "model.bin").is_file() and any(folder.glob("vocabulary.*"))


class FasterWhisper:
    """A loaded checkpoint, which transcribes greedily in float32, or in float16 on CUDA.

    Attributes:
        languages: those that it can write.

    Args:
        model: one of faster-whisper's names, such as "small"; or a folder or hub id of a converted checkpoint.
        device: "auto", "cpu", "cuda", ...; on MPS, which CTranslate2 does not support, the CPU is used.
        dtype: "float32" for float32 on a GPU too.

    Raises:
        InputError: there is no such name.
        ModelError: the checkpoint is not on this computer and cannot be downloaded, or cannot be read.
    """

    family = "whisper"

    @explain_missing_imports()
    def __init__(self, model: str, device: str = "auto", dtype: str = "auto") -> None:
        import torch

        library = import_from_extra("faster_whisper", "faster-whisper")
        folder = find_checkpoint(_path_or_id(model), FILES)
        if not is_converted(folder) or not (folder / "tokenizer.json").is_file():
            raise ModelError(
                f"{folder} is not a converted Whisper: it needs model.bin, vocabulary.json and tokenizer.json "
                "(ct2-transformers-converter --copy_files tokenizer.json preprocessor_config.json)"
            )
        place = pick_device(device)
        with loading(folder):
            self.model: Any = library.WhisperModel(
                str(folder),
                device="cuda" if place.type == "cuda" else "cpu",
                device_index=place.index or 0,
                compute_type="float16" if use_half(place, dtype) else "float32",
                cpu_threads=torch.get_num_threads(),
                local_files_only=True,
            )
        self.window = self.model.feature_extractor.n_samples
        # Its list has Cantonese, which checkpoints before large-v3 do not know.
        self.languages = frozenset(
            code
            for code in self.model.supported_languages
            if code == "en" or self.model.hf_tokenizer.token_to_id(f"<|{code}|>") is not None
        )

    def clear_cache(self) -> None:
        """Does nothing: it caches no speech."""

    def flops(self, seconds: float) -> float:
        """Returns NaN: CTranslate2 does not count its FLOPs."""
        return math.nan

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """Returns the transcripts of recordings, "" for one without speech.

        Recordings longer than the window are cut at quiet points.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length.
            language: a code of Whisper's.
        """
        return transcribe_windows(
            audios, language, self.window, lambda pieces: self._transcribe(pieces, language)
        )

    def _transcribe(self, pieces: Sequence[Audio], language: str) -> list[str]:
        """Returns the transcripts of pieces no longer than the window, in one batch."""
        limits = [8 + MAX_TOKENS_PER_SECOND * len(piece) // SAMPLE_RATE for piece in pieces]
        prompt = self._prompt(language)
        results = self.model.model.generate(
            self.model.encode(np.stack([self._features(piece) for piece in pieces])),
            [prompt] * len(pieces),
            beam_size=1,
            # CTranslate2 samples at most half of this.
            max_length=2 * min(max(limits), self.model.max_length - len(prompt)),
            # True would forbid an empty transcript of silence.
            suppress_blank=False,
        )
        special = self.model.hf_tokenizer.token_to_id("<|endoftext|>")  # the others come after it
        texts = []
        for result, limit in zip(results, limits, strict=True):
            words = [token for token in result.sequences_ids[0][:limit] if token < special]
            texts.append(self.model.hf_tokenizer.decode(words).strip())
        return texts

    def _features(self, piece: Audio) -> Audio:
        """Returns the log-mel spectrogram [bands, frames] of audio, padded with silence to the window."""
        padded = np.zeros(self.window, np.float32)
        padded[: len(piece)] = piece
        found: Audio = self.model.feature_extractor(padded, padding=0)
        return found

    def _prompt(self, language: str) -> list[int]:
        """Returns the tokens that ask for a transcript in `language` without timestamps."""
        asked = (f"<|{language}|>", "<|transcribe|>") if self.model.model.is_multilingual else ()
        names = ("<|startoftranscript|>", *asked, "<|notimestamps|>")
        return [self.model.hf_tokenizer.token_to_id(name) for name in names]


def _path_or_id(model: str) -> str:
    """Returns the folder or hub id that a name stands for."""
    from faster_whisper.utils import _MODELS

    if "/" in model or Path(model).exists():
        return model
    if model not in _MODELS:
        raise InputError(f"no faster-whisper model {model!r}; {suggest(model, list(_MODELS))}")
    return str(_MODELS[model])
