"""A search's candidates as aligned text, for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from llasa_search.candidate import Score

if TYPE_CHECKING:
    from llasa_search.result import SearchResult

TRANSCRIPT_WIDTH = 60


def candidate_table(result: SearchResult) -> str:
    """Best to worst: rank, index, seconds, end, each verifier's value, reward, and what was heard."""
    names = dict.fromkeys(name for candidate in result.candidates for name in candidate.scores)
    # As the reward names them; what it does not name comes last.
    verifiers = sorted(names, key=lambda name: f"{result.reward}{name}".find(name))
    heading = ["rank", "index", "seconds", "finish", *verifiers, "reward", "detail"]
    rows = [heading]
    for rank, candidate in enumerate(result.ranked, start=1):
        scores = [candidate.scores.get(name) for name in verifiers]
        seconds = math.nan if candidate.audio is None else len(candidate.audio) / result.sample_rate
        rows.append(
            [
                str(rank),
                str(candidate.index),
                f"{seconds:.2f}",
                candidate.finish_reason,
                *map(_value, scores),
                "-" if math.isnan(candidate.reward) else f"{candidate.reward:.3f}",
                _detail(scores),
            ]
        )
    return aligned(rows)


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
