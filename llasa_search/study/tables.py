"""Writes points as Markdown and CSV tables, and rows as JSON lines."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence

from llasa_search.evaluation.statistics import Estimate
from llasa_search.study.cases import Case
from llasa_search.study.costs import AXES
from llasa_search.study.outcomes import holm
from llasa_search.study.plan import Row
from llasa_search.study.points import Point

EQUAL = {
    "candidates": "candidates",
    "row_steps": "row-steps",
    "flops": "FLOPs",
    "seconds": "seconds",
}
"""The axes of equal cost, as they are printed."""

NOT_COMPARABLE = "not comparable (no N has this cost)"


def markdown(points: Sequence[Point], measure: str) -> str:
    """Returns a Markdown table with one line per point; for arms, also their difference from best-of-N.

    P-values are corrected (Holm) for all comparisons of the table.
    """
    axes = sorted({EQUAL[point.equal] for point in points if point.equal})
    compared = bool(axes)
    heading = ["search", "texts", "row-steps", "TFLOPs", "seconds", measure]
    heading += [f"minus best-of-N at equal {' and '.join(axes)}", "p (Holm, this table)"] if compared else []
    lines = [heading, ["---"] * len(heading)]
    for point, p in zip(points, corrected(points), strict=True):
        cells = [
            point.label,
            f"{point.texts}" + (f" ({point.unscored} unscored)" if point.unscored else ""),
            f"{point.costs['row_steps']:,.0f}",
            "unknown" if math.isnan(point.costs["flops"]) else f"{point.costs['flops'] / 1e12:.4g}",
            f"{point.costs['seconds']:.2f}",
            str(point.value),
        ]
        if compared:
            cells += [_gain(point), "" if p is None else f"{p:.3f}"]
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _gain(point: Point) -> str:
    if point.gain is not None:
        return signed(point.gain)
    if not point.equal:
        return ""
    return "unknown" if math.isnan(point.costs[point.equal]) else NOT_COMPARABLE


def signed(estimate: Estimate) -> str:
    """Returns a difference with its sign and its interval."""
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def corrected(points: Sequence[Point]) -> list[float | None]:
    """Returns each point's p-value, corrected (Holm) for the number of points that have one."""
    adjusted = iter(holm([point.p for point in points if point.p is not None]))
    return [None if point.p is None else next(adjusted) for point in points]


def as_jsonl(rows: Sequence[Row], cases: Sequence[Case], **about: object) -> str:
    """Returns one line of JSON per row, with its text, its voice and the fields in `about`.

    Seconds are left out (see `seconds_as_jsonl`), so that a repeated study gives the same file.
    """
    by_id = {case.id: case for case in cases}
    lines = []
    for row in rows:
        case = by_id[row["case"]]
        kept = {name: value for name, value in row.items() if name != "seconds"}
        voice = None if case.voice is None else case.voice.name
        whole = {**about, "text": case.text, "language": case.language, "voice": voice, **kept}
        lines.append(json.dumps(whole, ensure_ascii=False) + "\n")
    return "".join(lines)


def seconds_as_jsonl(rows: Sequence[Row]) -> str:
    """Returns one line of JSON per search: the seconds of its stages."""
    searches = {(row["arm"], row["case"], row["seed"]): row["seconds"] for row in rows}
    lines = (
        {"arm": arm, "case": case, "seed": seed, "seconds": seconds}
        for (arm, case, seed), seconds in searches.items()
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def as_csv(points: Sequence[Point]) -> str:
    """Returns all values of all points as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([
        "curve", "name", "judge", "n", *AXES, "texts", "unscored", "value", "low", "high",
        "equal", "gain", "gain_low", "gain_high", "p_uncorrected",
    ])  # fmt: skip
    for point in points:
        gain = ("", "", "") if point.gain is None else (point.gain.value, point.gain.low, point.gain.high)
        writer.writerow([
            point.curve, point.name, point.judge, "" if point.n is None else point.n,
            *(point.costs[axis] for axis in AXES), point.texts, point.unscored,
            point.value.value, point.value.low, point.value.high,
            point.equal, *gain, "" if point.p is None else point.p,
        ])  # fmt: skip
    return file.getvalue()
