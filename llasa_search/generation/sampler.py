"""How a strategy gets speech: `Sampler` starts, extends and forks `Rows`, and pays for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING

import torch

from llasa_search.arrays import Audio
from llasa_search.budget import NOTHING, BudgetSpent, BudgetTracker, Need
from llasa_search.candidate import Candidate
from llasa_search.engine.batch import Batch, Finished, Task
from llasa_search.engine.memory import is_out_of_memory, peak_memory, rows_that_fit
from llasa_search.engine.token_sampling import mix
from llasa_search.errors import InputError, ModelError
from llasa_search.generation.rows import Row, Rows, best_live_row, rearranged
from llasa_search.generation.speech_decoder import SpeechDecoder
from llasa_search.generation.state import SearchState
from llasa_search.generation.trace import Trace
from llasa_search.llasa.context_window import fit, within
from llasa_search.sampling import Sampling
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa

CLOCK_TOKENS = 25
"""Limits in seconds are looked at once in so many tokens."""


class Sampler:
    """SpeechDecoder for one prompt, drawn from the language model within a budget.

    Attributes:
        llasa: the model and its codec.
        prompt: what is asked of it.
        sampling: how tokens are drawn.
        seed: root i has the key mix(seed, i), whatever else is sampled.
        tracker: the budget and the ledger.
        minimum, maximum: speech tokens of a candidate, END not counted.
        expected: speech tokens that reading the text usually takes.
        later: tokens that the budget keeps for what is to be said after this prompt's text.
        speech: decodes what candidates and rows say.
    """

    def __init__(
        self,
        llasa: Llasa,
        prompt: Prompt,
        sampling: Sampling,
        seed: int,
        tracker: BudgetTracker,
        later: Need = NOTHING,
    ) -> None:
        """Checks that the prompt fits; runs no model.

        Raises:
            InputError: the voice has no transcript.
        """
        fitted = fit(prompt, sampling, llasa.format, llasa.codec.hop, llasa.frame_rate, llasa.max_length)
        self.llasa, self.prompt, self.sampling = llasa, prompt, sampling
        self.seed, self.tracker, self.later = seed, tracker, later
        self.minimum, self.maximum, self.expected = fitted.minimum, fitted.maximum, fitted.expected
        self.speech = SpeechDecoder(llasa, prompt, tracker, fitted.maximum)
        self._text_ids, self._refusal = fitted.text_ids, fitted.refusal
        self._search = SearchState(prompt.text)
        self._prepared: Task | None = None
        self._at_once = 0

    def at(self, prompt: Prompt, later: Need = NOTHING) -> Sampler:
        """A sampler for another prompt that shares the model, the tracker and all prefilled prompts.

        Args:
            prompt: without the oldest steps of its history where they leave too little room; see `within`.
            later: tokens to keep for what is to be said after its text.

        Raises:
            InputError: as the constructor does; or the text is too long for the model's window.
        """
        llasa = self.llasa
        prompt = within(
            prompt, self.sampling, llasa.format, llasa.codec.hop, llasa.frame_rate, llasa.max_length
        )
        other = Sampler(llasa, prompt, self.sampling, self.seed, self.tracker, later)
        other._require_room()
        other._search = self._search
        return other

    def start(self, n: int, first: int | None = None) -> Rows:
        """Rows without a token yet: the roots `first` .. `first + n - 1`. The prompt is prefilled once.

        Args:
            n: 1 or more.
            first: None for the next index that no candidate of the search has, 0 at the beginning.

        Raises:
            InputError: the text is too long for the model's window, the budget is below the price of one
                candidate, n is below 1, or there is a candidate of one of these indices.
            BudgetSpent: nothing more may be sampled.
        """
        self._require_price()
        first = self._search.next_index if first is None else first
        if not (isinstance(n, Integral) and isinstance(first, Integral) and n >= 1 and first >= 0):
            raise InputError(f"start(n={n!r}, first={first!r}): whole numbers, n 1 or more, first 0 or more")
        limit = self.tracker.stopped_by or self.tracker.reached()
        if limit is not None:
            raise BudgetSpent(limit)
        roots = [Row(index, mix(self.seed, index)) for index in range(first, first + n)]
        for root in roots:
            if root.index in self._search.rows:
                raise InputError(
                    f"start(first={first}): there is a candidate {root.index} already; without `first`, rows "
                    f"get the next indices, from {self._search.next_index}"
                )
        self._search.live = self._batches(roots)
        return Rows(self, roots, self._search.live, 0)

    def extend(
        self, rows: Rows, tokens: int | None = None, back_to: int | None = None
    ) -> tuple[Rows, list[Candidate]]:
        """Samples up to `tokens` more for each row, or all until they end.

        When a limit of the budget is reached on the way, no row comes back as live: what has finished
        counts, and `start` raises from then on.

        Args:
            rows: used up by this.
            tokens: 1 or more; None for all.
            back_to: the length that `rewind` will take the rows back to: the budget then keeps what a row
                needs from there.

        Returns:
            The rows that are still live, and the candidates that have finished, in the order of their ends.

        Raises:
            InputError: `tokens` is no whole number above 0.
            LlasaSearchError: the rows have been used up before.
        """
        if tokens is not None and not (isinstance(tokens, Integral) and tokens >= 1):
            raise InputError(f"extend(tokens={tokens!r}): a whole number, 1 or more, or None for all")
        goal = self.maximum if tokens is None else min(rows.length + tokens, self.maximum)
        waiting, done = rows.take(), list[Batch]()
        finished: list[Candidate] = []
        with self._decoding():
            while waiting:
                self._search.live = waiting + done
                batch = waiting[0]
                if len(batch) and batch.length < goal:
                    if self._limit_reached(batch, back_to):
                        return Rows(self, [], [], goal), finished
                    finished += self._step(waiting)
                else:
                    done.append(waiting.pop(0))
                    if len(waiting) + len(done) > 1:
                        batch.release()  # memory is too short for the caches of all batches
        alive = {name for batch in done for name in batch.names}
        return Rows(self, [row for row in rows.rows if row.index in alive], done, goal), finished

    def select(self, rows: Rows, parents: Sequence[int], why: str = "not selected") -> Rows:
        """Drops, repeats and reorders rows; a repeated row is forked.

        A parent's first child goes on as the parent would have. Child j > 0 is a candidate of its own, with
        a new index and the key mix(parent's key, j, length).

        Args:
            rows: used up by this.
            parents: for each row wanted, the position in `rows` of the one that it continues.
            why: what the trace says of rows that are dropped.

        Raises:
            InputError: a position is none of `rows`.
        """
        wrong = [each for each in parents if not (isinstance(each, Integral) and 0 <= each < len(rows))]
        if wrong:
            raise InputError(f"select: there is no row {wrong[0]!r} among {len(rows)} rows")
        batches = rows.take()
        kept = set(parents)
        dropped = [row.index for place, row in enumerate(rows.rows) if place not in kept]
        self.trace.cut(dropped, rows.length, why)
        count: dict[int, int] = {}
        children: list[Row] = []
        for parent in parents:
            number = count[parent] = count.get(parent, -1) + 1
            row = rows.rows[parent]
            if number:
                row = self._search.fork(row, number, rows.length, self.prompt.text)
            children.append(row)
        wanted = [(rows.rows[parent].index, child) for parent, child in zip(parents, children, strict=True)]
        parts = [part for batch in batches for part in rearranged(batch, wanted, self._at_once)]
        if batches:  # none are left of rows that the budget took away
            self._search.live = parts
        return Rows(self, children, parts, rows.length)

    def rewind(self, rows: Rows, length: int) -> Rows:
        """Takes rows back to their first `length` tokens: what comes after them is sampled, and paid, again.

        Raises:
            InputError: the rows have no so many tokens.
        """
        if not 0 <= length <= rows.length:
            raise InputError(f"rewind(length={length}): the rows have {rows.length} tokens")
        self._search.live = rows.take()
        for batch in self._search.live:
            batch.rewind(length)
        self._search.note_lengths()
        return Rows(self, rows.rows, self._search.live, length)

    @property
    def trace(self) -> Trace:
        """What has become of every row of the search."""
        return self._search.trace

    @property
    def finished(self) -> list[Candidate]:
        """Every candidate of the whole text so far: also those of an `extend` that Ctrl-C cut short."""
        return list(self._search.finished)

    def affordable(self) -> int:
        """Whole candidates that the budget still buys; `sys.maxsize` where no limit counts them.

        Raises:
            InputError: as `start` does, where nothing has been sampled.
        """
        self._require_price()
        return self.tracker.affordable(self.maximum + self.later.most, self.expected + self.later.usual)

    def remaining(self, length: int) -> tuple[int, int]:
        """Tokens that a row of `length` may still need, and that it usually needs, until the text is said."""
        usual = max(CLOCK_TOKENS, self.expected - length)
        return self.maximum - length + self.later.most, usual + self.later.usual

    def finish_best_row(self) -> Candidate | None:
        """Finishes one row from the reserve: of those last alive, the one with the best partial reward.

        Ties, and a search that has not scored unfinished speech, go to the highest mean log-probability. For
        a search that its budget ended before any candidate finished. None if no row is alive.
        """
        found = best_live_row(self._search.live, self.trace.last_reward)
        if found is None:
            return None
        batch, slot = found
        row = self._search.rows[batch.names[slot]]
        batch.rearrange([slot], [row.index], [row.key])
        self._search.live, finished = [], list[Candidate]()
        with self._decoding():
            while not finished:
                finished = self._step([batch])
        return finished[0]

    def spare(self) -> Candidate:
        """A candidate from the reserve, whatever limit is reached: this prompt's live row, else a new one."""
        mine = [batch for batch in self._search.live if len(batch) and batch.task is self._task()]
        index = self._search.next_index
        self._search.live = mine or self._batches([Row(index, mix(self.seed, index))])
        finished_row = self.finish_best_row()
        assert finished_row is not None
        return finished_row

    def count(self, candidate: Candidate) -> Candidate:
        """Notes a finished candidate of the whole text, which a strategy may have joined from steps."""
        self._search.finished.append(candidate)
        self.tracker.ledger.finished += 1
        return candidate

    def audio(self, candidates: Sequence[Candidate]) -> list[Audio]:
        """SpeechDecoder of candidates, float32 mono [samples] each, read-only, also kept in `Candidate.audio`."""
        return self.speech.whole(candidates)

    def _task(self) -> Task:
        """The prompt, prefilled at most once in a search."""
        if self._prepared is None:
            codes = self.speech.context
            ids = (*self._text_ids, *self.llasa.format.speech_ids[codes].tolist())
            prefix = self._search.prefix(ids, self.llasa, self.tracker.ledger)
            self._prepared = Task(
                self.llasa.language_model, prefix, codes, self.sampling, self.minimum, self.maximum
            )
            self._at_once = rows_that_fit(self._prepared.bytes_per_row, self.llasa.language_model.device)
        return self._prepared

    def _batches(self, roots: Sequence[Row]) -> list[Batch]:
        """New rows, as many in a batch as memory has room for."""
        task, size = self._task(), self._at_once
        self._search.begin(roots, self.prompt.text)
        parts = [roots[place : place + size] for place in range(0, len(roots), size)]
        return [Batch(task, [row.index for row in part], [row.key for row in part]) for part in parts]

    def _require_room(self) -> None:
        if self._refusal is not None:
            raise InputError(self._refusal)

    def _require_price(self) -> None:
        self._require_room()
        if not self.tracker.ledger.row_steps:
            self.tracker.require(self.maximum + self.later.most)

    @contextmanager
    def _decoding(self) -> Iterator[None]:
        """Books the block's seconds and memory, and how far each live row has come when it ends."""
        try:
            with self.tracker.ledger.stage("decode"):
                yield
        finally:
            self.tracker.ledger.peak_memory_bytes = peak_memory(self.llasa.language_model.device)
            self._search.note_lengths()

    def _limit_reached(self, batch: Batch, back_to: int | None) -> bool:
        length = batch.length + 1 if back_to is None else min(batch.length + 1, back_to)
        clock = batch.length % CLOCK_TOKENS == 0
        return self.tracker.reached(len(batch), *self.remaining(length), clock) is not None

    def _step(self, queue: list[Batch]) -> list[Candidate]:
        """One step of the first batch; out of memory halves it instead."""
        batch, start = queue[0], time.perf_counter()
        rows, length = len(batch), batch.length
        context = len(batch.task.prefix) + length
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
        self.tracker.ledger.row_steps += rows
        if length:  # the first token is drawn from the prefill's logits
            self.tracker.ledger.add_flops("decode", self.llasa.language_model.flops(rows, context, rows))
        self.tracker.reserve.note_step(rows, time.perf_counter() - start)
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
        self.trace.finish(row.index, len(ended.codes), ended.reason)
        if self.trace.nodes[row.index].text != self.prompt.text:  # the first step of a text, when all ended
            candidate.finish_reason = "length"
        if self.prompt.text == self._search.text and not self.prompt.history:
            self.count(candidate)
        return candidate
