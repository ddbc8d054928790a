"""What a search of an arm costs in the mean, on any axis; and how large a pool's subset costs the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from llasa_search.errors import InputError
from llasa_search.study.curves import pool_size
from llasa_search.study.plan import Row

AXES = {
    "candidates": "finished candidates",
    "row_steps": "sampled tokens, all rows (row-steps)",
    "flops": "floating-point operations: language model, codec, verifiers",
    "seconds": "seconds of work (best-of-n: its share of the whole pool's)",
}


@dataclass(frozen=True)
class Price:
    """What one search costs in the mean.

    Attributes:
        once: however many candidates it draws: the prefill.
        drawing: all candidates.
        verifying: listening to all of them.
    """

    once: float
    drawing: float
    verifying: float


def cost(rows: Sequence[Row], axis: str, n: float | None = None, verified: bool = True) -> float:
    """Mean cost of one search of an arm.

    Args:
        rows: of one arm.
        axis: one of `AXES`. Judges count nowhere. FLOPs are NaN where a verifier does not know its own.
        n: of a pool, the cost of drawing only so many: its prefill, and their share of the rest (so seconds
            are those of a large batch). A single sample is not chosen: no verifier hears it. Between whole
            numbers, interpolated.
        verified: whether what chooses out of the pool needs the verifiers.

    Raises:
        InputError: there is no such axis.
    """
    price = _price(rows, axis)
    if not verified:
        price = replace(price, verifying=0.0)
    if n is None:
        return price.once + price.drawing + price.verifying
    return _of_subset(price, n, pool_size(rows))


def n_at(rows: Sequence[Row], axis: str, amount: float) -> float:
    """The n at which the best of n out of a pool costs `amount`; NaN where none does, give or take 2 %."""
    size, price = pool_size(rows), _price(rows, axis)
    spent = [_of_subset(price, n, size) for n in range(1, size + 1)]
    if not 0.98 * spent[0] <= amount <= 1.02 * spent[-1]:
        return math.nan
    return float(np.interp(amount, spent, range(1, size + 1)))


def _of_subset(price: Price, n: float, size: int) -> float:
    low = math.floor(n)
    if low < n:
        return (low + 1 - n) * _of_subset(price, low, size) + (n - low) * _of_subset(price, low + 1, size)
    return price.once + n / size * (price.drawing + (price.verifying if n > 1 else 0.0))


def _price(rows: Sequence[Row], axis: str) -> Price:
    if axis not in AXES:
        raise InputError(f"axis {axis!r}: there are {', '.join(AXES)}")
    spent = [_spent(row, axis) for row in {(row["case"], row["seed"]): row for row in rows}.values()]
    return Price(*(math.fsum(part) / len(spent) for part in zip(*spent, strict=True)))


def _spent(row: Row, axis: str) -> tuple[float, float, float]:
    if axis == "candidates":
        return 0.0, row["finished"], 0.0
    if axis == "row_steps":
        return 0.0, row["row_steps"], 0.0
    stages, verifying = (row["seconds"], "verify") if axis == "seconds" else (row["flops"], "verifiers")
    known = {stage: math.nan if value is None else value for stage, value in stages.items()}
    once, heard = known.pop("prefill", 0.0), known.pop(verifying, 0.0)
    return once, math.fsum(known.values()), heard
