"""What a search of an arm costs in the mean, on any axis; and how large a pool's subset costs the same."""

from __future__ import annotations

import math
from collections.abc import Sequence

from llasa_search.errors import InputError
from llasa_search.study.curves import pool_size
from llasa_search.study.plan import Row

AXES = {
    "candidates": "finished candidates",
    "row_steps": "sampled tokens, all rows (row-steps)",
    "flops": "floating-point operations: language model, codec, verifiers",
    "seconds": "seconds of work",
}


def cost(rows: Sequence[Row], axis: str, n: float | None = None) -> float:
    """Mean cost of one search of an arm.

    Args:
        rows: of one arm.
        axis: one of `AXES`. Judges count nowhere. FLOPs are NaN where a verifier does not know its own.
        n: of a pool, the cost of drawing only so many: its prefill, and their share of the rest (so seconds
            are those of a large batch).

    Raises:
        InputError: there is no such axis.
    """
    if axis not in AXES:
        raise InputError(f"axis {axis!r}: there are {', '.join(AXES)}")
    share = 1.0 if n is None else n / pool_size(rows)
    searches = {(row["case"], row["seed"]): row for row in rows}.values()
    return math.fsum(_spent(row, axis, share) for row in searches) / len(searches)


def n_at(rows: Sequence[Row], axis: str, amount: float) -> float:
    """The n at which the best of n out of a pool costs `amount`, within the pool's 1 to M."""
    size = pool_size(rows)
    one, all_ = cost(rows, axis, 1), cost(rows, axis, size)
    return min(max(1 + (amount - one) / (all_ - one) * (size - 1), 1.0), float(size))


def _spent(row: Row, axis: str, share: float) -> float:
    if axis == "candidates":
        return row["finished"] * share
    if axis == "row_steps":
        return row["row_steps"] * share
    if axis == "seconds":
        prefill = row["seconds"].get("prefill", 0.0)
        return prefill + share * (math.fsum(row["seconds"].values()) - prefill)
    if None in row["flops"].values():
        return math.nan
    flops = {stage: count or 0.0 for stage, count in row["flops"].items()}
    tokens = row["prefill_tokens"] + row["row_steps"]
    prefill = flops.get("lm", 0.0) * row["prefill_tokens"] / tokens
    return prefill + share * (math.fsum(flops.values()) - prefill)
