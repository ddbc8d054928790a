"""The trace of a search: where each row was forked, its partial rewards, and why it ended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from llasa_search.arrays import FloatArray
from llasa_search.candidate import Score


@dataclass(frozen=True)
class Check:
    """Scores and reward of one row's unfinished speech.

    Attributes:
        tokens: speech tokens scored.
        reward: the partial reward; NaN where a verifier abstained or was skipped, -inf where a verifier
            failed.
        scores: by the verifier's printed expression.
    """

    tokens: int
    reward: float
    scores: dict[str, Score]


@dataclass
class Node:
    """One row of the search tree, finished or not.

    Attributes:
        index: of the candidate that it became or would have become.
        text: the text to speak: the whole text, or that of one step.
        parent: index of the row that it was forked from, or of the step before it; None for a root.
        start: speech tokens that it shares with its parent.
        checks: its partial scores, in order.
        tokens: speech tokens so far, or at its end.
        end: "finished", "cut", or None while it is live.
        why: its finish reason ("stop", "length"), or why it was pruned.
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
    """The tree of a search, written by the sampler and the scorer.

    Attributes:
        nodes: every row, by its index.
    """

    def __init__(self, nodes: Iterable[Node] = ()) -> None:
        self.nodes = {node.index: node for node in nodes}
        self._last_rewards: dict[int, float] = {}

    def begin(self, index: int, text: str, parent: int | None = None, start: int = 0) -> None:
        """Records a root, or a fork that shares `start` tokens with its parent."""
        self.nodes[index] = Node(index, text, parent, start, tokens=start)
        if parent is not None:
            self._last_rewards[index] = self.last_reward(parent)

    def follow(self, index: int, parent: int) -> None:
        """Records that a row continues the text of another row."""
        self.nodes[index].parent = parent

    def grow(self, indices: Iterable[int], tokens: int) -> None:
        """Records the length of live rows."""
        for index in indices:
            self.nodes[index].tokens = tokens

    def check(
        self, indices: Sequence[int], tokens: int, rewards: FloatArray, scores: Sequence[Mapping[str, Score]]
    ) -> None:
        """Records scores and rewards of live rows after `tokens` tokens."""
        for index, reward, found in zip(indices, rewards, scores, strict=True):
            self.nodes[index].checks.append(Check(tokens, float(reward), dict(found)))
            if not math.isnan(reward):
                self._last_rewards[index] = float(reward)

    def finish(self, index: int, tokens: int, why: str) -> None:
        """Records that a row became a candidate."""
        self._end(index, tokens, "finished", why)

    def cut(self, indices: Iterable[int], tokens: int, why: str) -> None:
        """Records rows that are not continued."""
        for index in indices:
            self._end(index, tokens, "cut", why)

    def close(self, stopped_by: str | None) -> None:
        """Ends all live rows when the search ends.

        Args:
            stopped_by: as in `SearchResult`.
        """
        why = "the search ended" if stopped_by is None else f"stopped by {stopped_by}"
        for node in self.nodes.values():
            if node.end is None:
                self._end(node.index, node.tokens, "cut", why)

    def last_reward(self, index: int) -> float:
        """Returns the last known reward of a live row, or of its parent at the fork; -inf without one."""
        return self._last_rewards.get(index, -math.inf)

    def root(self, index: int) -> int:
        """Returns the root of a row."""
        while (parent := self.nodes[index].parent) is not None:
            index = parent
        return index

    def _end(self, index: int, tokens: int, end: Literal["finished", "cut"], why: str) -> None:
        node = self.nodes[index]
        node.tokens, node.end, node.why = tokens, end, why
