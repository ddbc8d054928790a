"""What verifiers with a model share: speech at the rate models hear, windows, and batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.audio import resampled
from llasa_search.candidate import Utterance

BATCH = 16
HOP = 160
KEPT = 64


def at_16k(utterance: Utterance) -> Audio:
    """The utterance's audio, float32 mono [samples] at 16 kHz.

    Raises:
        InputError: it holds NaN or infinite samples.
    """
    return resampled(utterance.audio, utterance.sample_rate)


class Embeddings:
    """Embeddings of reference recordings, each computed once: those of the last `KEPT` voices stay.

    Args:
        embed: gives the embedding of audio, float32 mono [samples] at 16 kHz.
    """

    def __init__(self, embed: Callable[[Audio], NDArray[np.float64]]) -> None:
        self._embed = embed
        self._known: dict[str, NDArray[np.float64]] = {}

    def __call__(self, key: str, audio: Audio) -> NDArray[np.float64]:
        """The embedding of `audio`, whose content `key` stands for."""
        if key not in self._known:
            self._known[key] = self._embed(audio)
        found = self._known[key] = self._known.pop(key)
        for old in list(self._known)[:-KEPT]:
            del self._known[old]
        return found


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


def windows(audio: Audio, size: int, piece: int | None = None) -> Iterator[Audio]:
    """Cuts audio [samples] longer than `size` in pieces, at the quietest point of a piece's last quarter.

    Args:
        audio: yielded whole where it is short enough.
        size: samples that may stay whole.
        piece: samples of the longest piece; None takes `size`.

    >>> [len(piece) for piece in windows(np.zeros(20_000, np.float32), 16_000)]
    [12000, 8000]
    """
    size = len(audio) if len(audio) <= size else piece or size
    while len(audio) > size:
        frames = audio[size - size // 4 : size]
        frames = frames[: len(frames) // HOP * HOP].reshape(-1, HOP)
        # Energies of 50 ms around each frame: a pause, not a zero crossing.
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
    decode: Callable[[list[Audio]], list[str]],
    piece: int | None = None,
) -> list[str]:
    """Transcripts of recordings of any length by a recogniser that hears a window at once.

    Args:
        audios: float32 mono [samples] at 16 kHz, each of its own length; nothing of them is left out.
        language: "en" or "zh".
        window: samples that the recogniser hears.
        decode: gives the transcripts of at most 16 pieces, none longer than the window.
        piece: samples of the longest piece of what is longer than the window; None takes the window.
    """
    pieces = [(i, part) for i, audio in enumerate(audios) for part in windows(audio, window, piece)]
    texts = [""] * len(pieces)
    # A batch of similar lengths stops decoding at about the same step.
    order = sorted(range(len(pieces)), key=lambda j: len(pieces[j][1]))
    for batch in (order[start : start + BATCH] for start in range(0, len(order), BATCH)):
        for j, text in zip(batch, decode([pieces[j][1] for j in batch]), strict=True):
            texts[j] = text
    heard: list[list[str]] = [[] for _ in audios]
    for (i, _), text in zip(pieces, texts, strict=True):
        heard[i].append(text)
    return [("" if language == "zh" else " ").join(filter(None, each)) for each in heard]
