"""Speaker similarity by Resemblyzer: a judge of another model family than `SpeakerSimilarity`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.audio import is_silent
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.imports import import_from_extra
from llasa_search.checkpoints.loading import pick_device
from llasa_search.errors import InputError
from llasa_search.verifiers.backends.batches import Embeddings, at_16k
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice


class ResemblyzerSimilarity(Verifier):
    """Cosine between Resemblyzer's embeddings of the speech and of the voice prompt, from 0 to 1.

    It is a judge: results measured with the verifier that a search has used are biased. The network is an LSTM
    trained with the generalised end-to-end loss (arXiv 1710.10467), unlike any that `SpeakerSimilarity` loads.
    Pauses are left out; speech in which no voice is detected fails. Needs the extra `judges`.

    The ends of the scale, 0.5 and 0.9, are our choice: with clean synthetic recordings, different speakers were
    at 0.46 to 0.65, and the same speaker at 0.81 to 0.88.
    """

    needs = frozenset({"voice"})
    min_seconds = 0.5
    family = "resemblyzer"
    judge = True
    requires = ("resemblyzer",)
    cost = 0.01
    scale = (0.5, 0.9)

    def __init__(self) -> None:
        self._voices = Embeddings(self._embed)

    def load(self) -> None:
        _encoder(self.device)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._reference_embedding(prompt.voice)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        return [
            Score(float(self._embed(at_16k(utterance)) @ self._reference_embedding(utterance.voice)))
            for utterance in utterances
        ]

    def _reference_embedding(self, voice: Voice | None) -> NDArray[np.float64]:
        if voice is None:
            raise InputError(f"{self} compares with a reference voice: give a prompt recording")
        return self._voices(voice.id, voice.audio)

    def _embed(self, audio: Audio) -> NDArray[np.float64]:
        """Returns the embedding [256], of length 1, of audio [samples] at 16 kHz."""
        resemblyzer, encoder = _encoder(self.device)
        # Resemblyzer would divide by the loudness of silence.
        voiced = np.zeros(0) if is_silent(audio) else resemblyzer.preprocess_wav(np.clip(audio, -1, 1))
        if not len(voiced):
            raise InputError(f"{self} detects no voice")
        return np.asarray(encoder.embed_utterance(voiced), np.float64)


@cache
def _encoder(device: str) -> tuple[Any, Any]:
    """Returns the module, and its network with the weights of its wheel."""
    resemblyzer = import_from_extra("resemblyzer", "judges")
    return resemblyzer, resemblyzer.VoiceEncoder(pick_device(device), verbose=False)
