"""What became of every row of a search: where it was forked, what it was worth on the way, why it ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Score


@dataclass(frozen=True)
class Check:
    """What unfinished speech was worth at one moment.

    Attributes:
        tokens: speech tokens heard.
        reward: by which rows of this length were compared; NaN where a verifier abstained or was skipped,
            -inf where one failed.
        scores: by the verifier's printed expression.
    """

    tokens: int
    reward: float
    scores: dict[str, Score]


@dataclass
class Node:
    """One row of the search tree, finished or not.

    Attributes:
        index: that of the candidate which it is or would have been.
        text: what it should say: the whole text, or that of one step.
        parent: the row that it was forked from, or the step that it comes after; None for a root.
        start: speech tokens that it shares with its parent.
        checks: what it was worth on the way, from the first to the last.
        tokens: speech tokens so far, or when it ended.
        end: "finished", "cut", or None while it lives.
        why: how it finished ("stop", "length"), or why it was cut.
    """

    index: int
    text: str
    parent: int | None = None
    start: int = 0
    checks: list[Check] = field(default_factory=list)
    tokens: int = 0
    end: Literal["finished", "cut"] | None = None
    why: str = ""


class Trace:
    """The tree of a search. The sampler and the scorer write it; strategies need not.

    Attributes:
        nodes: every row there has been, by its index.
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes = {node.index: node for node in nodes}
        self._worth: dict[int, float] = {}

    def begin(self, index: int, text: str, parent: int | None = None, start: int = 0) -> None:
        """Notes a root, or a fork that shares `start` tokens with its parent."""
        self.nodes[index] = Node(index, text, parent, start, tokens=start)
        if parent is not None:
            self._worth[index] = self.last_reward(parent)

    def follow(self, index: int, parent: int) -> None:
        """Notes that a row says what comes after another's text."""
        self.nodes[index].parent = parent

    def grow(self, indices: Iterable[int], tokens: int) -> None:
        """Notes how long live rows are."""
        for index in indices:
            self.nodes[index].tokens = tokens

    def check(
        self, indices: Sequence[int], tokens: int, rewards: FloatArray, scores: Sequence[Mapping[str, Score]]
    ) -> None:
        """Notes what live rows are worth after so many tokens."""
        for index, reward, heard in zip(indices, rewards, scores, strict=True):
            self.nodes[index].checks.append(Check(tokens, float(reward), dict(heard)))
            if not math.isnan(reward):
                self._worth[index] = float(reward)

    def finish(self, index: int, tokens: int, why: str) -> None:
        """Notes a candidate."""
        self._end(index, tokens, "finished", why)

    def cut(self, indices: Iterable[int], tokens: int, why: str) -> None:
        """Notes rows that do not go on."""
        for index in indices:
            self._end(index, tokens, "cut", why)

    def close(self, stopped_by: str | None) -> None:
        """Ends what still lives when the search ends.

        Args:
            stopped_by: as in `SearchResult`.
        """
        why = "the search ended" if stopped_by is None else f"stopped by {stopped_by}"
        for node in self.nodes.values():
            if node.end is None:
                self._end(node.index, node.tokens, "cut", why)

    def last_reward(self, index: int) -> float:
        """The last known reward of a live row, or of what it was forked from; -inf where there is none."""
        return self._worth.get(index, -math.inf)

    def root(self, index: int) -> int:
        """The first ancestor of a row."""
        while (parent := self.nodes[index].parent) is not None:
            index = parent
        return index

    def _end(self, index: int, tokens: int, end: Literal["finished", "cut"], why: str) -> None:
        node = self.nodes[index]
        node.tokens, node.end, node.why = tokens, end, why
