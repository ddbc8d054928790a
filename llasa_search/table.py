"""A search's candidates as aligned text, for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llasa_search.candidate import Score
from llasa_search.reward.compose import COMBINATIONS

if TYPE_CHECKING:
    from llasa_search.result import SearchResult

TRANSCRIPT_WIDTH = 60


def candidate_table(result: SearchResult) -> str:
    """Best to worst: rank, index, seconds, end, each verifier's value, reward, and what was heard.

    Candidates of equal reward share their rank; one whose reward is unknown has none.
    A reward that compares candidates says no more than the rank, and is left out.
    """
    names = dict.fromkeys(name for candidate in result.candidates for name in candidate.scores)
    # As the reward names them; what it does not name comes last.
    verifiers = sorted(names, key=lambda name: f"{result.reward}{name}".find(name))
    compared = [f"{name}(" for name, made in COMBINATIONS.items() if not made.pointwise]
    pointwise = not any(name in result.reward for name in compared)
    heading = ["rank", "index", "seconds", "finish", *verifiers, *(["reward"] if pointwise else []), "detail"]
    rows = [heading]
    ranked = result.ranked
    rewards = [candidate.reward for candidate in ranked]
    for candidate in ranked:
        found = candidate.scores
        scores = [found.get(name) for name in verifiers]
        seconds = math.nan if candidate.audio is None else len(candidate.audio) / result.sample_rate
        rows.append(
            [
                "-" if math.isnan(candidate.reward) else str(1 + rewards.index(candidate.reward)),
                str(candidate.index),
                _number(seconds, 2),
                candidate.finish_reason,
                *map(_value, scores),
                *([_number(candidate.reward, 3)] if pointwise else []),
                _detail([found.get(name) for name in verifiers if name in result.reward]),
            ]
        )
    return aligned(rows)


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def aligned(rows: list[list[str]]) -> str:
    """Rows of cells under one another.

    >>> print(aligned([["name", "value"], ["wer", "0.1"]]))
    name  value
    wer   0.1
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _value(score: Score | None) -> str:
    if score is None:
        return "-"
    return f"{score.value:.3f}" if score.status == "scored" else score.status


def _detail(scores: list[Score | None]) -> str:
    details = "; ".join(score.detail for score in scores if score is not None and score.detail)
    one_line = " ".join(details.split())
    return one_line if len(one_line) <= TRANSCRIPT_WIDTH else one_line[: TRANSCRIPT_WIDTH - 1] + "…"
