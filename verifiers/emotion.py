"""Emotion: does the speech sound like a reference, or like a named emotion?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.audio import read_speech
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.loading import stored_scale
from llasa_search.checkpoints.names import resolve_name
from llasa_search.errors import InputError, short_repr
from llasa_search.registry import suggest
from llasa_search.verifiers.backends.batches import Embeddings, at_16k
from llasa_search.verifiers.backends.emotion2vec import Emotion2Vec
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice


class _Emotion(Verifier):
    """What the two below share: the model, loaded once."""

    partial = True
    min_seconds = 0.5
    window_seconds = 4.0
    family = "emotion2vec"
    part = "emotion"
    model: str
    _loaded: Emotion2Vec | None = None

    def load(self) -> None:
        self._loaded = self._loaded or Emotion2Vec(resolve_name(self.model, self.part))

    def flops(self, seconds: float) -> float:
        return self._emotion2vec.flops(seconds)

    @property
    def _emotion2vec(self) -> Emotion2Vec:
        self.load()
        assert self._loaded is not None
        return self._loaded


class EmotionSimilarity(_Emotion):
    """Cosine between emotion2vec's embeddings of the speech and of a reference, from -1 to 1.

    In the paper plain samples of Llasa are at .77 (English) and .84 (Chinese), recordings of the same emotion
    at .94 (arXiv 2502.04128); the ends of the scale, .5 and 1, are our choice around them. A folder's own
    `scale.json` goes first.

    Args:
        reference: path of a recording in the emotion that is wanted, of any voice; None for the voice prompt.
        model: "tiny", the package's own for its synthetic voices; or an emotion2vec by hub id or folder, such
            as "iic/emotion2vec_plus_large".
    """

    needs = frozenset({"voice"})

    def __init__(self, reference: str | None = None, model: str = "tiny") -> None:
        self.reference = None if reference is None else str(reference)
        if reference is not None:
            self.needs = frozenset()
        self.model = str(model)
        self.scale = stored_scale(resolve_name(self.model, self.part)) or (0.5, 1.0)
        self._recording: Audio | None = None
        self._references = Embeddings(lambda audio: self._emotion2vec.hear([audio])[0].embedding)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._embedded(prompt.voice)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        references = np.stack([self._embedded(utterance.voice) for utterance in utterances])
        heard = self._emotion2vec.hear([at_16k(utterance) for utterance in utterances])
        cosines = (np.stack([each.embedding for each in heard]) * references).sum(axis=1)
        return [Score(float(cosine)) for cosine in cosines]

    def _embedded(self, voice: Voice | None) -> NDArray[np.float64]:
        if self.reference is not None:
            if self._recording is None:
                self._recording = read_speech(self.reference, "the reference of EmotionSimilarity")
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
    """Probability, from 0 to 1, that emotion2vec gives to one emotion; the detail is the likeliest one.

    A probability is its own utility.

    Args:
        label: one of the checkpoint's emotions, such as "happy" ("开心" and "开心/happy" are the same).
        model: "tiny", the package's own for its synthetic voices; or an emotion2vec by hub id or folder, such
            as "iic/emotion2vec_plus_large".
    """

    needs = frozenset()

    def __init__(self, label: str, model: str = "tiny") -> None:
        if not isinstance(label, str):
            raise InputError(f"EmotionProbability({short_repr(label)}): name an emotion, such as 'happy'")
        self.label = label
        self.model = str(model)

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._place()

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        place, labels = self._place(), self._emotion2vec.labels
        scores = []
        for heard in self._emotion2vec.hear([at_16k(utterance) for utterance in utterances]):
            best = int(heard.probabilities.argmax())
            detail = f"likeliest: {labels[best]} {heard.probabilities[best]:.2f}"
            scores.append(Score(float(heard.probabilities[place]), detail))
        return scores

    def _place(self) -> int:
        wanted, names = self.label.strip().lower(), self._emotion2vec.labels
        for i, name in enumerate(names):
            if wanted in (name.lower(), *name.lower().split("/")):
                return i
        raise InputError(
            f"{self.model} knows no emotion {self.label!r}; "
            f"{suggest(wanted, [name.split('/')[-1] for name in names])}"
        )
