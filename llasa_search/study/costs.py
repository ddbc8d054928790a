"""The mean cost of an arm's searches on any axis, and the size of a pool's subset with the same cost."""

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
    "flops": "FLOPs of language model, codec and verifiers",
    "seconds": "seconds (best-of-N: its share of the pool's)",
}


@dataclass(frozen=True)
class _MeanCost:
    """The mean cost of one search.

    Attributes:
        prefill: of the prompt; independent of the number of candidates.
        sampling: of all candidates, including the codec.
        scoring: of all candidates by the verifiers.
    """

    prefill: float
    sampling: float
    scoring: float


def cost(rows: Sequence[Row], axis: str, n: float | None = None, verified: bool = True) -> float:
    """Returns the mean cost of one search of an arm.

    Args:
        rows: of one arm.
        axis: one of `AXES`. Judges are not included. FLOPs are NaN if those of a verifier are unknown.
        n: for a pool, the number of candidates that are sampled. The cost is the prefill and n / size of the rest,
            so seconds are those of a large batch. A single sample needs no verifier. Costs between whole
            numbers are interpolated.
        verified: whether the choice from the pool needs the verifiers.

    Raises:
        InputError: the axis is not one of `AXES`.
    """
    mean = _mean_cost(rows, axis)
    if not verified:
        mean = replace(mean, scoring=0.0)
    if n is None:
        return mean.prefill + mean.sampling + mean.scoring
    return _of_subset(mean, n, pool_size(rows))


def n_at(rows: Sequence[Row], axis: str, amount: float) -> float:
    """Returns the n at which best-of-N from a pool costs `amount`; NaN if no n does to within 2%."""
    size, mean = pool_size(rows), _mean_cost(rows, axis)
    amounts = [_of_subset(mean, n, size) for n in range(1, size + 1)]
    if not 0.98 * amounts[0] <= amount <= 1.02 * amounts[-1]:
        return math.nan
    return float(np.interp(amount, amounts, range(1, size + 1)))


def _of_subset(mean: _MeanCost, n: float, size: int) -> float:
    low = math.floor(n)
    if low < n:
        return (low + 1 - n) * _of_subset(mean, low, size) + (n - low) * _of_subset(mean, low + 1, size)
    return mean.prefill + n / size * (mean.sampling + (mean.scoring if n > 1 else 0.0))


def _mean_cost(rows: Sequence[Row], axis: str) -> _MeanCost:
    if axis not in AXES:
        raise InputError(f"axis {axis!r}: give one of {', '.join(AXES)}")
    parts = [_parts(row, axis) for row in {(row["case"], row["seed"]): row for row in rows}.values()]
    return _MeanCost(*(math.fsum(part) / len(parts) for part in zip(*parts, strict=True)))


def _parts(row: Row, axis: str) -> tuple[float, float, float]:
    """Returns the cost of the row's search for prefill, sampling and scoring."""
    if axis == "candidates":
        return 0.0, row["finished"], 0.0
    if axis == "row_steps":
        return 0.0, row["row_steps"], 0.0
    stages, scoring = (row["seconds"], "verify") if axis == "seconds" else (row["flops"], "verifiers")
    known = {stage: math.nan if value is None else value for stage, value in stages.items()}
    prefill, scored = known.pop("prefill", 0.0), known.pop(scoring, 0.0)
    return prefill, math.fsum(known.values()), scored
