"""Emotion by emotion2vec: similarity to a reference, or probability of a named emotion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.audio import read_speech
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.loading import stored_scale
from llasa_search.checkpoints.locks import loaded_once
from llasa_search.checkpoints.names import resolve_name
from llasa_search.errors import InputError, short_repr
from llasa_search.registry import suggest
from llasa_search.verifiers.backends.batches import Embeddings, at_16k
from llasa_search.verifiers.backends.emotion2vec import Emotion2Vec
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice


class _Emotion(Verifier):
    """Common part of the verifiers below: the model, which is loaded once."""

    partial = True
    min_seconds = 0.5
    window_seconds = 4.0
    family = "emotion2vec"
    _part = "emotion"
    model: str

    @loaded_once
    def _emotion2vec(self) -> Emotion2Vec:
        return Emotion2Vec(resolve_name(self.model, self._part), self.device)

    def load(self) -> None:
        _ = self._emotion2vec

    def flops(self, seconds: float) -> float:
        return self._emotion2vec.flops(seconds)


class EmotionSimilarity(_Emotion):
    """Cosine between emotion2vec's embeddings of the speech and of a reference, from -1 to 1.

    The ends of the scale, 0.5 and 1, are our choice around published values: samples of Llasa without search are
    at 0.77 (English) and 0.84 (Chinese), recordings of the same emotion at 0.94 (arXiv 2502.04128). The
    `scale.json` of a checkpoint folder takes precedence.

    Args:
        reference: path of a recording with the wanted emotion, of any voice; None for the voice prompt.
        model: "tiny", the embedded one for its synthetic voices; or an emotion2vec by hub id or folder, such as
            "iic/emotion2vec_plus_large".
    """

    needs = frozenset({"voice"})

    def __init__(self, reference: str | None = None, model: str = "tiny") -> None:
        self.reference = None if reference is None else str(reference)
        if reference is not None:
            self.needs = frozenset()
        self.model = str(model)
        self.scale = stored_scale(resolve_name(self.model, self._part)) or (0.5, 1.0)
        self._references = Embeddings(self._embed)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._reference_embedding(prompt.voice)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        references = np.stack([self._reference_embedding(utterance.voice) for utterance in utterances])
        results = self._emotion2vec.predict([at_16k(utterance) for utterance in utterances])
        cosines = (np.stack([each.embedding for each in results]) * references).sum(axis=1)
        return [Score(float(cosine)) for cosine in cosines]

    @loaded_once
    def _recording(self) -> Audio | None:
        name = "the reference of EmotionSimilarity"
        return None if self.reference is None else read_speech(self.reference, name)

    def _embed(self, audio: Audio) -> NDArray[np.float64]:
        return self._emotion2vec.predict([audio])[0].embedding

    def _reference_embedding(self, voice: Voice | None) -> NDArray[np.float64]:
        if self._recording is not None:
            key, audio = "", self._recording
        elif voice is not None:
            key, audio = voice.id, voice.audio
        else:
            raise InputError(
                f"{self} has no reference: give a prompt recording, or EmotionSimilarity('ref.wav')"
            )
        if len(audio) < self.min_seconds * Voice.sample_rate:
            raise InputError(f"{self}: its reference is shorter than {self.min_seconds:g} s")
        return self._references(key, audio)


class EmotionProbability(_Emotion):
    """Probability of one emotion by emotion2vec, from 0 to 1; the detail is the most probable emotion.

    The utility is the probability.

    Args:
        label: one of the checkpoint's emotions, such as "happy" ("开心" and "开心/happy" mean the same one).
        model: "tiny", the embedded one for its synthetic voices; or an emotion2vec by hub id or folder, such as
            "iic/emotion2vec_plus_large".

    Raises:
        InputError: the label is not a string.
    """

    needs = frozenset()

    def __init__(self, label: str, model: str = "tiny") -> None:
        if not isinstance(label, str):
            raise InputError(f"EmotionProbability({short_repr(label)}): name an emotion, such as 'happy'")
        self.label = label
        self.model = str(model)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._index()

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        index, labels = self._index(), self._emotion2vec.labels
        scores = []
        for result in self._emotion2vec.predict([at_16k(utterance) for utterance in utterances]):
            best = int(result.probabilities.argmax())
            detail = f"likeliest: {labels[best]} {result.probabilities[best]:.2f}"
            scores.append(Score(float(result.probabilities[index]), detail))
        return scores

    def _index(self) -> int:
        """Returns the index of the label among the checkpoint's."""
        wanted, names = self.label.strip().lower(), self._emotion2vec.labels
        for i, name in enumerate(names):
            if wanted in (name.lower(), *name.lower().split("/")):
                return i
        raise InputError(
            f"{self.model} has no emotion {self.label!r}; "
            f"{suggest(wanted, [name.split('/')[-1] for name in names])}"
        )
