"""Speech recognisers: their common interface, and the back-end that each checkpoint needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

from llasa_search.arrays import Audio
from llasa_search.checkpoints.hub import find_checkpoint
from llasa_search.checkpoints.imports import explain_missing_imports
from llasa_search.checkpoints.loading import stated
from llasa_search.checkpoints.locks import loading_lock
from llasa_search.checkpoints.names import EMBEDDED, resolve_name
from llasa_search.errors import InputError, ModelError
from llasa_search.registry import suggest
from llasa_search.verifiers.backends import (
    ctc_model,
    faster_whisper,
    openai_whisper,
    paraformer,
    transformers_whisper,
)

FUNASR = {"paraformer-zh": "funasr/paraformer-zh", "paraformer-en": "funasr/paraformer-en"}
"""Hub ids by funasr's short names."""


def family_of(model: str) -> str:
    """Returns the model family that a name or folder suggests; only the loaded recogniser knows it for certain."""
    kind = stated(Path(resolve_name(model, "")) / "config.json", "model_type")
    if kind == "wav2vec2" or "wav2vec2" in Path(model).name:
        return "ctc"
    known = (*FUNASR, *FUNASR.values())
    return "paraformer" if model in known or (Path(model) / "config.yaml").is_file() else "whisper"


class ASR(Protocol):
    """A loaded recogniser.

    Attributes:
        family: of the model, as a verifier's.
        languages: codes of the languages that it can write.
    """

    family: str
    languages: frozenset[str]

    def flops(self, seconds: float) -> float:
        """Returns the FLOPs for one recording of this length."""

    def transcribe(self, audios: Sequence[Audio], language: str) -> list[str]:
        """Returns the transcripts of recordings, "" for one without speech.

        Args:
            audios: float32 mono [samples] at 16 kHz, each of any length.
            language: that is spoken, one of `languages`.
        """

    def clear_cache(self) -> None:
        """Drops what it caches of speech, so that the cost of a search does not depend on earlier ones."""


_loaded: WeakValueDictionary[tuple[str, str, str], Any] = WeakValueDictionary()


@explain_missing_imports()
def load_asr(model: str, device: str = "auto", dtype: str = "auto") -> ASR:
    """Returns the recogniser; verifiers that use it at the same time share one.

    Args:
        model: "tiny" or "tiny-ctc" (those in this package); one of openai-whisper's names, or the path of its
            `.pt` file; a Whisper or a Wav2Vec2 with CTC of transformers, or a Paraformer of funasr, by folder
            or hub id; "paraformer-zh"; "faster-whisper:small", or the folder of a Whisper in CTranslate2's format.
        device: "auto", "cpu", "cuda", ...
        dtype: "float32" for float32 on a GPU too, where a Whisper otherwise computes in float16.

    Raises:
        InputError: there is no such recogniser or device.
        ModelError: it is not on this computer and cannot be downloaded, or cannot be read, or its library is
            not installed.
    """
    key = model, device, dtype
    with loading_lock:
        asr: ASR = _loaded.get(key) or _load(*key)
        _loaded[key] = asr
        return asr


def _load(model: str, device: str, dtype: str) -> ASR:
    if model.startswith(faster_whisper.PREFIX):
        return faster_whisper.FasterWhisper(model.removeprefix(faster_whisper.PREFIX), device, dtype)
    if faster_whisper.is_converted(Path(model)):
        return faster_whisper.FasterWhisper(model, device, dtype)
    names = openai_whisper.names()
    if model in names or Path(model).is_file():
        return openai_whisper.WhisperASR(model, device, dtype)
    if model not in (*FUNASR, *EMBEDDED) and "/" not in model and not Path(model).exists():
        hint = suggest(model, [*names, *EMBEDDED, *FUNASR])
        raise InputError(f"no speech recogniser {model!r}: neither a path nor a known name; {hint}")
    files = [*transformers_whisper.FILES, *paraformer.FILES]
    folder = find_checkpoint(resolve_name(FUNASR.get(model, model), ""), files)
    kind = stated(folder / "config.json", "model_type")
    if kind == "wav2vec2":
        return ctc_model.CTCModel(str(folder), device)
    if kind == "whisper":
        return transformers_whisper.TransformersWhisper(folder, device, dtype)
    if "Paraformer" in stated(folder / "config.yaml", "model"):
        return paraformer.Paraformer(folder, device)
    raise ModelError(
        f"{model} is not a speech recogniser: neither a Whisper nor a Wav2Vec2 with CTC of transformers "
        "(config.json with model_type 'whisper' or 'wav2vec2'), nor a Paraformer of funasr (config.yaml), "
        "nor an openai-whisper .pt file, nor a Whisper in CTranslate2's format (model.bin)"
    )
