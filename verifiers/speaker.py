"""Speaker similarity: cosine between speaker embeddings of the speech and of the voice prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.loading import stored_scale
from llasa_search.checkpoints.locks import loaded_once
from llasa_search.checkpoints.names import resolve_name
from llasa_search.errors import InputError
from llasa_search.verifiers.backends.batches import Embeddings, at_16k
from llasa_search.verifiers.backends.speaker_encoders import Kind, SpeakerEncoder, kind_of
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice

SCALES: dict[Kind, tuple[float, float]] = {
    "ecapa": (0.0, 0.8),
    "xvector": (0.72, 1.0),
    "wavlm_ecapa": (0.2, 0.9),
}
"""(worst, best) cosine by kind of checkpoint. The ends are our choice, around published values.

ECAPA-TDNN: speechbrain's threshold for "same speaker" is 0.25, and different speakers are at about 0.
WavLMForXVector: the threshold on the model card of microsoft/wavlm-base-plus-sv is 0.86, the middle of the range.
The checkpoint of seed-tts-eval: recordings of one speaker are at 0.73 (English) and 0.755 (Chinese) there (arXiv
2406.02430), Llasa-1B at 0.57 and 0.67, and at 0.78 and 0.82 with search (arXiv 2502.04128).
"""


class SpeakerSimilarity(Verifier):
    """Cosine between speaker embeddings of the speech and of the voice prompt, from -1 to 1.

    Args:
        model: "tiny", the embedded one for its synthetic voices; a speechbrain ECAPA-TDNN or a transformers
            `WavLMForXVector`, by hub id or folder, such as "speechbrain/spkrec-ecapa-voxceleb"; or the path
            of the checkpoint that seed-tts-eval and the paper use (`wavlm_large_finetune.pth`). The scale
            depends on the kind of checkpoint; the `scale.json` of a checkpoint folder takes precedence.
        reference: "original", the prompt's recording (sim-o); or "resynthesis", that recording encoded and
            decoded by the codec (sim-r), which excludes losses of the codec from the comparison.

    Raises:
        InputError: there is no such reference.
    """

    needs = frozenset({"voice"})
    partial = True
    min_seconds = 0.5
    window_seconds = 4.0
    family = "speaker-embedding"
    _part = "speaker"

    def __init__(
        self,
        model: str = "tiny",
        reference: Literal["original", "resynthesis"] = "original",
    ) -> None:
        if reference not in ("original", "resynthesis"):
            raise InputError(f"reference={reference!r}: take 'original' or 'resynthesis'")
        self.model = str(model)
        self.reference = reference
        if reference == "resynthesis":
            self.needs = frozenset({"voice", "resynthesis"})
        self._checkpoint = resolve_name(self.model, self._part)
        self.scale = stored_scale(self._checkpoint) or SCALES[kind_of(self._checkpoint)]
        self._voices = Embeddings(self._embed)

    @loaded_once
    def _encoder(self) -> SpeakerEncoder:
        encoder = SpeakerEncoder(self._checkpoint, self.device)
        # The kind of a checkpoint from a hub is certain only now.
        self.scale = stored_scale(self._checkpoint) or SCALES[encoder.kind]
        return encoder

    def load(self) -> None:
        _ = self._encoder

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._recording(prompt.voice)

    def flops(self, seconds: float) -> float:
        return self._encoder.flops(seconds)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        voices = np.stack([self._reference_embedding(utterance.voice) for utterance in utterances])
        embeddings = self._encoder.embed([at_16k(utterance) for utterance in utterances])
        return [Score(float(cosine)) for cosine in (embeddings * voices).sum(axis=1)]

    def _reference_embedding(self, voice: Voice | None) -> NDArray[np.float64]:
        return self._voices(*self._recording(voice))

    def _embed(self, audio: Audio) -> NDArray[np.float64]:
        (embedding,) = self._encoder.embed([audio])
        return np.asarray(embedding)

    def _recording(self, voice: Voice | None) -> tuple[str, Audio]:
        """Returns the reference and a key that identifies it."""
        if voice is None:
            raise InputError(
                f"{self} compares with a reference voice: give a prompt recording, or leave it out"
            )
        if self.reference == "original":
            return voice.id, voice.audio
        if voice.resynthesis is None:
            raise InputError(
                f"{self} compares with the resynthesis of the prompt, and there is no codec here: "
                "take reference='original', or set the resynthesis of the Voice"
            )
        # The resynthesis also depends on the codec.
        return f"{voice.id} {hash(voice.resynthesis.tobytes())}", voice.resynthesis
