"""From codes to speech, within a search: booked, and timed for what the reserve has to keep."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio, Codes
from llasa_search.budget import Account
from llasa_search.llasa.codec import CONTEXT_FRAMES

if TYPE_CHECKING:
    from llasa_search.llasa.codec import Codec


def decoded(
    rows: Sequence[Codes], context: NDArray[np.int32], codec: Codec, account: Account, longest: int
) -> list[Audio]:
    """Speech of each row, float32 mono [samples], read-only.

    Args:
        rows: codes, [frames] each.
        context: codes that were said before, [frames], or [rows, frames] if each row has its own; their
            samples are cut.
        codec: what decodes.
        account: its ledger books seconds and operations, its reserve the price of the longest candidate.
        longest: frames of that one.
    """
    if not rows:
        return []
    start, ledger = time.perf_counter(), account.ledger
    with ledger.stage("codec"):
        speech = codec.decode(rows, context)
    before = min(CONTEXT_FRAMES, context.shape[-1])
    if frames := sum(before + len(row) for row in rows if len(row)):
        price = (time.perf_counter() - start) / frames
        account.reserve.codec_seconds = price * (before + longest)
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
