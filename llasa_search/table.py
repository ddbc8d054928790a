"""Text tables: rows of cells, and the candidates of a search."""

from __future__ import annotations

import math
import re
import shutil
import sys
from collections.abc import Sequence
from io import StringIO

from llasa_search.candidate import Candidate, Score
from llasa_search.reward.compose import COMBINATIONS

TRANSCRIPT_WIDTH = 60
UNLIMITED = 1_000_000

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, marks that change the direction of text, and lone surrogates."""


def printable(text: str, *, lines: bool = False, json: bool = False) -> str:
    """Returns text whose control characters are escaped, so that a terminal shows them.

    Args:
        text: to show.
        lines: whether line breaks stay.
        json: whether the text is a JSON document, and must stay one.

    >>> print(printable("\\x1b[31mred\\x07"))
    \\x1b[31mred\\x07
    """

    def escaped(match: re.Match[str]) -> str:
        character = match.group()
        if lines and character == "\n":
            return character
        return f"\\u{ord(character):04x}" if json else character.encode("unicode_escape").decode()

    return _UNPRINTABLE.sub(escaped, text)


def text_table(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Returns rows of cells as a text table with aligned columns.

    Args:
        rows: the heading, if there is one, and the rows; all of one length.
        width: columns of the terminal, within which cells wrap; None keeps every row on one line.

    >>> print(text_table([["name", "value"], ["wer", "0.1"]]))
    name  value
    wer   0.1
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(cell, lines=True)) for cell in row))  # not read as markup
    console = Console(file=StringIO(), width=width or UNLIMITED, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def terminal_width() -> int | None:
    """Returns the columns of the terminal; None if the output is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def candidate_table(ranked: Sequence[Candidate], sample_rate: int, reward: str) -> str:
    """Returns candidates as a text table.

    Its columns are rank, index, seconds, finish reason, each verifier's value, reward, and the details of the
    scores, such as a transcript. Candidates of equal reward share a rank; unknown rewards have no rank.
    A reward that compares candidates carries no more information than the rank, and is left out.

    Args:
        ranked: from best to worst.
        sample_rate: of their audio, in Hz.
        reward: the printed expression of the reward.
    """
    # The reward's own verifiers come first, in its order.
    names = dict.fromkeys(name for candidate in ranked for name in candidate.scores)
    verifiers = sorted(names, key=lambda name: f"{reward}{name}".find(name))
    pointwise = not any(f"{name}(" in reward for name, made in COMBINATIONS.items() if not made.pointwise)
    rewards = [candidate.reward for candidate in ranked]
    rows = [["rank", "index", "seconds", "finish", *verifiers, *(["reward"] if pointwise else []), "detail"]]
    for candidate in ranked:
        scores = {name: candidate.scores.get(name) for name in verifiers}
        seconds = math.nan if candidate.audio is None else len(candidate.audio) / sample_rate
        rows.append(
            [
                "-" if math.isnan(candidate.reward) else str(1 + rewards.index(candidate.reward)),
                str(candidate.index),
                _number(seconds, 2),
                candidate.finish_reason,
                *map(_value, scores.values()),
                *([_number(candidate.reward, 3)] if pointwise else []),
                _detail([score for name, score in scores.items() if name in reward]),
            ]
        )
    return text_table(rows)


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _value(score: Score | None) -> str:
    if score is None:
        return "-"
    return f"{score.value:.3f}" if score.status == "scored" else score.status


def _detail(scores: list[Score | None]) -> str:
    details = "; ".join(score.detail for score in scores if score is not None and score.detail)
    one_line = " ".join(details.split())
    return one_line if len(one_line) <= TRANSCRIPT_WIDTH else one_line[: TRANSCRIPT_WIDTH - 1] + "…"
