"""The key-value cache: one copy of the prompt for all rows, and preallocated space for each row's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PrefilledPrompt:
    """A prefilled prompt, shared by every row that continues it.

    Attributes:
        keys: [kv_heads, head_dim, tokens] for each layer: transposed, as the attention multiplies it.
        values: [kv_heads, tokens, head_dim] for each layer.
        logits: float32 [1, outputs], of the first speech token.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    logits: Tensor

    def __len__(self) -> int:
        return self.values[0].shape[1]

    @property
    def bytes(self) -> int:
        return sum(part.nbytes for part in (*self.keys, *self.values))


class KeyValueCache:
    """Keys and values of the tokens after the prompt, appended in place.

    A row has a slot; live rows fill the first slots. Positions from `length` on, and slots past the live
    rows, are undefined. Only `reserve` moves a buffer, so that captured CUDA graphs can use it.

    Attributes:
        keys, values: [slots, kv_heads, capacity, head_dim] for each layer.
        length: positions filled, the same in every row.
    """

    def __init__(self, prefix: PrefilledPrompt, slots: int, capacity: int) -> None:
        kv_heads, _, head_dim = prefix.values[0].shape
        shape = (slots, kv_heads, capacity, head_dim)
        self.prefix = prefix
        self.keys = [torch.zeros(shape, dtype=part.dtype, device=part.device) for part in prefix.values]
        self.values = [torch.zeros(shape, dtype=part.dtype, device=part.device) for part in prefix.values]
        self.length = 0

    def copy(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Copies whole rows from slots to other slots."""
        if not sources:
            return
        device = self.keys[0].device
        source, target = torch.tensor(sources, device=device), torch.tensor(targets, device=device)
        for buffer in (*self.keys, *self.values):
            filled = buffer.narrow(2, 0, self.length)
            filled.index_copy_(0, target, filled.index_select(0, source))

    def reserve(self, slots: int) -> None:
        """Makes room for `slots` rows, layer by layer, to limit the extra memory."""
        for buffers in (self.keys, self.values):
            for index, old in enumerate(buffers):
                if slots > len(old):
                    buffers[index] = old.new_zeros(slots, *old.shape[1:])
                    buffers[index][: len(old), :, : self.length] = old[:, :, : self.length]

    def part(self, start: int, stop: int) -> KeyValueCache:
        """Returns a cache of the slots from `start` to `stop`; it shares their memory."""
        part = copy(self)
        part.keys = [buffer[start:stop] for buffer in self.keys]
        part.values = [buffer[start:stop] for buffer in self.values]
        return part

    @staticmethod
    def bytes_per_row(prefix: PrefilledPrompt, capacity: int) -> int:
        """Memory of one slot."""
        return capacity * (prefix.bytes // len(prefix))
