"""Trims and joins candidates that were sampled step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llasa_search.audio import FRAME_SECONDS, audible_frames
from llasa_search.candidate import Candidate

EDGE_SECONDS = 0.2
"""Silence kept at each edge of a step: two edges make the pause of a full stop. Our choice."""


def trimmed(step: Candidate, sample_rate: int) -> Candidate:
    """Returns the step with at most 0.2 s of silence at each edge, in codes, log-probabilities and audio.

    A silent step keeps its first 0.2 s.

    Args:
        step: decoded.
        sample_rate: of its audio, in Hz.
    """
    if step.audio is None or not len(step.codes):
        return step
    hop, edge = len(step.audio) // len(step.codes), round(EDGE_SECONDS * sample_rate)
    frame = round(FRAME_SECONDS * sample_rate)
    audible = np.flatnonzero(audible_frames(step.audio, sample_rate))
    first, last = (int(audible[0]), int(audible[-1]) + 1) if len(audible) else (0, 0)
    start, stop = max(0, first * frame - edge) // hop, -(-(last * frame + edge) // hop)
    return replace(
        step,
        codes=step.codes[start:stop],
        logprobs=step.logprobs[: len(step.codes)][start:stop],
        audio=step.audio[start * hop : stop * hop],
    )


def joined(text: str, steps: Sequence[Candidate]) -> Candidate:
    """Returns one candidate for the whole text, with the index of the last step; its audio is not decoded yet.

    Args:
        text: the text of all steps together.
        steps: trimmed, in their order.
    """
    reasons = {step.finish_reason: None for step in steps if step.finish_reason != "stop"}
    return Candidate(
        index=steps[-1].index,
        key=steps[-1].key,
        text=text,
        codes=np.concatenate([step.codes for step in steps]),
        logprobs=np.concatenate([step.logprobs for step in steps]),
        finish_reason=next(iter(reasons), "stop"),
        history=tuple(steps),
    )
