"""What verifiers with a model share: speech at the rate models hear, and batches of one length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from llasa_search.candidate import Audio, Utterance
from llasa_search.errors import InputError

SAMPLE_RATE = 16_000
BATCH = 16


def at_16k(utterance: Utterance) -> Audio:
    """The utterance's audio, float32 mono [samples] at 16 kHz.

    Raises:
        InputError: it holds NaN or infinite samples.
    """
    import soxr

    if not np.isfinite(utterance.audio).all():
        raise InputError("audio that holds NaN or infinite samples cannot be judged")
    if utterance.sample_rate == SAMPLE_RATE:
        return utterance.audio
    return np.asarray(soxr.resample(utterance.audio, utterance.sample_rate, SAMPLE_RATE), np.float32)


def of_one_length(audios: Sequence[Audio]) -> Iterator[list[int]]:
    """Places of at most 16 recordings of exactly one length: padding would change what models hear.

    >>> list(of_one_length([np.zeros(n, np.float32) for n in (3, 5, 3)]))
    [[0, 2], [1]]
    """
    places: dict[int, list[int]] = {}
    for i, audio in enumerate(audios):
        places.setdefault(len(audio), []).append(i)
    for same in places.values():
        for start in range(0, len(same), BATCH):
            yield same[start : start + BATCH]
