"""Speech recognition with openai-whisper checkpoints: loading, windows, batched greedy decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from llasa_search.candidate import Audio
from llasa_search.errors import InputError, ModelError
from llasa_search.registry import suggest

SAMPLE_RATE = 16_000
HOP = 160
BATCH = 16
# More than the letters of the fastest speech: where a decoder that loops is stopped.
TOKENS_PER_SECOND = 25

EMBEDDED = Path(str(files("llasa_search"))) / "tiny" / "asr.pt"


class WhisperASR:
    """A loaded checkpoint.

    Args:
        model: "tiny" (the one in this package), a path to a `.pt` file, or one of openai-whisper's names.

    Attributes:
        spells: whether it writes one token a letter, as ours does; its file then holds `"spelling": True`.
        window: samples that it hears at once.

    Raises:
        InputError: no checkpoint has that name.
        ModelError: the checkpoint cannot be read or downloaded.
    """

    def __init__(self, model: str) -> None:
        import torch
        from whisper.tokenizer import get_tokenizer

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model, self.spells = _load(model, self.device)
        self.tokenizer = get_tokenizer(self.model.is_multilingual, num_languages=self.model.num_languages)
        # The encoder halves the number of mel frames.
        self.window = 2 * self.model.dims.n_audio_ctx * HOP

    def understands(self, language: str) -> bool:
        """Whether the checkpoint can hear `language` ("en" or "zh")."""
        return language == "en" or bool(self.model.is_multilingual)

    def tokenizer_of(self, language: str) -> Any:
        """openai-whisper's tokenizer whose prefix asks for a transcript in `language`."""
        from whisper.tokenizer import get_tokenizer

        return get_tokenizer(
            self.model.is_multilingual,
            num_languages=self.model.num_languages,
            language=language,
            task="transcribe",
        )

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """Transcripts of recordings, "" where nothing is said.

        What is longer than the checkpoint's window is cut at quiet points, and nothing is left out.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length.
            language: "en" or "zh".
        """
        pieces = [(i, piece) for i, audio in enumerate(audios) for piece in windows(audio, self.window)]
        texts = [""] * len(pieces)
        # A batch of similar lengths stops decoding at about the same step.
        order = sorted(range(len(pieces)), key=lambda j: len(pieces[j][1]))
        for batch in (order[start : start + BATCH] for start in range(0, len(order), BATCH)):
            for j, text in zip(batch, self._decode([pieces[j][1] for j in batch], language), strict=True):
                texts[j] = text
        heard: list[list[str]] = [[] for _ in audios]
        for (i, _), text in zip(pieces, texts, strict=True):
            heard[i].append(text)
        return [("" if language == "zh" else " ").join(filter(None, each)) for each in heard]

    def _decode(self, pieces: Sequence[Audio], language: str) -> list[str]:
        """Transcripts of pieces no longer than the window, in one batch."""
        import torch
        import whisper

        dims = self.model.dims
        limits = [8 + TOKENS_PER_SECOND * len(piece) // SAMPLE_RATE for piece in pieces]
        options = whisper.DecodingOptions(
            language=language,
            without_timestamps=True,
            # Otherwise it may not answer silence with nothing.
            suppress_blank=False,
            # Without it, whisper divides by the length of an empty transcript.
            length_penalty=1.0,
            sample_len=min(max(limits), dims.n_text_ctx - 8),
            fp16=self.device == "cuda",
        )
        # One at a time: the loudest frame of a spectrogram sets its floor.
        mels = torch.stack([self.mel(piece) for piece in pieces])
        results = whisper.decode(self.model, mels, options)
        words = self.tokenizer.eot  # the first special token; the others come after it
        return [
            self.tokenizer.decode([token for token in result.tokens[:limit] if token < words]).strip()
            for result, limit in zip(results, limits, strict=True)
        ]

    def mel(self, piece: Audio) -> Any:
        """Log-mel spectrogram of audio [samples], at most one window, padded to the window with silence."""
        import torch
        import whisper

        padded = np.zeros(self.window, np.float32)
        padded[: len(piece)] = piece
        return whisper.log_mel_spectrogram(
            torch.from_numpy(padded), self.model.dims.n_mels, device=self.device
        )


def windows(audio: Audio, size: int) -> Iterator[Audio]:
    """Cuts audio [samples] in pieces of at most `size`, at the quietest point of a piece's last quarter.

    >>> [len(piece) for piece in windows(np.zeros(20_000, np.float32), 16_000)]
    [12000, 8000]
    """
    while len(audio) > size:
        frames = audio[size - size // 4 : size]
        frames = frames[: len(frames) // HOP * HOP].reshape(-1, HOP)
        # Energies of 50 ms around each frame: a pause, not a zero crossing.
        energies = np.convolve(np.square(frames, dtype=np.float64).sum(axis=1), np.ones(5), mode="same")
        cut = size - size // 4 + HOP * int(energies.argmin())
        yield audio[:cut]
        audio = audio[cut:]
    if len(audio):
        yield audio


_loaded: WeakValueDictionary[str, WhisperASR] = WeakValueDictionary()


def shared(model: str) -> WhisperASR:
    """The checkpoint, loaded once for all verifiers that hold it at the time."""
    asr = _loaded.get(model) or WhisperASR(model)
    _loaded[model] = asr
    return asr


def _load(model: str, device: str) -> tuple[Any, bool]:
    """The model, and whether it spells."""
    import torch
    import whisper

    if model == "tiny":
        source, advice = str(EMBEDDED), "it should have come with this package; install the package again"
    elif Path(model).is_file():
        source, advice = model, "it is not an openai-whisper checkpoint ({'dims', 'model_state_dict'})"
    elif model in whisper.available_models():
        source, advice = (
            model,
            "it is not on this disk and cannot be downloaded; give the path of its .pt file",
        )
    else:
        hint = suggest(model, ["tiny", *whisper.available_models()])
        raise InputError(f"no speech recogniser {model!r}: neither a file nor a known name; {hint}")
    try:
        # openai-whisper loads with weights_only=True and checks the hash of what it downloads.
        loaded = whisper.load_model(source, device=device).eval()
        is_file = Path(source).is_file()
        return loaded, is_file and "spelling" in torch.load(source, mmap=True, weights_only=True)
    except Exception as error:
        raise ModelError(f"the speech recogniser {model!r} cannot be loaded: {advice} ({error})") from error
