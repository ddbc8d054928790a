"""The state of one search: its rows, prefilled prompts, finished candidates and trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from llasa_search.budget import BudgetTracker
from llasa_search.candidate import Candidate
from llasa_search.engine.batch import Batch
from llasa_search.engine.cache import PrefilledPrompt
from llasa_search.engine.token_sampling import mix
from llasa_search.generation.rows import Row
from llasa_search.generation.trace import Trace

if TYPE_CHECKING:
    from llasa_search.llasa.model import Llasa

FORWARD_PASS = "forward pass"
"""Kind of the calls of the language model; their units of work are tokens."""

PREFIXES = 16
"""Prompts that stay prefilled; the oldest are dropped first. Our choice: in-context steps use a few at once."""


@dataclass
class SearchState:
    """The data that all samplers of one search share.

    Attributes:
        text: the whole text of the search.
        prefixes: prefilled prompts, by their token ids.
        rows: every row so far, by the index of its candidate.
        next_index: the lowest index above those of all rows.
        live: the batches sampled last, which can be finished when a search ends early.
        finished: every finished candidate of the whole text.
        trace: every row's forks, partial rewards and end.
    """

    text: str
    prefixes: dict[tuple[int, ...], PrefilledPrompt] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    next_index: int = 0
    live: list[Batch] = field(default_factory=list)
    finished: list[Candidate] = field(default_factory=list)
    trace: Trace = field(default_factory=Trace)

    def prefix(self, ids: tuple[int, ...], llasa: Llasa, tracker: BudgetTracker) -> PrefilledPrompt:
        """Returns the prefilled prompt of these tokens; prefills it unless it is still stored.

        Raises:
            BudgetSpent: the wall limit has passed.
        """
        if ids not in self.prefixes:
            ledger = tracker.ledger
            with ledger.stage("prefill"):
                self.prefixes[ids] = _prefilled(ids, llasa, tracker)
            ledger.prefills += 1
            ledger.prefill_tokens += len(ids)
            ledger.add_flops("prefill", llasa.language_model.flops(len(ids), len(ids) / 2, 1))
        prefix = self.prefixes[ids]
        for old in list(self.prefixes)[:-PREFIXES]:
            del self.prefixes[old]
        return prefix

    def begin(self, roots: Sequence[Row], text: str) -> None:
        """Records rows of `text` that start without a token."""
        for root in roots:
            self.rows[root.index] = root
            self.next_index = max(self.next_index, root.index + 1)
            self.trace.begin(root.index, text)

    def fork(self, parent: Row, number: int, length: int, text: str) -> Row:
        """Returns a new row: child `number` > 0 of a row that has `length` tokens."""
        fork = Row(self.next_index, mix(parent.key, number, length), parent.index)
        self.rows[fork.index] = fork
        self.next_index += 1
        self.trace.begin(fork.index, text, parent.index, length)
        return fork

    def record_lengths(self) -> None:
        """Records the lengths of live rows in the trace."""
        for batch in self.live:
            self.trace.grow(batch.names, batch.length)


def _prefilled(ids: tuple[int, ...], llasa: Llasa, tracker: BudgetTracker) -> PrefilledPrompt:
    """Runs a prompt: in one call, or under a wall limit in several."""
    prefix: PrefilledPrompt | None = None
    done = 0
    while prefix is None or done < len(ids):
        size = tracker.call_size(FORWARD_PASS, len(ids) - done, first=llasa.language_model.row_multiple)
        part = ids[done : done + size]
        with tracker.call(FORWARD_PASS, len(part)):
            prefix = llasa.language_model.prefill(torch.tensor(part), prefix)
        done += size
    return prefix
