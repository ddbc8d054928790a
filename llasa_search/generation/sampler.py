"""Sampling for strategies: `Sampler` starts, extends and forks `Rows` within the budget."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from llasa_search.arrays import Audio
from llasa_search.budget import NOTHING, Budget, BudgetSpent, BudgetTracker, Ledger, Need
from llasa_search.candidate import Candidate
from llasa_search.engine.batch import Batch, Finished, Task
from llasa_search.engine.memory import is_out_of_memory, memory_used, rows_that_fit
from llasa_search.engine.token_sampling import mix
from llasa_search.errors import InputError, ModelError, short_repr, warn
from llasa_search.generation.guard import CHECK_TOKENS, why_ended
from llasa_search.generation.rows import Row, Rows, best_live_row, rearranged
from llasa_search.generation.speech_decoder import SpeechDecoder
from llasa_search.generation.state import FORWARD_PASS, SearchState
from llasa_search.generation.trace import Trace
from llasa_search.llasa.context_window import fit, within
from llasa_search.sampling import Sampling
from llasa_search.voice import Prompt

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa

LEAST_TO_FINISH = 25
"""Tokens that a row usually still needs, at least, however long it is. Our choice."""

MOST_ROWS = 1_000_000
"""Of one `start`: their indices and keys alone take 100 MB. Our choice."""


class Sampler:
    """Samples speech for one prompt from the language model, within a budget.

    Attributes:
        llasa: the model and its codec.
        prompt: text, voice and history.
        sampling: how tokens are sampled.
        seed: root i has the key mix(seed, i), independent of all other rows.
        tracker: the budget and the ledger.
        minimum, maximum: fewest and most speech tokens of a candidate, END not counted.
        expected: speech tokens that reading the text usually takes.
        later: tokens that the budget reserves for the text after this prompt's text.
        decoder: decodes rows and candidates to audio.
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
        """Computes the token ids and the limits of the prompt; runs no model.

        Raises:
            InputError: the voice has no transcript.
        """
        fitted = fit(prompt, sampling, llasa.format, llasa.codec.hop, llasa.frame_rate, llasa.max_length)
        self.llasa, self.prompt, self.sampling = llasa, prompt, sampling
        self.seed, self.tracker, self.later = seed, tracker, later
        self.minimum, self.maximum, self.expected = fitted.minimum, fitted.maximum, fitted.expected
        self.decoder = SpeechDecoder(llasa, prompt, tracker, fitted.maximum)
        self._text_ids, self._refusal = fitted.text_ids, fitted.refusal
        self._state = SearchState(prompt.text)
        self._prepared: Task | None = None
        self._at_once = self._roots = 0

    def at(self, prompt: Prompt, later: Need = NOTHING) -> Sampler:
        """Returns a sampler for another prompt that shares the model, the budget and all prefilled prompts.

        Args:
            prompt: the oldest steps of its history are left out where they leave too little room; see `within`.
            later: tokens to reserve for the text after its text.

        Raises:
            InputError: as the constructor; or the text is too long for the model's context window.
        """
        llasa = self.llasa
        prompt = within(
            prompt, self.sampling, llasa.format, llasa.codec.hop, llasa.frame_rate, llasa.max_length
        )
        other = Sampler(llasa, prompt, self.sampling, self.seed, self.tracker, later)
        other._require_room()
        other._state = self._state
        return other

    def start(self, n: int, first: int | None = None) -> Rows:
        """Starts rows without a token: the roots `first` .. `first + n - 1`. The prompt is prefilled once.

        Args:
            n: 1 or more.
            first: None for the next index that no candidate of the search has, 0 at the beginning.

        Raises:
            InputError: the text is too long for the model's context window, the budget is below the cost of
                one candidate, n is below 1, or a candidate has one of these indices.
            BudgetSpent: nothing more may be sampled.
        """
        self._require_affordable()
        first = self._state.next_index if first is None else first
        if not (isinstance(n, Integral) and isinstance(first, Integral) and n >= 1 and first >= 0):
            raise InputError(f"start(n={n!r}, first={first!r}): whole numbers, n 1 or more, first 0 or more")
        if n > MOST_ROWS:
            raise InputError(f"start(n={short_repr(n)}): at most {MOST_ROWS:,} rows")
        limit = self.tracker.stopped_by or self.tracker.reached()
        if limit is not None:
            raise BudgetSpent(limit)
        roots = [Row(index, mix(self.seed, index)) for index in range(first, first + n)]
        for root in roots:
            if root.index in self._state.rows:
                raise InputError(
                    f"start(first={first}): candidate {root.index} exists; without `first`, rows get the next "
                    f"indices, from {self._state.next_index}"
                )
        self._roots += n
        if self.sampling.temperature == 0 and self._roots > 1:
            warn(
                "temperature=0 takes the most probable token each time, so all candidates are the same: take "
                "one candidate (n=1), or a temperature above 0"
            )
        self._state.live = self._batches(roots)
        return self._rows(roots, self._state.live, 0)

    def extend(
        self, rows: Rows, tokens: int | None = None, back_to: int | None = None
    ) -> tuple[Rows, list[Candidate]]:
        """Samples up to `tokens` more tokens for each row, or all until they end.

        When a limit of the budget is reached, no live row is returned: what has finished counts, and
        `start` raises from then on.

        Args:
            rows: used up by this call.
            tokens: 1 or more; None for all.
            back_to: the length that `rewind` will take the rows back to; the budget then reserves the
                tokens that a row needs from there.

        Returns:
            The rows that are still live, and the finished candidates in the order in which they ended.

        Raises:
            InputError: `tokens` is not a whole number above 0.
            LlasaSearchError: the rows were used up before.
        """
        if tokens is not None and not (isinstance(tokens, Integral) and tokens >= 1):
            raise InputError(f"extend(tokens={tokens!r}): a whole number, 1 or more, or None for all")
        goal = self.maximum if tokens is None else min(rows.length + tokens, self.maximum)
        waiting, done = rows.take(), list[Batch]()
        finished: list[Candidate] = []
        with self._sampling_stage():
            while waiting:
                self._state.live = waiting + done
                batch = waiting[0]
                if len(batch) and batch.length < goal:
                    try:
                        self._require_budget(batch, back_to)
                        finished += self._step(waiting)
                    except BudgetSpent:
                        return self._rows([], [], goal), finished
                else:
                    done.append(waiting.pop(0))
                    if sum(map(len, waiting + done)) > self._at_once:
                        batch.release()  # memory does not hold the caches of all batches
        live = {name for batch in done for name in batch.names}
        return self._rows([row for row in rows.rows if row.index in live], done, goal), finished

    def select(self, rows: Rows, parents: Sequence[int], why: str = "not selected") -> Rows:
        """Drops, repeats and reorders rows; a repeated row is forked.

        A parent's first child continues as the parent would have. Child j > 0 is a new candidate, with a new
        index and the key mix(parent's key, j, length).

        Args:
            rows: used up by this call.
            parents: for each new row, the position in `rows` of the row that it continues.
            why: the reason that the trace records for rows that are dropped.

        Raises:
            InputError: a position is not in `rows`.
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
                row = self._state.fork(row, number, rows.length, self.prompt.text)
            children.append(row)
        wanted = [(rows.rows[parent].index, child) for parent, child in zip(parents, children, strict=True)]
        parts = [part for batch in batches for part in rearranged(batch, wanted, self._at_once)]
        if batches:  # there are none when the budget ended the rows
            self._state.live = parts
        return self._rows(children, parts, rows.length)

    def rewind(self, rows: Rows, length: int) -> Rows:
        """Takes rows back to their first `length` tokens; the tokens after them are sampled and counted again.

        Raises:
            InputError: the rows have fewer tokens.
        """
        if not 0 <= length <= rows.length:
            raise InputError(f"rewind(length={length}): the rows have {rows.length} tokens")
        self._state.live = rows.take()
        for batch in self._state.live:
            batch.rewind(length)
        self._state.record_lengths()
        return self._rows(rows.rows, self._state.live, length)

    @property
    def trace(self) -> Trace:
        """The trace of the search."""
        return self._state.trace

    @property
    def budget(self) -> Budget:
        """The limits of the search."""
        return self.tracker.budget

    @property
    def ledger(self) -> Ledger:
        """What the search has spent."""
        return self.tracker.ledger

    @property
    def sample_rate(self) -> int:
        """Of the audio, in Hz."""
        return self.llasa.sample_rate

    @property
    def frame_rate(self) -> float:
        """Speech codes per second."""
        return self.llasa.frame_rate

    @property
    def finished(self) -> list[Candidate]:
        """Every finished candidate of the whole text, including those of an `extend` that Ctrl-C interrupted."""
        return list(self._state.finished)

    def affordable(self) -> int:
        """Returns how many more candidates the budget allows; `sys.maxsize` where no limit applies.

        Raises:
            InputError: as `start`, where nothing has been sampled.
        """
        self._require_affordable()
        return self.tracker.affordable(self.maximum + self.later.most, self.expected + self.later.usual)

    def _need(self, length: int) -> Need:
        """Tokens that a row of `length` still needs, at most and usually, to finish the text."""
        usual = max(LEAST_TO_FINISH, self.expected - length)
        return Need(self.maximum - length + self.later.most, usual + self.later.usual)

    def _rows(self, rows: Sequence[Row], batches: Sequence[Batch], length: int) -> Rows:
        return Rows(self.prompt, self.decoder, rows, batches, length, self._need(length))

    def finish_best_row(self) -> Candidate | None:
        """Finishes one row from the reserve: of the live rows, the one with the best partial reward.

        Ties, and searches that have not scored unfinished speech, go to the highest mean log-probability.
        For a search that its budget ended before any candidate finished. Once the wall limit has passed, the row is
        cut where it is. None if no row is live, or it is to be cut before its first token.
        """
        found = best_live_row(self._state.live, self.trace.last_reward)
        if found is None:
            return None
        batch, slot = found
        row = self._state.rows[batch.names[slot]]
        batch.rearrange([slot], [row.index], [row.key])
        self._state.live, finished = [], list[Candidate]()
        with self._sampling_stage():
            try:
                while not finished:
                    finished = self._step([batch])
            except BudgetSpent:
                cut = batch.end({0: "length"}) if batch.length else []
                finished = [self._finish(each) for each in cut]
        return finished[0] if finished else None

    def finish_from_reserve(self) -> Candidate:
        """Finishes the best live row of this prompt, or else a new one, from the reserve, also after another limit.

        Raises:
            BudgetSpent: the wall limit has passed before the row's first token.
        """
        self.tracker.require_time()
        mine = [batch for batch in self._state.live if len(batch) and batch.task is self._task()]
        index = self._state.next_index
        self._state.live = mine or self._batches([Row(index, mix(self.seed, index))])
        finished_row = self.finish_best_row()
        if finished_row is None:
            raise BudgetSpent("seconds")
        return finished_row

    def count(self, candidate: Candidate) -> None:
        """Counts a finished candidate of the whole text; one that has been counted is not counted again."""
        if all(candidate.index != other.index for other in self._state.finished):
            self._state.finished.append(candidate)
            self.tracker.ledger.finished += 1

    def audio(self, candidates: Sequence[Candidate]) -> list[Audio]:
        """Audio of candidates, float32 mono [samples] each, read-only, also kept in `Candidate.audio`."""
        return self.decoder.finished(candidates)

    def _task(self) -> Task:
        """The prefilled prompt; a search prefills each prompt at most once."""
        if self._prepared is None:
            codes = self.decoder.context
            ids = (*self._text_ids, *self.llasa.format.speech_ids[codes].tolist())
            prefix = self._state.prefix(ids, self.llasa, self.tracker)
            model, clock = self.llasa.language_model, self.tracker.require_time
            self._prepared = Task(model, prefix, codes, self.sampling, self.minimum, self.maximum, clock)
            self._at_once = rows_that_fit(self._prepared.bytes_per_row, model.row_multiple, model.device)
        return self._prepared

    def _batches(self, roots: Sequence[Row]) -> list[Batch]:
        """Starts new rows, as many in a batch as fit into memory."""
        task, size = self._task(), self._at_once
        self._state.begin(roots, self.prompt.text)
        parts = [roots[place : place + size] for place in range(0, len(roots), size)]
        return [Batch(task, [row.index for row in part], [row.key for row in part]) for part in parts]

    def _require_room(self) -> None:
        if self._refusal is not None:
            raise InputError(self._refusal)

    def _require_affordable(self) -> None:
        self._require_room()
        if not self.tracker.ledger.row_steps:
            self.tracker.require(self.maximum + self.later.most)

    @contextmanager
    def _sampling_stage(self) -> Iterator[None]:
        """Counts the block's seconds and memory, and records the length of each live row when it ends."""
        try:
            with self.tracker.ledger.stage("decode"):
                yield
        finally:
            ledger, device = self.tracker.ledger, self.llasa.language_model.device
            ledger.peak_memory_bytes = max(ledger.peak_memory_bytes, memory_used(device))
            self._state.record_lengths()

    def _require_budget(self, batch: Batch, back_to: int | None) -> None:
        length = batch.length + 1 if back_to is None else min(batch.length + 1, back_to)
        limit = self.tracker.reached(len(batch), *self._need(length))
        if limit is not None:
            raise BudgetSpent(limit)

    def _step(self, queue: list[Batch]) -> list[Candidate]:
        """Steps the first batch; halves it instead where a step would take too long, or memory runs out.

        Raises:
            BudgetSpent: the wall limit has passed.
        """
        batch, start = queue[0], time.perf_counter()
        rows, length = len(batch), batch.length
        context = len(batch.task.prefix) + length
        if rows > self.tracker.call_size(FORWARD_PASS, rows, first=self.llasa.language_model.row_multiple):
            queue[:1] = batch.split()
            return []
        ended = self._stepped(batch)
        if ended is None:
            batch.release()
            queue[:1] = batch.split()
            self._at_once = len(queue[0])
            torch.cuda.empty_cache()
            return []
        self.tracker.ledger.row_steps += rows
        if length:  # the first token is sampled from the prefill's logits
            self.tracker.ledger.add_flops("decode", self.llasa.language_model.flops(rows, context, rows))
        self.tracker.reserve.note_step(rows, time.perf_counter() - start)
        finished = [self._finish(each) for each in ended]
        return finished + [self._finish(each) for each in self._guarded(batch)]

    def _guarded(self, batch: Batch) -> list[Finished]:
        """Ends the rows that repeat themselves or are silent."""
        if not self.sampling.guard or batch.length % CHECK_TOKENS or not len(batch):
            return []

        def decode(row: NDArray[np.int32]) -> Audio:
            return self.decoder.partial(row[None])[0]

        try:
            return batch.end(why_ended(batch.codes(), decode, self.llasa.codec))
        except BudgetSpent:  # while decoding: the wall limit ends all rows
            return []

    def _stepped(self, batch: Batch) -> list[Finished] | None:
        """Steps a batch; returns None if memory runs out. (After the return, the error does not keep the memory.)"""
        rows = len(batch)
        try:
            with self.tracker.call(FORWARD_PASS, rows * batch.passes):
                return batch.step()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if rows == 1:
                raise ModelError("not even one candidate fits into memory: use a smaller model") from error
        return None

    def _finish(self, ended: Finished) -> Candidate:
        row = self._state.rows[ended.row]
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
        if self.trace.nodes[row.index].text != self.prompt.text:  # a first step that ended a search
            candidate.finish_reason = "length"
        if self.prompt.text == self._state.text and not self.prompt.history:
            self.count(candidate)
        return candidate
