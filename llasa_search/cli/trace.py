"""`llasa-search trace`: draws the trace of a search as a tree in the terminal."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from textwrap import shorten
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from llasa_search.cli.options import AsJson
from llasa_search.cli.terminal import write, write_json
from llasa_search.generation.trace import Node
from llasa_search.result import SearchResult
from llasa_search.storage.run_folder import run_to_json
from llasa_search.table import UNLIMITED, printable, terminal_width

FRAME_RATE = 50.0
"""Speech codes per second of X-codec2."""


def trace(
    run: Annotated[Path, typer.Argument(help="A folder that --save-run has written.")],
    as_json: AsJson = False,
) -> None:
    """Draw the tree of a search: which rows continued, which were pruned, and why."""
    result = SearchResult.load_run(run)
    if as_json:
        write_json(run_to_json(result, result.best.index if result.candidates else None))
        return
    console = Console(highlight=False, width=terminal_width() or UNLIMITED)
    with console.capture() as capture:
        console.print(Drawing(result).tree())
    write(capture.get().rstrip("\n"))


class Drawing:
    """Draws every row of a search below the row that it was forked from.

    Siblings that were pruned at the same point for the same reason share a line.
    """

    def __init__(self, result: SearchResult) -> None:
        self._result = result
        self._rewards = {candidate.index: candidate.reward for candidate in result.candidates}
        self._children: dict[int | None, list[Node]] = defaultdict(list)
        for node in result.trace.nodes.values():
            self._children[node.parent].append(node)

    def tree(self) -> Tree:
        """Returns the tree, for rich to print."""
        tree = Tree(_text(self._heading()))
        places = [(tree, self._children[None])]
        while places:
            place, siblings = places.pop()
            lines: dict[tuple[object, ...], list[Node]] = defaultdict(list)
            for node in siblings:
                lines[self._line_key(node)].append(node)
            one_continues = sum(bool(self._next_steps(node)) for node in siblings) == 1
            for nodes in lines.values():
                branch, first = place.add(_text(self._line(nodes))), nodes[0]
                steps = self._next_steps(first)
                forks = [child for child in self._children[first.index] if child not in steps]
                places += [(branch, forks), (place if one_continues else branch, steps)]
        return tree

    def _next_steps(self, node: Node) -> list[Node]:
        """Returns the rows that continue the text after a finished step.

        If only one sibling is continued, they are drawn at its level and not below it.
        """
        return [child for child in self._children[node.index] if not child.start]

    def _heading(self) -> str:
        trace = self._result.trace
        roots = {node.index for node in self._children[None]}
        finished = [candidate.index for candidate in self._result.candidates]
        ancestors = {trace.root(index) for index in finished}
        counts = f"{_count(len(trace.nodes), 'row')} from {_count(len(roots), 'root')}"
        if finished:
            from_roots = f"from {_count(len(ancestors), 'root')}"
            one = "row descends" if len(finished) == 1 else "rows descend"
            counts += f"; the {len(finished)} finished {one} {from_roots}"
        return f"{self._result.settings.get('strategy', '')}: {counts}"

    def _line_key(self, node: Node) -> tuple[object, ...]:
        """Returns a key that is equal for siblings that share a line."""
        if node.end == "finished" or self._children[node.index]:
            return (node.index,)
        return (node.text, node.start, len(node.checks), node.tokens, node.why)

    def _line(self, nodes: list[Node]) -> str:
        first = nodes[0]
        text = "" if first.text == self._result.text else f" {shorten(first.text, 48, placeholder='...')!r}"
        forked = f" from {_seconds(first.start)}" if first.start else ""
        checks = [
            f"{_reward_range([node.checks[i].reward for node in nodes])} at {_seconds(check.tokens)}"
            for i, check in enumerate(first.checks)
        ]
        return f"{_names(nodes)}{text}{forked}: {', '.join([*checks, self._end(first)])}"

    def _end(self, node: Node) -> str:
        if node.end == "cut":
            return f"pruned at {_seconds(node.tokens)}: {node.why}"
        reward = self._rewards.get(node.index, math.nan)
        label = "reward" if node.text == self._result.text else "whole text"
        rewarded = "" if math.isnan(reward) else f", {label} {reward:.3f}"
        chosen = self._result.candidates and node.index == self._result.best.index
        return f"finished at {_seconds(node.tokens)} ({node.why}){rewarded}{' <- chosen' if chosen else ''}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _text(text: str) -> Text:
    return Text(printable(text))


def _names(nodes: list[Node]) -> str:
    names = [str(node.index) for node in nodes]
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, ..., {names[-1]} ({len(names)} rows)"


def _reward_range(rewards: list[float]) -> str:
    """Returns one reward, or the lowest and the highest."""
    known = [reward for reward in rewards if not math.isnan(reward)]
    if not known:
        return "unknown"
    low, high = ("failed" if reward == -math.inf else f"{reward:.3f}" for reward in (min(known), max(known)))
    return low if low == high else f"{low} to {high}"


def _seconds(tokens: int) -> str:
    return f"{tokens / FRAME_RATE:.2f} s"
