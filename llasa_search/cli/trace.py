"""A search's trace as a tree in the terminal."""

from __future__ import annotations

import math
from collections import defaultdict
from textwrap import shorten
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.tree import Tree

    from llasa_search.generation.trace import Node
    from llasa_search.result import SearchResult

FRAME_RATE = 50.0
"""X-codec2's codes a second."""


class Drawing:
    """Every row of a search under the one that it was forked from; sisters of equal fate share a line."""

    def __init__(self, result: SearchResult) -> None:
        self._result = result
        self._rewards = {candidate.index: candidate.reward for candidate in result.candidates}
        self._children: dict[int | None, list[Node]] = defaultdict(list)
        for node in result.trace.nodes.values():
            self._children[node.parent].append(node)

    def tree(self) -> Tree:
        """What rich draws."""
        from rich.text import Text
        from rich.tree import Tree

        tree = Tree(Text(self._heading()))
        places = [(tree, self._children[None])]
        while places:
            place, sisters = places.pop()
            by_fate: dict[tuple[object, ...], list[Node]] = defaultdict(list)
            for sister in sisters:
                by_fate[self._fate(sister)].append(sister)
            only_one_goes_on = sum(map(bool, map(self._next_steps, sisters))) == 1
            for alike in by_fate.values():
                branch, node = place.add(Text(self._line(alike))), alike[0]
                steps = self._next_steps(node)
                forks = [child for child in self._children[node.index] if child not in steps]
                places += [(branch, forks), (place if only_one_goes_on else branch, steps)]
        return tree

    def _next_steps(self, node: Node) -> list[Node]:
        """What continues a finished step of a text: drawn beside it, where no other step is continued."""
        return [child for child in self._children[node.index] if not child.start]

    def _heading(self) -> str:
        trace = self._result.trace
        roots = {node.index for node in self._children[None]}
        finished = [candidate.index for candidate in self._result.candidates]
        ancestors = {trace.root(index) for index in finished}
        counts = f"{len(trace.nodes)} rows from {len(roots)} roots, {len(finished)} finished"
        return f"{self._result.settings.get('strategy', '')}: {counts}, from {len(ancestors)} of the roots"

    def _fate(self, node: Node) -> tuple[object, ...]:
        """Equal for sisters that are told of in one line: cut at once, and without children."""
        if node.end == "finished" or self._children[node.index]:
            return (node.index,)
        return (node.text, node.start, len(node.checks), node.tokens, node.why)

    def _line(self, alike: list[Node]) -> str:
        node = alike[0]
        said = "" if node.text == self._result.text else f" {shorten(node.text, 48, placeholder='...')!r}"
        forked = f" from {_seconds(node.start)}" if node.start else ""
        checks = [
            f"{_span([sister.checks[i].reward for sister in alike])} at {_seconds(check.tokens)}"
            for i, check in enumerate(node.checks)
        ]
        return f"{_names(alike)}{said}{forked}: {', '.join([*checks, self._end(node)])}"

    def _end(self, node: Node) -> str:
        if node.end == "cut":
            return f"cut at {_seconds(node.tokens)}: {node.why}"
        reward = self._rewards.get(node.index, math.nan)
        of_all = "reward" if node.text == self._result.text else "whole text"
        worth = "" if math.isnan(reward) else f", {of_all} {reward:.3f}"
        chosen = self._result.candidates and node.index == self._result.best.index
        return f"finished at {_seconds(node.tokens)} ({node.why}){worth}{' <- chosen' if chosen else ''}"


def _names(nodes: list[Node]) -> str:
    names = [str(node.index) for node in nodes]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, ..., {names[-1]} ({len(names)} rows)"


def _span(rewards: list[float]) -> str:
    """One reward, or the least and the greatest."""
    known = [reward for reward in rewards if not math.isnan(reward)]
    if not known:
        return "unknown"
    low, high = ("failed" if reward == -math.inf else f"{reward:.3f}" for reward in (min(known), max(known)))
    return low if low == high else f"{low} to {high}"


def _seconds(tokens: int) -> str:
    return f"{tokens / FRAME_RATE:.2f} s"
