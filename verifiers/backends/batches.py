"""Functions for verifiers with a model: audio at 16 kHz, cached embeddings, batches, windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.audio import resampled
from llasa_search.candidate import Utterance
from llasa_search.text.language import has_spaces

BATCH = 16
HOP = 160
"""Samples between two frames, 10 ms."""

CACHED_EMBEDDINGS = 64


def at_16k(utterance: Utterance) -> Audio:
    """Returns the utterance's audio, float32 mono [samples] at 16 kHz.

    Raises:
        InputError: it has NaN or infinite samples.
    """
    return resampled(utterance.audio, utterance.sample_rate)


class Embeddings:
    """Embeddings of reference recordings, each computed once; the 64 used last are kept.

    Args:
        embed: returns the embedding of audio, float32 mono [samples] at 16 kHz.
    """

    def __init__(self, embed: Callable[[Audio], NDArray[np.float64]]) -> None:
        self._embed = embed
        self._cache: dict[str, NDArray[np.float64]] = {}

    def __call__(self, key: str, audio: Audio) -> NDArray[np.float64]:
        """Returns the embedding of `audio`, which `key` identifies."""
        found = self._cache.pop(key, None)
        if found is None:
            found = self._embed(audio)
        self._cache[key] = found  # at the end
        for old in list(self._cache)[:-CACHED_EMBEDDINGS]:
            self._cache.pop(old, None)  # another thread may have done so
        return found


def equal_length_batches(audios: Sequence[Audio]) -> Iterator[list[int]]:
    """Yields the indices of at most 16 recordings of equal length: padding would change the results.

    >>> list(equal_length_batches([np.zeros(n, np.float32) for n in (3, 5, 3)]))
    [[0, 2], [1]]
    """
    places: dict[int, list[int]] = {}
    for i, audio in enumerate(audios):
        places.setdefault(len(audio), []).append(i)
    for same in places.values():
        for start in range(0, len(same), BATCH):
            yield same[start : start + BATCH]


def windows(audio: Audio, size: int, piece: int | None = None) -> Iterator[Audio]:
    """Yields the pieces of audio [samples], cut at the quietest point in the last quarter of each piece.

    Args:
        audio: yielded whole if it has at most `size` samples.
        size: in samples.
        piece: samples of the longest piece of longer audio; None takes `size`.

    >>> [len(piece) for piece in windows(np.zeros(20_000, np.float32), 16_000)]
    [12000, 8000]
    """
    size = len(audio) if len(audio) <= size else piece or size
    while len(audio) > size:
        frames = audio[size - size // 4 : size]
        frames = frames[: len(frames) // HOP * HOP].reshape(-1, HOP)
        # Energy of 50 ms around each frame, whose minimum is in a pause and not at a zero crossing.
        energies = np.convolve(np.square(frames, dtype=np.float64).sum(axis=1), np.ones(5), mode="same")
        cut = size - size // 4 + HOP * int(energies.argmin())
        yield audio[:cut]
        audio = audio[cut:]
    if len(audio):
        yield audio


def transcribe_windows(
    audios: Sequence[Audio],
    language: str,
    window: int,
    transcribe: Callable[[list[Audio]], list[str]],
    piece: int | None = None,
) -> list[str]:
    """Transcribes recordings of any length with a recogniser that reads one window at a time.

    Args:
        audios: float32 mono [samples] at 16 kHz, each of its own length. All of it is transcribed.
        language: that is spoken.
        window: samples that the recogniser reads at once.
        transcribe: returns the transcripts of at most 16 pieces, none longer than the window.
        piece: samples of the longest piece of a recording that exceeds the window; None takes the window.
    """
    pieces = [(i, part) for i, audio in enumerate(audios) for part in windows(audio, window, piece)]
    texts = [""] * len(pieces)
    # The recordings of a batch of similar lengths end at about the same step.
    order = sorted(range(len(pieces)), key=lambda j: len(pieces[j][1]))
    for batch in (order[start : start + BATCH] for start in range(0, len(order), BATCH)):
        for j, text in zip(batch, transcribe([pieces[j][1] for j in batch]), strict=True):
            texts[j] = text
    parts: list[list[str]] = [[] for _ in audios]
    for (i, _), text in zip(pieces, texts, strict=True):
        parts[i].append(text)
    return [(" " if has_spaces(language) else "").join(filter(None, each)) for each in parts]
