"""Speech recognisers: the one thing that WER asks of them, and which back-end a checkpoint needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

from llasa_search.arrays import Audio
from llasa_search.checkpoints.hub import find_checkpoint
from llasa_search.checkpoints.loading import stated
from llasa_search.checkpoints.names import EMBEDDED, resolve_name
from llasa_search.errors import InputError, ModelError
from llasa_search.registry import suggest

FUNASR = {"paraformer-zh": "funasr/paraformer-zh", "paraformer-en": "funasr/paraformer-en"}
"""funasr's short names, and their places on the Hugging Face hub."""


def family_of(model: str) -> str:
    """What kind of model hears, as far as its name or folder tells; the loaded recogniser knows it surely."""
    said = stated(Path(resolve_name(model, "")) / "config.json", "model_type")
    if said == "wav2vec2" or "wav2vec2" in Path(model).name:
        return "ctc"
    known = (*FUNASR, *FUNASR.values())
    return "paraformer" if model in known or (Path(model) / "config.yaml").is_file() else "whisper"


class ASR(Protocol):
    """A loaded recogniser.

    Attributes:
        family: what kind of model hears, as a verifier's.
    """

    family: str

    def understands(self, language: str) -> bool:
        """Whether it can write `language` ("en" or "zh")."""

    def flops(self, seconds: float) -> float:
        """Floating-point operations for one recording of so many seconds."""

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """What recordings of any length say, "" where nothing.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of its own length.
            language: "en" or "zh".
        """

    def forget(self) -> None:
        """Forgets what it keeps of speech: a search costs the same, whatever has been heard before it."""


_loaded: WeakValueDictionary[str, Any] = WeakValueDictionary()


def load_asr(model: str) -> ASR:
    """The recogniser, loaded once for all verifiers that hold it at the time.

    Args:
        model: "tiny" or "tiny-ctc" (those in this package); one of openai-whisper's names, or the path of its
            `.pt` file; a Whisper or a Wav2Vec2 with CTC of transformers, or a Paraformer of funasr, by folder
            or hub id; "paraformer-zh".

    Raises:
        InputError: there is no such recogniser.
        ModelError: it is not on this computer and cannot be downloaded, or cannot be read.
    """
    asr: ASR = _loaded.get(model) or _open(model)
    _loaded[model] = asr
    return asr


def _open(model: str) -> ASR:
    from llasa_search.verifiers.backends import ctc_model, paraformer, transformers_whisper
    from llasa_search.verifiers.backends import openai_whisper as whisper_asr

    names = whisper_asr.names()
    if model in names or Path(model).is_file():
        return whisper_asr.WhisperASR(model)
    if model not in (*FUNASR, *EMBEDDED) and "/" not in model and not Path(model).exists():
        hint = suggest(model, [*names, *EMBEDDED, *FUNASR])
        raise InputError(f"no speech recogniser {model!r}: neither a path nor a known name; {hint}")
    folder = find_checkpoint(resolve_name(FUNASR.get(model, model), ""), [*transformers_whisper.FILES, *paraformer.FILES])
    kind = stated(folder / "config.json", "model_type")
    if kind == "wav2vec2":
        return ctc_model.CTCModel(str(folder))
    if kind == "whisper":
        return transformers_whisper.TransformersWhisper(folder)
    if "Paraformer" in stated(folder / "config.yaml", "model"):
        return paraformer.Paraformer(folder)
    raise ModelError(
        f"{model} is no speech recogniser: neither a Whisper nor a Wav2Vec2 with CTC of transformers "
        "(config.json with model_type 'whisper' or 'wav2vec2'), nor a Paraformer of funasr (config.yaml), "
        "nor an openai-whisper .pt file"
    )
