"""Speech recognition with Whisper checkpoints of transformers, such as openai/whisper-large-v3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import RLock
from typing import Any

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE
from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.loading import loading, pick_device, pretrained, use_half
from llasa_search.text.language import LANGUAGES
from llasa_search.verifiers.backends.batches import HOP, transcribe_windows
from llasa_search.verifiers.backends.flops import TOKENS, TOKENS_PER_SECOND, WindowFlops
from llasa_search.verifiers.backends.openai_whisper import MAX_TOKENS_PER_SECOND

# Of the copies of the weights that a repository may have, only the safetensors.
FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "normalizer.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "model.safetensors",
    "model-*.safetensors",
    "model.safetensors.index.json",
)
# openai-whisper's own rule: an English-only vocabulary has 51,864 entries.
MULTILINGUAL_VOCABULARY = 51_865


class TransformersWhisper:
    """A loaded `WhisperForConditionalGeneration`, which transcribes greedily.

    Attributes:
        languages: those that it can write.

    Args:
        folder: with config.json, weights, tokenizer and feature extractor, as `save_pretrained` writes them.
        device: "auto", "cpu", "cuda", ...
        dtype: "float32" for float32 on a GPU too.

    Raises:
        ModelError: something is missing, or it is not a Whisper.
    """

    family = "whisper"

    @explain_missing_imports()
    def __init__(self, folder: Path, device: str = "auto", dtype: str = "auto") -> None:
        import torch
        from transformers import (
            GenerationConfig,
            WhisperFeatureExtractor,
            WhisperForConditionalGeneration,
            WhisperTokenizer,
        )

        self.device = pick_device(device)
        self._lock = RLock()
        self.dtype = torch.float16 if use_half(self.device, dtype) else torch.float32
        with loading(folder):
            self.features: Any = WhisperFeatureExtractor.from_pretrained(folder)
            self.tokenizer: Any = WhisperTokenizer.from_pretrained(folder)
        self.model = pretrained(WhisperForConditionalGeneration, folder, dtype=self.dtype).to(self.device)
        self.window = 2 * self.model.config.max_source_positions * HOP
        stored = self.model.generation_config
        self.flops = WindowFlops(
            self._encode_silence, self._run_decoder, self.window / SAMPLE_RATE, pace=TOKENS_PER_SECOND
        )
        vocabulary = self.model.config.vocab_size
        self.multilingual = bool(getattr(stored, "is_multilingual", vocabulary >= MULTILINGUAL_VOCABULARY))
        known = self.tokenizer.get_vocab()
        several = {code for code in LANGUAGES if f"<|{code}|>" in known}
        self.languages = frozenset(several if self.multilingual else {"en"})
        # Without `begin_suppress_tokens`, which would forbid an empty transcript of silence.
        settings: Any = GenerationConfig  # has no types
        self.model.generation_config = settings(
            suppress_tokens=stored.suppress_tokens,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.eos_token_id,
            decoder_start_token_id=self.tokenizer.convert_tokens_to_ids("<|startoftranscript|>"),
        )

    def clear_cache(self) -> None:
        """Does nothing: it caches no speech."""

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """Returns the transcripts of recordings, "" for one without speech.

        Recordings longer than the window are cut at quiet points; the feature extractor alone would drop
        everything after 30 s.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length.
            language: that is spoken.
        """
        return transcribe_windows(
            audios, language, self.window, lambda pieces: self._transcribe(pieces, language)
        )

    def _transcribe(self, pieces: Sequence[Audio], language: str) -> list[str]:
        """Returns the transcripts of pieces no longer than the window, in one batch."""
        import torch
        from transformers import GenerationMixin

        limits = [8 + MAX_TOKENS_PER_SECOND * len(piece) // SAMPLE_RATE for piece in pieces]
        inputs = self.features(
            list(pieces),
            sampling_rate=SAMPLE_RATE,
            max_length=self.window,
            return_tensors="pt",
            return_attention_mask=True,
        ).to(self.device)
        prompt = self._prompt(language)
        room = self.model.config.max_target_positions - len(prompt)
        with torch.inference_mode(), self._lock:
            # Not Whisper's own `generate`, which handles speech longer than a window, and timestamps.
            rows = GenerationMixin.generate(
                self.model,
                inputs["input_features"].to(self.dtype),
                attention_mask=inputs["attention_mask"],
                decoder_input_ids=torch.tensor([prompt] * len(pieces), device=self.device),
                max_new_tokens=min(max(limits), room),
            )
        special = self.tokenizer.eos_token_id  # the first special token; the others come after it
        texts = []
        for row, limit in zip(rows[:, len(prompt) :].tolist(), limits, strict=True):
            words = [token for token in row[:limit] if token < special]
            texts.append(self.tokenizer.decode(words).strip())
        return texts

    def _encode_silence(self) -> Any:
        import torch

        frames, bands = self.window // HOP, self.model.config.num_mel_bins
        with torch.inference_mode():
            mel = torch.zeros(1, bands, frames, dtype=self.dtype, device=self.device)
            return self.model.get_encoder()(mel)

    def _run_decoder(self, features: Any) -> None:
        import torch

        with torch.inference_mode():
            tokens = torch.zeros(1, TOKENS, dtype=torch.long, device=self.device)
            self.model(encoder_outputs=features, decoder_input_ids=tokens, use_cache=False)

    def _prompt(self, language: str) -> list[int]:
        """Returns the tokens that ask for a transcript in `language` without timestamps."""
        asked = (f"<|{language}|>", "<|transcribe|>") if self.multilingual else ()
        ids = self.tokenizer.convert_tokens_to_ids(["<|startoftranscript|>", *asked, "<|notimestamps|>"])
        return [int(token) for token in ids]
