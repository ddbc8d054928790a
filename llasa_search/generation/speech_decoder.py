"""From codes to speech, within a search: booked, and timed for what the reserve has to keep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio, Codes
from llasa_search.budget import BudgetTracker
from llasa_search.llasa.codec import CONTEXT_FRAMES

if TYPE_CHECKING:
    from llasa_search.candidate import Candidate
    from llasa_search.generation.rows import Rows
    from llasa_search.llasa.model import Llasa
    from llasa_search.voice import Prompt


class SpeechDecoder:
    """What one prompt's candidates and rows sound like, decoded after what has been said before.

    Args:
        llasa: whose codec decodes.
        prompt: its voice and its history are what has been said before.
        tracker: its ledger books seconds and operations, its reserve the price of the longest candidate.
        longest: frames of that one.
    """

    def __init__(self, llasa: Llasa, prompt: Prompt, tracker: BudgetTracker, longest: int) -> None:
        self._llasa, self._prompt, self._tracker, self._longest = llasa, prompt, tracker, longest

    @cached_property
    def context(self) -> Codes:
        """Codes of the voice prompt and the history, int32 [frames]."""
        history = [step.codes for step in self._prompt.history]
        return np.concatenate([self._llasa.voice_codes(self._prompt.voice), *history]).astype(np.int32)

    def whole(self, candidates: Sequence[Candidate]) -> list[Audio]:
        """SpeechDecoder of candidates, float32 mono [samples] each, read-only, also kept in `Candidate.audio`."""
        silent = [candidate for candidate in candidates if candidate.audio is None]
        speech = self._decoded([candidate.codes for candidate in silent], self.context)
        for candidate, audio in zip(silent, speech, strict=True):
            candidate.audio = audio
        return [candidate.audio for candidate in candidates if candidate.audio is not None]

    def partial(self, rows: Rows, window_seconds: float | None = None) -> list[Audio]:
        """SpeechDecoder of unfinished rows, float32 mono [samples] each, read-only; the rows are not used up.

        Args:
            rows: of this prompt.
            window_seconds: decode only so much of the end; None decodes all.
        """
        frames = None if window_seconds is None else ceil(window_seconds * self._llasa.frame_rate)
        return self._decoded(*ends(rows.codes, self.context, frames))

    def _decoded(self, rows: Sequence[Codes], context: NDArray[np.int32]) -> list[Audio]:
        """SpeechDecoder after `context`, [frames], or [rows, frames] if each row has its own; that is cut off."""
        if not rows:
            return []
        codec, start, ledger = self._llasa.codec, time.perf_counter(), self._tracker.ledger
        with ledger.stage("codec"):
            speech = codec.decode(rows, context)
        before = min(CONTEXT_FRAMES, context.shape[-1])
        if frames := sum(before + len(row) for row in rows if len(row)):
            price = (time.perf_counter() - start) / frames
            self._tracker.reserve.codec_seconds = price * (before + self._longest)
            ledger.add_flops("codec", codec.flops(frames))
        for audio in speech:
            audio.flags.writeable = False
        return speech


def ends(
    codes: NDArray[np.int32], before: Codes, frames: int | None
) -> tuple[list[Codes], NDArray[np.int32]]:
    """The last `frames` codes of each row (None: all), and what each has said before them: [rows, context].

    Args:
        codes: of unfinished rows, [rows, length].
        before: codes that come before all of them, [context].
        frames: how many are to be heard.
    """
    rows, length = codes.shape
    start = 0 if frames is None else max(0, length - frames)
    context = np.concatenate((np.broadcast_to(before, (rows, len(before))), codes[:, :start]), axis=1)
    return list(codes[:, start:]), context
