"""Speech recognition with openai-whisper checkpoints: loading, and greedy transcription in batches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from threading import RLock, local
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import numpy as np

from llasa_search.arrays import Audio
from llasa_search.audio import SAMPLE_RATE
from llasa_search.checkpoints.bounds import require_finite
from llasa_search.checkpoints.hub import HUB_SECONDS, announce_download, first_lines
from llasa_search.checkpoints.loading import pick_device, read_weights, use_half
from llasa_search.checkpoints.names import TINY
from llasa_search.checkpoints.settings_files import require_plain_files
from llasa_search.errors import ModelError, short_repr
from llasa_search.text.language import LANGUAGES
from llasa_search.text.spoken_form import letters
from llasa_search.verifiers.backends.batches import HOP, transcribe_windows
from llasa_search.verifiers.backends.flops import LETTERS_PER_SECOND, TOKENS, TOKENS_PER_SECOND, WindowFlops

if TYPE_CHECKING:
    import torch

MAX_TOKENS_PER_SECOND = 25
"""More than the letters of the fastest speech: transcripts that loop are cut there."""

SPELLING_SHARE = 0.7
"""Longest piece of longer speech as a share of the window, for a checkpoint that spells.

The embedded one may loop on longer pieces: concatenated recordings of the dev set have a word error rate of 0.52
in pieces of 10 s, and of 0.15 in pieces of 7 s.
"""


class WhisperASR:
    """A loaded checkpoint.

    Args:
        model: "tiny" (the embedded one), the path of a `.pt` file, or one of openai-whisper's names.
        device: "auto", "cpu", "cuda", ...
        dtype: "float32" for float32 on a GPU too.

    Attributes:
        spells: whether it writes one token per letter, as the embedded one does; its file has the entry
            `"spelling": True`.
        window: samples that it encodes at once.
        piece: samples of the longest piece that longer speech is cut into.
        lock: held while the decoder runs: `whisper.decode` adds hooks to the model.
        languages: those that it can write.

    Raises:
        ModelError: the checkpoint cannot be read or downloaded.
    """

    family = "whisper"

    def __init__(self, model: str, device: str = "auto", dtype: str = "auto") -> None:
        from whisper.tokenizer import get_tokenizer

        self.device = pick_device(device)
        self.model, self.spells = _load(model, self.device)
        self.tokenizer = get_tokenizer(self.model.is_multilingual, num_languages=self.model.num_languages)
        count = self.model.num_languages if self.model.is_multilingual else 1  # 99, or 100 with Cantonese
        self.languages = frozenset(list(LANGUAGES)[:count])
        # The encoder halves the number of mel frames.
        self.window = 2 * self.model.dims.n_audio_ctx * HOP
        self.piece = int(SPELLING_SHARE * self.window) if self.spells else self.window
        self._half = use_half(self.device, dtype)
        self.lock = RLock()
        self._batch = _LastBatch()
        pace = LETTERS_PER_SECOND if self.spells else TOKENS_PER_SECOND
        self._flops = WindowFlops(self._encode_silence, self._run_decoder, self.window / SAMPLE_RATE, pace)

    def flops(self, seconds: float) -> float:
        """Returns the FLOPs for one recording; those of the encoder by the share that the last batch had to encode."""
        with self.lock:
            return self._flops(seconds, self._batch.new_share)

    def clear_cache(self) -> None:
        """Drops the encoded speech of the last batch."""
        self._batch.encoded = {}

    def tokenizer_of(self, language: str) -> Any:
        """Returns openai-whisper's tokenizer whose prefix asks for a transcript in `language`."""
        from whisper.tokenizer import get_tokenizer

        return get_tokenizer(
            self.model.is_multilingual,
            num_languages=self.model.num_languages,
            language=language,
            task="transcribe",
        )

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """Returns the transcripts of recordings, "" for one without speech.

        Recordings longer than the window are cut at quiet points, and all of them is transcribed.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length.
            language: that is spoken.
        """
        return transcribe_windows(
            audios, language, self.window, lambda pieces: self._transcribe(pieces, language), self.piece
        )

    def _transcribe(self, pieces: Sequence[Audio], language: str) -> list[str]:
        """Returns the transcripts of pieces no longer than the window, in one batch."""
        import whisper

        dims = self.model.dims
        limits = [8 + MAX_TOKENS_PER_SECOND * len(piece) // SAMPLE_RATE for piece in pieces]
        options = whisper.DecodingOptions(
            language=language,
            without_timestamps=True,
            # True would forbid an empty transcript of silence.
            suppress_blank=False,
            # None would divide by the length of an empty transcript.
            length_penalty=1.0,
            sample_len=min(max(limits), dims.n_text_ctx - 8),
            fp16=self._half,
        )
        features = self.encode(pieces)
        with self.lock:
            results = whisper.decode(self.model, features, options)
        words = self.tokenizer.eot  # the first special token; the others come after it
        return [
            self.tokenizer.decode([token for token in result.tokens[:limit] if token < words]).strip()
            for result, limit in zip(results, limits, strict=True)
        ]

    def encode(self, pieces: Sequence[Audio]) -> Any:
        """Returns the encoder's output [pieces, frames, width] for pieces no longer than the window.

        The last batch of each thread is cached: `WER` and `TranscriptLikelihood` score the same speech one after
        the other.
        """
        import torch

        keys, encoded = [piece.tobytes() for piece in pieces], self._batch.encoded
        new = {key: piece for key, piece in zip(keys, pieces, strict=True) if key not in encoded}
        known = {key: encoded[key] for key in keys if key not in new}
        if new:
            # One at a time, because the floor of a spectrogram depends on its loudest frame.
            mels = torch.stack([self.mel(piece) for piece in new.values()])
            with torch.no_grad():
                known |= zip(new, self.model.encoder(mels.half() if self._half else mels), strict=True)
        self._batch.encoded = known
        self._batch.new_share = len(new) / max(1, len(known))
        return torch.stack([known[key] for key in keys])

    def _encode_silence(self) -> Any:
        import torch

        with torch.no_grad():
            mel = self.mel(np.zeros(0, np.float32))[None]
            return self.model.encoder(mel.half() if self._half else mel)

    def _run_decoder(self, features: Any) -> None:
        import torch

        with torch.no_grad():
            tokens = torch.zeros(1, TOKENS, dtype=torch.long, device=self.device)
            self.model.decoder(tokens, features.float())

    def mel(self, piece: Audio) -> Any:
        """Returns the log-mel spectrogram of audio [samples], at most one window, padded with silence to the window."""
        import torch
        import whisper

        padded = np.zeros(self.window, np.float32)
        padded[: len(piece)] = piece
        return whisper.log_mel_spectrogram(
            torch.from_numpy(padded), self.model.dims.n_mels, device=self.device
        )


class _LastBatch(local):
    """What the last batch of the current thread leaves behind.

    Attributes:
        encoded: the encoder's output of each piece.
        new_share: the share of its pieces that had to be encoded.
    """

    def __init__(self) -> None:
        self.encoded: dict[bytes, Any] = {}
        self.new_share = 1.0


def names() -> list[str]:
    """Returns openai-whisper's names, where "tiny" is the embedded checkpoint."""
    import whisper

    return ["tiny", *(name for name in whisper.available_models() if name != "tiny")]


def _load(model: str, device: torch.device) -> tuple[Any, bool]:
    """Returns the model, and whether it spells."""
    import torch
    import whisper

    if model == "tiny":
        source, advice = str(TINY / "asr.pt"), "it is missing from this package; install the package again"
    elif Path(model).is_file():
        source, advice = model, "it is not an openai-whisper checkpoint ({'dims', 'model_state_dict'})"
    else:
        source = model
        _announce(model)
        advice = "it is not on this computer and cannot be downloaded; give the path of its .pt file"
    try:
        if Path(source).is_file():
            _check_file(require_plain_files(Path(source)))
        # openai-whisper loads with weights_only=True and checks the hash of what it downloads.
        loaded = whisper.load_model(source, device="cpu", download_root=str(_cache())).eval()
        # A sparse tensor, which MPS does not have.
        loaded.register_buffer("alignment_heads", loaded.alignment_heads.to_dense(), persistent=False)
        require_finite(loaded, source)
        is_file = Path(source).is_file()
        return loaded.to(device), is_file and "spelling" in torch.load(source, mmap=True, weights_only=True)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"the speech recogniser {model!r} cannot be loaded: {advice}{_why(error)}"
        ) from error


def _check_file(path: Path) -> None:
    """Compares the sizes that a file states with those of its weights, before a model is made by them.

    Raises:
        ModelError: they differ.
    """
    content = read_weights(path, mmap=True)
    stated, weights = content["dims"], content["model_state_dict"]
    shapes = {
        "encoder.conv1.weight": ("n_audio_state", "n_mels"),
        "encoder.positional_embedding": ("n_audio_ctx", "n_audio_state"),
        "decoder.token_embedding.weight": ("n_vocab", "n_text_state"),
        "decoder.positional_embedding": ("n_text_ctx", "n_text_state"),
    }
    for name, sizes in shapes.items():
        if tuple(weights[name].shape[:2]) != tuple(stated[size] for size in sizes):
            raise ModelError(f"{path} is damaged: its dims {' and '.join(sizes)} are not those of {name}")
    for part, size in (("encoder", "n_audio_layer"), ("decoder", "n_text_layer")):
        if f"{part}.blocks.{stated[size] - 1}.attn.query.weight" not in weights:
            raise ModelError(f"{path} is damaged: its dims state {size}={short_repr(stated[size])}")


def _cache() -> Path:
    """Returns openai-whisper's own cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))) / "whisper"


def _announce(model: str) -> None:
    """Announces the download of one of openai-whisper's models, if it is not in that library's cache."""
    import whisper

    url = whisper._MODELS[model]
    if (_cache() / Path(url).name).exists():
        return
    try:
        with urlopen(Request(url, method="HEAD"), timeout=HUB_SECONDS) as answer:
            size = int(answer.headers.get("Content-Length", 0))
    except OSError:  # the download itself will say why
        return
    announce_download(f"the speech recogniser {model!r}", size)


def _why(error: Exception) -> str:
    """Returns a library's message, except PyTorch's advice to load a file that may run code."""
    from pickle import UnpicklingError

    return "" if isinstance(error, UnpicklingError) else f" ({first_lines(error)})"


def spelled(text: str, tokenizer: Any) -> list[int]:
    """Returns the tokens of `text` in lower-case letters and apostrophes, with numbers in words.

    Args:
        text: English.
        tokenizer: openai-whisper's.
    """
    return [
        token
        for word in letters(text).split()
        for letter in (f" {word[0]}", *word[1:])
        for token in tokenizer.encode(letter)
    ]
