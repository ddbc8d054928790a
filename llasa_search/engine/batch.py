"""The sampling loop: rows that share a prompt are stepped together until each has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llasa_search.arrays import Codes
from llasa_search.candidate import FinishReason
from llasa_search.engine.cache import KeyValueCache, PrefilledPrompt
from llasa_search.engine.language_model import LanguageModel
from llasa_search.engine.memory import is_out_of_memory
from llasa_search.engine.token_sampling import draw, penalise, signed
from llasa_search.sampling import Sampling

CAPACITY_MULTIPLE = 128
"""Cache lengths are rounded up to this, so that few shapes occur."""


@dataclass(frozen=True)
class Task:
    """The data that all rows of a prompt share.

    Attributes:
        model: the language model.
        prefix: the prefilled prompt.
        prompt_codes: the codes in the prompt (for the repetition penalty).
        sampling: how tokens are sampled.
        minimum: END is forbidden before this many tokens.
        maximum: rows end after this many tokens.
        check: called before each pass over the model that rebuilds a cache; it may raise.
    """

    model: LanguageModel
    prefix: PrefilledPrompt
    prompt_codes: Codes
    sampling: Sampling
    minimum: int
    maximum: int
    check: Callable[[], None] = lambda: None

    @property
    def end(self) -> int:
        """The output that ends speech; the codes come before it."""
        return self.model.outputs - 1

    @property
    def capacity(self) -> int:
        """Cache positions that a row needs; its last token is never fed."""
        return -(-self.maximum // CAPACITY_MULTIPLE) * CAPACITY_MULTIPLE

    @property
    def bytes_per_row(self) -> int:
        """Memory of a row's cache, and of about six copies of its logits and probabilities."""
        return KeyValueCache.bytes_per_row(self.prefix, self.capacity) + 6 * 4 * self.model.outputs

    def slots(self, rows: int) -> int:
        """Returns the number of rows, including unused ones, with which a batch of `rows` is stepped."""
        multiple = self.model.row_multiple
        return -(-rows // multiple) * multiple


class Finished(NamedTuple):
    """A row that has ended: its index, codes, log-probabilities and finish reason."""

    row: int
    codes: Codes
    logprobs: NDArray[np.float32]
    reason: FinishReason


class Batch:
    """Live rows of one length. A row keeps its name (a whole number) when its slot changes.

    A batch without a cache (new, or after `release`) rebuilds it from its tokens when it is next stepped,
    step by step, so that the result is the same bit for bit.

    Attributes:
        names: the rows, in the order of their slots.
        length: tokens sampled so far, the same in every row.
    """

    def __init__(self, task: Task, names: Sequence[int], keys: Sequence[int]) -> None:
        self.task = task
        self.names = list(names)
        self.length = 0
        slots = task.slots(len(self.names))
        device = task.model.device
        self._keys = torch.zeros(slots, dtype=torch.int64, device=device)
        self._keys[: len(self.names)] = torch.tensor([signed(key) for key in keys], dtype=torch.int64)
        self._tokens = torch.zeros(slots, task.maximum, dtype=torch.int64, device=device)
        self._logprobs = torch.zeros(slots, task.maximum, dtype=torch.float32, device=device)
        self._seen: Tensor | None = None
        self._cache: KeyValueCache | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def passes(self) -> int:
        """Passes over the model that the next step takes; the first token is sampled from the prefill's logits."""
        return self.length if self._cache is None else min(1, self.length)

    @torch.inference_mode()
    def step(self) -> list[Finished]:
        """Samples one token for every row; rows that end leave the batch.

        If the model is interrupted or runs out of memory, the batch is unchanged.
        """
        rows = self.task.slots(len(self))
        logits = self._next_logits(rows)
        logprobs = torch.log_softmax(logits, -1)
        tokens = draw(self._allowed(logits), self._keys[:rows], self.length, self.task.sampling)
        self._tokens[:rows, self.length] = tokens
        self._logprobs[:rows, self.length] = logprobs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        self.length += 1
        return self._collect(tokens)

    @torch.inference_mode()
    def rearrange(self, parents: Sequence[int], names: Sequence[int], keys: Sequence[int]) -> None:
        """Replaces the rows by copies of some of them.

        Args:
            parents: for each new row, the slot it continues; a parent's first child must keep its name.
            names, keys: of the new rows.
        """
        seats: dict[int, int] = {}
        sources, targets = [], []
        free = iter(sorted(set(range(len(parents))) - set(parents)))
        order = [0] * len(parents)
        # 1. A first child keeps its parent's slot, unless past the new end; the others take free slots.
        for child, parent in enumerate(parents):
            if parent not in seats and parent < len(parents):
                slot = parent
            else:
                slot = next(free)
                sources.append(parent)
                targets.append(slot)
            seats.setdefault(parent, slot)
            order[slot] = child
        self._reserve(self.task.slots(len(parents)))
        self._copy(sources, targets)
        self.names = [names[child] for child in order]
        new_keys = [signed(keys[child]) for child in order]
        self._keys[: len(parents)] = torch.tensor(new_keys, dtype=torch.int64)

    def rewind(self, length: int) -> None:
        """Drops all tokens after the first `length`."""
        self.length = length
        if self._cache is not None:
            self._cache.length = max(0, length - 1)
        if self._seen is not None:  # it does not record the position of a token
            self.release()

    @torch.inference_mode()
    def split(self) -> tuple[Batch, Batch]:
        """Returns two halves, which share the memory of this batch's cache; this batch is used up."""
        middle = (len(self) + 1) // 2
        if self.task.slots(middle) < len(self):
            middle = self.task.slots(middle)
        else:  # both would need the same slots
            self.release()
        return self._part(0, middle), self._part(middle, len(self))

    def end(self, reasons: Mapping[int, FinishReason]) -> list[Finished]:
        """Ends rows, which leave the batch.

        Args:
            reasons: why, by slot; the last token of a row that stops is END.
        """
        done = sorted(reasons)
        codes, logprobs = self.codes()[done], self.logprobs()[done]
        finished = [
            Finished(self.names[slot], row[:-1] if reasons[slot] == "stop" else row, scores, reasons[slot])
            for slot, row, scores in zip(done, codes, logprobs, strict=True)
        ]
        self._remove(done)
        return finished

    def release(self) -> None:
        """Frees the cache."""
        self._cache, self._seen = None, None

    def codes(self) -> NDArray[np.int32]:
        """Tokens so far, int32 [rows, length], in the order of the slots."""
        return self._tokens[: len(self), : self.length].to("cpu", torch.int32).numpy()

    def logprobs(self) -> NDArray[np.float32]:
        """Log-probabilities of the tokens so far, float32 [rows, length], in the order of the slots."""
        return self._logprobs[: len(self), : self.length].cpu().numpy()

    def mean_logprobs(self) -> NDArray[np.float64]:
        """Mean log-probability per token, in nats, float64 [rows]; 0 before the first token."""
        return np.asarray(self.logprobs().sum(-1) / max(1, self.length), np.float64)

    def _next_logits(self, rows: int) -> Tensor:
        if self._cache is None:
            self._rebuild(rows)
        if self.length == 0:
            return self.task.prefix.logits.expand(rows, -1)
        assert self._cache is not None
        self._cache.length = self.length - 1
        return self.task.model.step(self._tokens[:rows, self.length - 1], self._cache)

    def _rebuild(self, rows: int) -> None:
        cache = KeyValueCache(self.task.prefix, rows, self.task.capacity)
        for position in range(self.length - 1):
            self.task.check()
            self.task.model.step(self._tokens[:rows, position], cache)
        if self.task.sampling.repetition_penalty != 1:
            self._seen = torch.zeros(
                rows, self.task.model.outputs, dtype=torch.bool, device=self._keys.device
            )
            self._seen[:, torch.from_numpy(self.task.prompt_codes).long()] = True
            self._seen.scatter_(1, self._tokens[:rows, : self.length], True)
        self._cache = cache

    def _allowed(self, logits: Tensor) -> Tensor:
        if self._seen is not None:
            rows, last = len(logits), max(0, self.length - 1)
            self._seen[:rows].scatter_(1, self._tokens[:rows, last : self.length], True)
            logits = penalise(logits, self._seen[:rows], self.task.sampling.repetition_penalty)
        if self.length < self.task.minimum:
            logits = logits.clone()
            logits[:, self.task.end] = -torch.inf
        return logits

    def _collect(self, tokens: Tensor) -> list[Finished]:
        live = len(self)
        ended = (tokens[:live] == self.task.end).tolist()
        if self.length < self.task.maximum and True not in ended:
            return []
        done = [slot for slot in range(live) if ended[slot] or self.length == self.task.maximum]
        return self.end({slot: "stop" if ended[slot] else "length" for slot in done})

    def _remove(self, done: Sequence[int]) -> None:
        """Moves the last live rows into the slots of finished rows."""
        left = len(self) - len(done)
        holes = [slot for slot in done if slot < left]
        movers = [slot for slot in range(left, len(self)) if slot not in set(done)]
        if self._cache is not None:
            self._cache.length = self.length - 1
        self._copy(movers, holes)
        for mover, hole in zip(movers, holes, strict=True):
            self.names[hole] = self.names[mover]
        del self.names[left:]

    def _copy(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        if not sources:
            return
        rows = [self._keys, self._tokens, self._logprobs] + ([] if self._seen is None else [self._seen])
        for tensor in rows:
            tensor[list(targets)] = tensor[list(sources)]
        if self._cache is not None:
            self._cache.copy(sources, targets)

    def _reserve(self, slots: int) -> None:
        """Makes room for `slots` rows."""
        self._keys, self._tokens, self._logprobs = (
            _grow(tensor, slots) for tensor in (self._keys, self._tokens, self._logprobs)
        )
        if self._seen is not None:
            self._seen = _grow(self._seen, slots)
        if self._cache is not None:
            try:
                self._cache.reserve(slots)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self.release()

    def _part(self, start: int, stop: int) -> Batch:
        part = Batch(self.task, self.names[start:stop], self._keys[start:stop].tolist())
        part.length = self.length
        part._tokens[: stop - start] = self._tokens[start:stop]
        part._logprobs[: stop - start] = self._logprobs[start:stop]
        slots = slice(start, start + self.task.slots(stop - start))
        part._cache = None if self._cache is None else self._cache.part(slots.start, slots.stop)
        part._seen = None if self._seen is None else self._seen[slots]
        return part


def _grow(tensor: Tensor, slots: int) -> Tensor:
    missing = slots - len(tensor)
    return tensor if missing <= 0 else torch.cat((tensor, tensor.new_zeros(missing, *tensor.shape[1:])))
