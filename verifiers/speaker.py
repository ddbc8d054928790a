"""Speaker similarity: does the speech have the reference's voice?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.candidate import Score, Utterance
from llasa_search.checkpoints.loading import stored_scale
from llasa_search.checkpoints.names import resolve_name
from llasa_search.errors import InputError
from llasa_search.verifiers.backends.batches import Embeddings, at_16k
from llasa_search.verifiers.backends.speaker_encoders import Kind, kind_of
from llasa_search.verifiers.base import Verifier
from llasa_search.voice import Prompt, Voice

if TYPE_CHECKING:
    from llasa_search.verifiers.backends.speaker_encoders import SpeakerEncoder

SCALES: dict[Kind, tuple[float, float]] = {
    "ecapa": (0.0, 0.8),
    "xvector": (0.72, 1.0),
    "wavlm_ecapa": (0.2, 0.9),
}
"""(worst, best) cosine by kind of checkpoint, about its own landmarks.

ECAPA-TDNN: speechbrain decides "same speaker" from .25 on, and strangers are at about 0. WavLMForXVector: the
threshold on the model card of microsoft/wavlm-base-plus-sv is .86, the middle of the range. The checkpoint of
seed-tts-eval: recordings of one speaker are at .73 (English) and .755 (Chinese) there (arXiv 2406.02430),
Llasa-1B at .57 and .67, searched at .78 and .82 (arXiv 2502.04128). The ends are our choice; a folder's own
`scale.json` goes first.
"""


class SpeakerSimilarity(Verifier):
    """Cosine between speaker embeddings of the speech and of the voice prompt, from -1 to 1.

    Args:
        model: "tiny", the package's own for its synthetic voices; a speechbrain ECAPA-TDNN or a transformers
            `WavLMForXVector`, by hub id or folder, such as "speechbrain/spkrec-ecapa-voxceleb"; or the path
            of the checkpoint that seed-tts-eval and the paper use (`wavlm_large_finetune.pth`).
        reference: "original", the prompt's recording (sim-o); or "resynthesis", the same through the codec
            (sim-r), which leaves the codec's own losses out of the comparison.
    """

    needs = frozenset({"voice"})
    partial = True
    min_seconds = 0.5
    window_seconds = 4.0
    family = "speaker-embedding"
    part = "speaker"

    def __init__(
        self,
        model: str = "tiny",
        reference: Literal["original", "resynthesis"] = "original",
    ) -> None:
        if reference not in ("original", "resynthesis"):
            raise InputError(f"reference={reference!r}: take 'original' or 'resynthesis'")
        self.model = str(model)
        self.reference = reference
        self._checkpoint = resolve_name(self.model, self.part)
        self.scale = stored_scale(self._checkpoint) or SCALES[kind_of(self._checkpoint)]
        self._encoder: SpeakerEncoder | None = None
        self._voices = Embeddings(self._embed)

    @property
    def wants_resynthesis(self) -> bool:
        """Whether a search has to set the resynthesis of its `Voice`."""
        return self.reference == "resynthesis"

    def load(self) -> None:
        from llasa_search.verifiers.backends.speaker_encoders import SpeakerEncoder

        if self._encoder is None:
            self._encoder = SpeakerEncoder(self._checkpoint)
            # Of a hub's checkpoint, the kind is known now.
            self.scale = stored_scale(self._checkpoint) or SCALES[self._encoder.kind]

    def check(self, prompt: Prompt) -> None:
        super().check(prompt)
        self._recording(prompt.voice)

    def flops(self, seconds: float) -> float:
        self.load()
        assert self._encoder is not None
        return self._encoder.flops(seconds)

    def score(self, utterances: Sequence[Utterance]) -> Sequence[Score]:
        self.load()
        assert self._encoder is not None
        voices = np.stack([self._embedded(utterance.voice) for utterance in utterances])
        found = self._encoder.embed([at_16k(utterance) for utterance in utterances])
        return [Score(float(cosine)) for cosine in (found * voices).sum(axis=1)]

    def _embedded(self, voice: Voice | None) -> NDArray[np.float64]:
        recording = self._recording(voice)
        assert voice is not None
        # Another codec makes another resynthesis of the same voice.
        key = voice.id if recording is voice.audio else f"{voice.id} {hash(recording.tobytes())}"
        return self._voices(key, recording)

    def _embed(self, audio: Audio) -> NDArray[np.float64]:
        assert self._encoder is not None
        (embedding,) = self._encoder.embed([audio])
        return np.asarray(embedding)

    def _recording(self, voice: Voice | None) -> Audio:
        if voice is None:
            raise InputError(
                f"{self} compares with a reference voice: give a prompt recording, or leave it out"
            )
        if self.reference == "original":
            return voice.audio
        if voice.resynthesis is None:
            raise InputError(
                f"{self} compares with the prompt as the codec speaks it, and there is no codec here: "
                "take reference='original', or set the resynthesis of the Voice"
            )
        return voice.resynthesis
