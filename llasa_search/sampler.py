"""How a strategy gets speech: `Sampler` starts, extends and forks `Rows`, and pays for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from llasa_search.budget import Account, BudgetSpent
from llasa_search.candidate import Audio, Candidate, Codes
from llasa_search.errors import InputError, ModelError
from llasa_search.llasa.cache import Prefix
from llasa_search.llasa.codec import CONTEXT_FRAMES
from llasa_search.llasa.draw import mix
from llasa_search.llasa.engine import Batch, Finished, Task
from llasa_search.llasa.memory import is_out_of_memory, peak_memory, rows_that_fit
from llasa_search.llasa.window import fit
from llasa_search.rows import Row, Rows
from llasa_search.sampling import Sampling
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.llasa import Llasa

CLOCK_TOKENS = 25
"""Limits in seconds are looked at once in so many tokens."""


@dataclass
class _Search:
    """What the samplers of one search share.

    Attributes:
        text: the whole text of the search.
        prefixes: prefilled prompts, by their token ids.
        rows: every row there has been, by the index of its candidate.
        live: the batches last seen: what is left to finish when a search ends early.
        finished: every candidate that speaks the whole text.
    """

    text: str
    prefixes: dict[tuple[int, ...], Prefix] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    live: list[Batch] = field(default_factory=list)
    finished: list[Candidate] = field(default_factory=list)

    @property
    def next_index(self) -> int:
        return max(self.rows, default=-1) + 1


class Sampler:
    """Speech for one prompt, drawn from the language model within a budget.

    Attributes:
        llasa: the model and its codec.
        prompt: what is asked of it.
        sampling: how tokens are drawn.
        seed: root i has the key mix(seed, i), whatever else is sampled.
        account: the budget and the ledger.
        minimum, maximum: speech tokens of a candidate, END not counted.
    """

    def __init__(self, llasa: Llasa, prompt: Prompt, sampling: Sampling, seed: int, account: Account) -> None:
        """Checks that prompt and budget fit; runs no model.

        Raises:
            InputError: the voice has no transcript, the text is too long for the model's window, or the
                budget is below the price of one candidate.
        """
        fitted = fit(prompt, sampling, llasa.format, llasa.codec.hop, llasa.frame_rate, llasa.max_length)
        account.require(fitted.maximum)
        self.llasa, self.prompt, self.sampling, self.seed, self.account = (
            llasa,
            prompt,
            sampling,
            seed,
            account,
        )
        self.minimum, self.maximum = fitted.minimum, fitted.maximum
        self._text_ids = fitted.text_ids
        self._search = _Search(prompt.text)
        self._prepared: Task | None = None
        self._at_once = 0

    def at(self, prompt: Prompt) -> Sampler:
        """A sampler for another prompt that shares the model, the account and all prefilled prompts.

        Raises:
            InputError: as the constructor does.
        """
        other = Sampler(self.llasa, prompt, self.sampling, self.seed, self.account)
        other._search = self._search
        return other

    def start(self, n: int, first: int = 0) -> Rows:
        """Rows without a token yet: the roots `first` .. `first + n - 1`. The prompt is prefilled once.

        Raises:
            InputError: n is below 1, or one of these indices belongs to a fork.
            BudgetSpent: nothing more may be sampled.
        """
        if n < 1 or first < 0:
            raise InputError(f"start(n={n}, first={first}): n must be 1 or more, first 0 or more")
        roots = [Row(index, mix(self.seed, index)) for index in range(first, first + n)]
        for root in roots:
            if self._search.rows.setdefault(root.index, root) != root:
                raise InputError(f"start(first={first}): candidate {root.index} is a fork already")
        limit = self.account.stopped_by or self.account.reached()
        if limit is not None:
            raise BudgetSpent(limit)
        task = self._task()
        parts = [roots[place : place + self._at_once] for place in range(0, n, self._at_once)]
        batches = [Batch(task, [row.index for row in part], [row.key for row in part]) for part in parts]
        self._search.live = batches
        return Rows(self, roots, batches, 0)

    def extend(self, rows: Rows, tokens: int | None = None) -> tuple[Rows, list[Candidate]]:
        """Samples up to `tokens` more for each row, or all until they end.

        When a limit of the budget is reached on the way, no row comes back as live: what has finished
        counts, and `start` raises from then on.

        Returns:
            The rows that are still live, and the candidates that have finished, in the order of their ends.
        """
        if tokens is not None and tokens < 1:
            raise InputError(f"extend(tokens={tokens}): sample 1 token or more, or None for all")
        goal = self.maximum if tokens is None else min(rows.length + tokens, self.maximum)
        waiting, done = rows.take(), list[Batch]()
        finished: list[Candidate] = []
        with self.account.ledger.stage("decode"):
            while waiting:
                self._search.live = waiting + done
                batch = waiting[0]
                if len(batch) and batch.length < goal:
                    if self._limit_reached(batch):
                        return Rows(self, [], [], goal), finished
                    finished += self._step(waiting)
                else:
                    done.append(waiting.pop(0))
                    if len(waiting) + len(done) > 1:
                        batch.release()  # memory is too short for the caches of all batches
        self.account.ledger.peak_memory_bytes = peak_memory(self.llasa.decoder.device)
        alive = {name for batch in done for name in batch.names}
        return Rows(self, [row for row in rows.rows if row.index in alive], done, goal), finished

    def select(self, rows: Rows, parents: Sequence[int]) -> Rows:
        """Drops, repeats and reorders rows; a repeated row is forked.

        A parent's first child goes on as the parent would have. Child j > 0 is a candidate of its own, with
        a new index and the key mix(parent's key, j, length).

        Args:
            rows: used up by this.
            parents: for each row wanted, the position in `rows` of the one that it continues.

        Raises:
            InputError: a position is none of `rows`.
        """
        wrong = [parent for parent in parents if not 0 <= parent < len(rows)]
        if wrong:
            raise InputError(f"select: there is no row {wrong[0]} among {len(rows)} rows")
        batches = rows.take()
        count: dict[int, int] = {}
        children: list[Row] = []
        for parent in parents:
            number = count[parent] = count.get(parent, -1) + 1
            row = rows.rows[parent]
            children.append(row if number == 0 else self._fork(row, number, rows.length))
        wanted = [(rows.rows[parent].index, child) for parent, child in zip(parents, children, strict=True)]
        self._search.live = [part for batch in batches for part in self._rearrange(batch, wanted)]
        return Rows(self, children, self._search.live, rows.length)

    @property
    def finished(self) -> list[Candidate]:
        """Every candidate of the whole text so far: also those of an `extend` that Ctrl-C cut short."""
        return list(self._search.finished)

    def affordable(self) -> int:
        """Whole candidates that the budget still buys; `sys.maxsize` where no limit counts them."""
        return self.account.affordable()

    def rescue(self) -> Candidate | None:
        """Finishes one row from the reserve: of those last alive, the likeliest by mean log-probability.

        For a search that its budget ended before any candidate finished. None if no row is alive.
        """
        alive = [batch for batch in self._search.live if len(batch)]
        if not alive:
            return None
        batch = max(alive, key=_best_mean)
        best = int(_means(batch).argmax())
        row = self._search.rows[batch.names[best]]
        batch.rearrange([best], [row.index], [row.key])
        self._search.live, finished = [], list[Candidate]()
        with self.account.ledger.stage("decode"):
            while not finished:
                finished = self._step([batch])
        return finished[0]

    def audio(self, candidates: Sequence[Candidate]) -> list[Audio]:
        """Speech of candidates, float32 mono [samples] each, read-only, also kept in `Candidate.audio`.

        It is decoded after the last codes of this sampler's prompt, whose own samples are cut.
        """
        silent = [candidate for candidate in candidates if candidate.audio is None]
        speech = self._decode([candidate.codes for candidate in silent], self.context_codes)
        for candidate, audio in zip(silent, speech, strict=True):
            candidate.audio = audio
        return [candidate.audio for candidate in candidates if candidate.audio is not None]

    def partial_audio(self, rows: Rows, window_seconds: float | None = None) -> list[Audio]:
        """Speech of unfinished rows, float32 mono [samples] each, read-only; the rows are not used up.

        Args:
            rows: of this sampler.
            window_seconds: decode only so much of the end; None decodes all.
        """
        codes, window = rows.codes, rows.length
        if window_seconds is not None:
            window = min(window, ceil(window_seconds * self.llasa.frame_rate))
        before = np.broadcast_to(self.context_codes, (len(rows), len(self.context_codes)))
        context = np.concatenate((before, codes[:, : rows.length - window]), axis=1)
        return self._decode(list(codes[:, rows.length - window :]), context)

    @property
    def context_codes(self) -> Codes:
        """Codes of the voice prompt and the history: what has been said before."""
        history = [step.codes for step in self.prompt.history]
        return np.concatenate([self.llasa.voice_codes(self.prompt.voice), *history]).astype(np.int32)

    def _task(self) -> Task:
        """The prompt, prefilled at most once in a search."""
        if self._prepared is None:
            codes, ledger = self.context_codes, self.account.ledger
            ids = (*self._text_ids, *self.llasa.format.speech_ids[codes].tolist())
            if ids not in self._search.prefixes:
                with ledger.stage("prefill"):
                    self._search.prefixes[ids] = self.llasa.decoder.prefill(torch.tensor(ids))
                ledger.prefills += 1
                ledger.prefill_tokens += len(ids)
                ledger.add_flops("lm", self.llasa.decoder.flops(len(ids), len(ids) / 2, 1))
            prefix = self._search.prefixes[ids]
            self._prepared = Task(
                self.llasa.decoder, prefix, codes, self.sampling, self.minimum, self.maximum
            )
            self._at_once = rows_that_fit(self._prepared.bytes_per_row, self.llasa.decoder.device)
        return self._prepared

    def _limit_reached(self, batch: Batch) -> bool:
        to_finish = self.maximum - batch.length - 1
        clock = batch.length % CLOCK_TOKENS == 0
        return self.account.reached(len(batch), to_finish, clock) is not None

    def _step(self, queue: list[Batch]) -> list[Candidate]:
        """One step of the first batch; out of memory halves it instead."""
        batch, start = queue[0], time.perf_counter()
        rows, context = len(batch), len(self._text_ids) + batch.length
        ended: list[Finished] | None = None
        try:
            ended = batch.step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if rows == 1:
                raise ModelError("not even one candidate fits into memory: take a smaller model") from error
        if ended is None:  # out here, where the error no longer holds on to the memory
            queue[:1] = batch.split()
            torch.cuda.empty_cache()
            return []
        self.account.ledger.row_steps += rows
        self.account.ledger.add_flops("lm", self.llasa.decoder.flops(rows, context, rows))
        self.account.reserve.step_seconds = time.perf_counter() - start
        return [self._finish(each) for each in ended]

    def _finish(self, ended: Finished) -> Candidate:
        row = self._search.rows[ended.row]
        candidate = Candidate(
            index=row.index,
            key=row.key,
            text=self.prompt.text,
            codes=ended.codes,
            logprobs=ended.logprobs,
            finish_reason=ended.reason,
            parent=row.parent,
        )
        if self.prompt.text == self._search.text and not self.prompt.history:
            self._search.finished.append(candidate)
            self.account.ledger.finished += 1
        return candidate

    def _fork(self, parent: Row, number: int, length: int) -> Row:
        fork = Row(self._search.next_index, mix(parent.key, number, length), parent.index)
        self._search.rows[fork.index] = fork
        return fork

    def _rearrange(self, batch: Batch, wanted: Sequence[tuple[int, Row]]) -> list[Batch]:
        """The batch, now with those rows that continue one of its own; halved where they are too many."""
        slots = {name: slot for slot, name in enumerate(batch.names)}
        mine = [(slots[parent], row) for parent, row in wanted if parent in slots]
        if len(mine) > self._at_once:
            batch.release()
        indices, keys = [row.index for _, row in mine], [row.key for _, row in mine]
        batch.rearrange([slot for slot, _ in mine], indices, keys)
        parts = [batch]
        while len(parts[0]) > self._at_once:
            parts = [half for part in parts for half in part.split()]
        return parts

    def _decode(self, rows: Sequence[Codes], context: NDArray[np.int32]) -> list[Audio]:
        if not rows:
            return []
        start, ledger = time.perf_counter(), self.account.ledger
        with ledger.stage("codec"):
            speech = self.llasa.codec.decode(rows, context)
        self.account.reserve.codec_seconds = (time.perf_counter() - start) / len(rows)
        frames = sum(map(len, rows)) + len(rows) * min(CONTEXT_FRAMES, context.shape[-1])
        ledger.add_flops("codec", self.llasa.codec.flops(frames))
        for audio in speech:
            audio.flags.writeable = False
        return speech


def _means(batch: Batch) -> NDArray[np.float64]:
    """Mean log-probability of each row; 0 before the first token."""
    return np.asarray(batch.logprobs().sum(-1) / max(1, batch.length), np.float64)


def _best_mean(batch: Batch) -> float:
    return float(_means(batch).max())
