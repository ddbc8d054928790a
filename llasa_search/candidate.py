"""Candidates, which a search chooses among, and utterances, which verifiers score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio, Codes
from llasa_search.voice import Voice

FinishReason = Literal["stop", "length", "loop", "silence"]
Status = Literal["scored", "failed", "skipped", "abstained"]
SpanKind = Literal["substituted", "deleted", "inserted"]


@dataclass(frozen=True)
class Score:
    """One verifier's score of one utterance.

    Attributes:
        value: in the verifier's own unit (a WER, a cosine); NaN unless `status` is "scored".
        detail: a transcript, for example; the error's text when it failed.
        status: "scored"; "failed" (ranks last); "skipped" (cannot become the best candidate);
            "abstained" (unfinished speech shorter than the verifier's minimum, for which no row is pruned, or
            speech that the verifier itself declined to score).
    """

    value: float
    detail: str = ""
    status: Status = "scored"


@dataclass(frozen=True)
class Span:
    """A part of an utterance that differs from its text.

    Attributes:
        start_seconds, end_seconds: from the beginning of the audio; equal for deleted words.
        kind: "substituted", "deleted" or "inserted".
        expected: words of the text, "" if inserted.
        said: words that were spoken instead, "" if deleted.
    """

    start_seconds: float
    end_seconds: float
    kind: SpanKind
    expected: str = ""
    said: str = ""


def why_unscored(scores: Mapping[str, Score]) -> str:
    """Returns the details of the verifiers that gave no value, by their printed names."""
    unscored = {name: score.detail for name, score in scores.items() if score.status != "scored"}
    reasons = [detail if name in detail else f"{name}: {detail}" for name, detail in unscored.items()]
    return "; ".join(reasons) or "every verifier gave a value that has no utility"


@dataclass(eq=False)
class Candidate:
    """One sampled utterance, or the joined steps of an in-context search. It is equal to itself only.

    Attributes:
        index: its number in the search; with the same seed, it always has the same speech.
        key: the seed key of its row.
        text: the text to speak.
        codes: speech codes [frames], 0-based (not vocabulary ids), 50 per second, without END.
        logprobs: log-probability of each code (and of END, when reached) under the model at
            temperature 1, float32 [frames] or [frames + 1].
        finish_reason: "stop" if the model ended it, "length" if a limit did, "loop" or "silence" if the guard did,
            because it repeated itself or fell silent.
        parent: index of the candidate it was forked from, or None.
        history: candidates of the steps before it (in-context search).
        scores: by the verifier's printed expression.
        reward: the final reward, once known; NaN before.
        audio: float32 [samples] mono, once decoded.
    """

    index: int
    key: int
    text: str
    codes: Codes
    logprobs: NDArray[np.float32]
    finish_reason: FinishReason
    parent: int | None = None
    history: tuple[Candidate, ...] = ()
    scores: dict[str, Score] = field(default_factory=dict)
    reward: float = float("nan")
    audio: Audio | None = None

    def __repr__(self) -> str:
        return (
            f"Candidate({self.index}, {self.text!r:.60}, {len(self.codes)} codes, {self.finish_reason!r}, "
            f"reward={self.reward:.3f})"
        )

    @property
    def mean_logprob(self) -> float:
        """Mean log-probability per token, in nats; NaN for an empty candidate."""
        return float(self.logprobs.mean()) if len(self.logprobs) else float("nan")


@dataclass(frozen=True, eq=False)
class Utterance:
    """What a verifier scores. It is equal to itself only.

    Attributes:
        text: what should be spoken.
        language: a code of Whisper's list, such as "en".
        audio: read-only float32 mono [samples], in [-1, 1].
        sample_rate: in Hz.
        codes: the speech codes it was decoded from, or None for recordings.
        voice: the voice prompt, or None.
        final: False while the speech is unfinished.
        logprobs: as in `Candidate`, or None for recordings.
    """

    text: str
    language: str
    audio: Audio
    sample_rate: int
    codes: Codes | None = None
    voice: Voice | None = None
    final: bool = True
    logprobs: NDArray[np.float32] | None = None

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.sample_rate


def recorded(index: int, text: str, audio: Audio | None) -> Candidate:
    """Returns a candidate that is a recording, without speech codes; `audio` is None if it cannot be read."""
    return Candidate(
        index=index,
        key=0,
        text=text,
        codes=np.zeros(0, np.int32),
        logprobs=np.zeros(0, np.float32),
        finish_reason="stop",
        audio=audio,
    )
