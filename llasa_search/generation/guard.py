"""The guard: finds rows that repeat themselves or fall silent while they are sampled.

Such rows usually go on to the longest speech that is allowed. Ending them frees their slots.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio, Codes
from llasa_search.audio import FRAME_SECONDS, audible_frames
from llasa_search.candidate import FinishReason

if TYPE_CHECKING:
    from llasa_search.llasa.codec import Codec

CHECK_TOKENS = 25
"""Rows are checked after every so many tokens. Our choice: half a second of speech."""

SECONDS = 2.5
"""How long a row must repeat itself or be silent. Our choice: longer than the pauses of read speech."""

MEMORY_SECONDS = 2.0
"""A code is repeated if it occurred in so many seconds before. Our choice."""

LOOP, HELD = 0.75, 0.9
"""Shares of repeated codes that end a row: of the codes that differ from the one before, and of all codes. Our choice:
in good recordings they are at most 0.58, where words are repeated, and 0.82, around two long pauses
(measured by examples/benchmarks/guard.py)."""

FEWEST_CHANGES = 25
"""Codes in 2.5 s that must differ from the one before, for their share to count. Our choice."""


class Shares(NamedTuple):
    """Shares of the last 2.5 s of codes that occurred in the 2 s before them, float64 [rows].

    A loop of any period repeats its codes, and so does a held sound that wanders among few codes. In a pause one code
    is held, so it repeats many codes, and few that differ from the one before.

    Attributes:
        held: of all codes.
        changing: of the codes that differ from the one before; 0 where these are fewer than 25.
    """

    held: NDArray[np.float64]
    changing: NDArray[np.float64]


def repeated_shares(codes: NDArray[np.int32], frame_rate: float) -> Shares:
    """Returns how much of the end of each row is repeated.

    Args:
        codes: of rows of at least 2.5 s, int32 [rows, length].
        frame_rate: codes per second.

    >>> loop = np.tile([3, 1, 4, 1, 5], 40)
    >>> repeated_shares(np.stack([loop, np.arange(200)]).astype(np.int32), 50.0).changing.tolist()
    [1.0, 0.0]
    """
    window, memory = round(SECONDS * frame_rate), round(MEMORY_SECONDS * frame_rate)
    missing = max(0, window + memory - codes.shape[1])
    tail = np.pad(codes, ((0, 0), (missing, 0)), constant_values=-1)[:, -(window + memory) :]
    end = tail[:, -window:]
    earlier = np.lib.stride_tricks.sliding_window_view(tail, window, axis=1)[:, :-1]
    repeated = (earlier == end[:, None]).any(axis=1)
    changes = end != earlier[:, -1]
    count = changes.sum(axis=1)
    changing = (repeated & changes).sum(axis=1) / np.maximum(count, 1)
    return Shares(repeated.mean(axis=1), np.where(count < FEWEST_CHANGES, 0.0, changing))


def why_ended(
    codes: NDArray[np.int32], decode: Callable[[Codes], Audio], codec: Codec
) -> dict[int, FinishReason]:
    """Returns "silence" or "loop" for the rows that should end here, by their position.

    Args:
        codes: of unfinished rows of one length, int32 [rows, length].
        decode: returns the audio of one row, float32 [samples], from its codes [length]; called for rows that
            end, because the codec decides what is silent.
        codec: of the codes.
    """
    window = round(SECONDS * codec.frame_rate)
    if codes.shape[1] < window:
        return {}
    # In a small codebook many codes are repeated by chance: the shares are those of the others.
    chance = 1 - (1 - 1 / codec.codebook_size) ** round(MEMORY_SECONDS * codec.frame_rate)
    held, changing = repeated_shares(codes, codec.frame_rate)
    ended = (held >= chance + HELD * (1 - chance)) | (changing >= chance + LOOP * (1 - chance))
    return {
        position: "silence" if _silent_end(decode(codes[position]), codec) else "loop"
        for position in np.flatnonzero(ended).tolist()
    }


def _silent_end(audio: Audio, codec: Codec) -> bool:
    """Whether the last 2.5 s are 40 dB below the loudest frame of the row, or below -60 dB of full scale."""
    audible = audible_frames(audio, codec.sample_rate)
    return not audible[-round(SECONDS / FRAME_SECONDS) :].any()
