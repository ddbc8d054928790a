"""Rows of unfinished speech, which strategies pass to the sampler and the scorer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llasa_search.budget import Need
from llasa_search.candidate import Utterance
from llasa_search.engine.batch import Batch
from llasa_search.errors import LlasaSearchError
from llasa_search.generation.speech_decoder import SpeechDecoder
from llasa_search.voice import Prompt


@dataclass(frozen=True)
class Row:
    """A row's index, its seed key, and the index of the row that it was forked from, or None."""

    index: int
    key: int
    parent: int | None = None


class Rows:
    """Unfinished speech: rows of one length, each to become a candidate. `extend` and `select` use them up.

    Attributes:
        rows: index, key and parent of each.
        length: tokens sampled so far, the same in every row.
        need: tokens that one row still needs to finish the text, at most and usually.
    """

    def __init__(
        self,
        prompt: Prompt,
        decoder: SpeechDecoder,
        rows: Sequence[Row],
        batches: Sequence[Batch],
        length: int,
        need: Need,
    ) -> None:
        self._prompt, self._decoder = prompt, decoder
        self.rows = list(rows)
        self.length = length
        self.need = need
        self._batches = [batch for batch in batches if len(batch)]
        self._used = False

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def index(self) -> NDArray[np.int64]:
        """The candidate that each row will be, int64 [rows]."""
        return np.array([row.index for row in self.rows], dtype=np.int64)

    @property
    def parents(self) -> list[int | None]:
        """For each row the index of the row that it was forked from, or None."""
        return [row.parent for row in self.rows]

    @property
    def seconds(self) -> float:
        """Length of the speech so far."""
        return self.length / self._decoder.frame_rate

    @property
    def codes(self) -> NDArray[np.int32]:
        """Speech codes so far, int32 [rows, length]."""
        none = np.zeros((0, self.length), np.int32)
        return np.concatenate([none, *(batch.codes() for batch in self._batches)])[self._order()]

    @property
    def logprobs(self) -> NDArray[np.float32]:
        """Log-probability of each code under the model at temperature 1, float32 [rows, length]."""
        none = np.zeros((0, self.length), np.float32)
        return np.concatenate([none, *(batch.logprobs() for batch in self._batches)])[self._order()]

    def utterances(self, window_seconds: float | None = None) -> list[Utterance]:
        """The rows as verifiers score them, decoded once; the rows are not used up.

        Args:
            window_seconds: decode only so much of the end; None decodes all. Codes and log-probabilities
                are those of all speech so far.
        """
        codes = self.codes
        return [
            Utterance(
                text=self._prompt.text,
                language=self._prompt.language,
                audio=audio,
                sample_rate=self._decoder.sample_rate,
                codes=row,
                voice=self._prompt.voice,
                final=False,
                logprobs=logprobs,
            )
            for audio, row, logprobs in zip(
                self._decoder.partial(codes, window_seconds), codes, self.logprobs, strict=True
            )
        ]

    def take(self) -> list[Batch]:
        """The batches; the rows are used up.

        Raises:
            LlasaSearchError: they have been used up before.
        """
        self._check()
        self._used = True
        return self._batches

    def _order(self) -> list[int]:
        """Returns the position of each row in the concatenated batches."""
        self._check()
        names = [name for batch in self._batches for name in batch.names]
        places = {name: place for place, name in enumerate(names)}
        return [places[row.index] for row in self.rows]

    def _check(self) -> None:
        if self._used:
            raise LlasaSearchError(
                "these Rows were used up by extend or select; use the rows that it returned"
            )


def rearranged(batch: Batch, wanted: Sequence[tuple[int, Row]], at_once: int) -> list[Batch]:
    """Returns the batch with the rows that continue one of its rows, in halves if they are too many.

    Args:
        batch: changed by this.
        wanted: (index of the row that is continued, the row that continues it) pairs, of any batch.
        at_once: rows that fit into memory together.
    """
    slots = {name: slot for slot, name in enumerate(batch.names)}
    mine = [(slots[parent], row) for parent, row in wanted if parent in slots]
    if len(mine) > at_once:
        batch.release()
    indices, keys = [row.index for _, row in mine], [row.key for _, row in mine]
    batch.rearrange([slot for slot, _ in mine], indices, keys)
    parts = [batch]
    while len(parts[0]) > at_once:
        parts = [half for part in parts for half in part.split()]
    return parts


def best_live_row(batches: Sequence[Batch], last_reward: Callable[[int], float]) -> tuple[Batch, int] | None:
    """Returns the batch and the slot of the row to finish if only one can be; None without rows.

    Args:
        batches: live ones; the shorter ones have waited for memory, and need more tokens than the reserve holds.
        last_reward: of a row, by its index; ties go to the highest mean log-probability.
    """
    longest = max((batch.length for batch in batches), default=0)
    alive = [
        (last_reward(name), mean, batch, slot)
        for batch in batches
        if batch.length == longest
        for slot, (name, mean) in enumerate(zip(batch.names, batch.mean_logprobs(), strict=True))
    ]
    return max(alive, key=lambda each: each[:2])[2:] if alive else None
