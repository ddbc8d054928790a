"""Decodes a search's speech codes to audio, counts the cost, and measures it for the budget's reserve."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio, Codes
from llasa_search.budget import BudgetTracker
from llasa_search.candidate import Candidate
from llasa_search.llasa.codec import CONTEXT_FRAMES
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa


class SpeechDecoder:
    """Decodes the rows and candidates of one prompt, after the codes of the voice prompt and the history.

    Args:
        llasa: has the codec.
        prompt: its voice and its history are the context.
        tracker: its ledger counts seconds and FLOPs; its reserve holds the cost of the longest candidate.
        longest: frames of the longest candidate.
    """

    def __init__(self, llasa: Llasa, prompt: Prompt, tracker: BudgetTracker, longest: int) -> None:
        self._llasa, self._prompt, self._tracker, self._longest = llasa, prompt, tracker, longest
        self.sample_rate, self.frame_rate = llasa.sample_rate, llasa.frame_rate

    @cached_property
    def context(self) -> Codes:
        """Codes of the voice prompt and the history, int32 [frames]."""
        history = [step.codes for step in self._prompt.history]
        return np.concatenate([self._llasa.voice_codes(self._prompt.voice), *history]).astype(np.int32)

    def finished(self, candidates: Sequence[Candidate]) -> list[Audio]:
        """Audio of candidates, float32 mono [samples] each, read-only, also kept in `Candidate.audio`.

        Raises:
            BudgetSpent: the wall limit has passed; some of the candidates may have been decoded.
        """
        new = [candidate for candidate in candidates if candidate.audio is None]
        speech = self._decode([candidate.codes for candidate in new], self.context)
        for candidate, audio in zip(new, speech, strict=True):
            candidate.audio = audio
        return [candidate.audio for candidate in candidates if candidate.audio is not None]

    def after_limit(self, candidate: Candidate) -> None:
        """Decodes a candidate in one call, also when the wall limit has passed."""
        if candidate.audio is None:
            candidate.audio = self._call([candidate.codes], self.context)[0]

    def partial(self, codes: NDArray[np.int32], window_seconds: float | None = None) -> list[Audio]:
        """Audio of unfinished rows, float32 mono [samples] each, read-only.

        Args:
            codes: of rows of this prompt so far, int32 [rows, frames].
            window_seconds: decode only so much of the end; None decodes all.

        Raises:
            BudgetSpent: the wall limit has passed.
        """
        frames = None if window_seconds is None else ceil(window_seconds * self.frame_rate)
        return list(self._decode(*split_at_end(codes, self.context, frames)))

    def _decode(self, rows: Sequence[Codes], context: NDArray[np.int32]) -> Iterator[Audio]:
        """Yields audio after `context`, [frames], or [rows, frames] for one per row; the context's audio is removed."""
        tracker, done = self._tracker, 0
        while done < len(rows):
            per_row = self._before(context) + max(map(len, rows))
            size = max(1, tracker.call_size("codec", len(rows) * per_row) // max(1, per_row))
            part = slice(done, done + size)
            with tracker.call("codec", per_row * len(rows[part])):
                speech = self._call(rows[part], context if context.ndim == 1 else context[part])
            yield from speech
            done += size

    def _call(self, rows: Sequence[Codes], context: NDArray[np.int32]) -> list[Audio]:
        """Calls the codec once, and counts the cost."""
        codec, start, ledger = self._llasa.codec, time.perf_counter(), self._tracker.ledger
        with ledger.stage("codec"):
            speech = codec.decode(rows, context)
        before = self._before(context)
        if frames := sum(before + len(row) for row in rows if len(row)):
            per_frame = (time.perf_counter() - start) / frames
            self._tracker.reserve.codec_seconds = per_frame * (before + self._longest)
            ledger.add_flops("codec", codec.flops(frames))
        for audio in speech:
            audio.flags.writeable = False
        return speech

    def _before(self, context: NDArray[np.int32]) -> int:
        """Frames of the context that are decoded before a row."""
        return min(CONTEXT_FRAMES, int(context.shape[-1]))


def split_at_end(
    codes: NDArray[np.int32], before: Codes, frames: int | None
) -> tuple[list[Codes], NDArray[np.int32]]:
    """Splits rows into their last `frames` codes and the context of these, int32 [rows, context].

    Args:
        codes: of unfinished rows, [rows, length].
        before: codes that come before all of them, [context].
        frames: how many are decoded; None for all.
    """
    rows, length = codes.shape
    start = 0 if frames is None else max(0, length - frames)
    context = np.concatenate((np.broadcast_to(before, (rows, len(before))), codes[:, :start]), axis=1)
    return list(codes[:, start:]), context
