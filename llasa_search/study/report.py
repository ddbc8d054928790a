"""Points as tables: Markdown to read, CSV to go on with; and rows as JSON lines."""

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
    "flops": "operations",
    "seconds": "seconds",
}


def markdown(points: Sequence[Point], measure: str) -> str:
    """One line a point; where there are arms, also by how much they differ from best-of-n.

    P-values are corrected (Holm) for all comparisons of the table.
    """
    axes = sorted({EQUAL[point.equal] for point in points if point.equal})
    compared = bool(axes)
    heading = ["search", "texts", "row-steps", "TFLOPs", "seconds", measure]
    heading += [f"less best-of-n at equal {' and '.join(axes)}", "p (Holm, this table)"] if compared else []
    lines = [heading, ["---"] * len(heading)]
    for point, p in zip(points, corrected(points), strict=True):
        cells = [
            point.name,
            f"{point.texts}" + (f" ({point.unheard} unheard)" if point.unheard else ""),
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
    return "unknown" if math.isnan(point.costs[point.equal]) else "the pool has none"


def signed(estimate: Estimate) -> str:
    """A difference, with its sign."""
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def corrected(points: Sequence[Point]) -> list[float | None]:
    """Each point's p-value, corrected for the number of those that have one."""
    adjusted = iter(holm([point.p for point in points if point.p is not None]))
    return [None if point.p is None else next(adjusted) for point in points]


def as_jsonl(rows: Sequence[Row], cases: Sequence[Case], **about: object) -> str:
    """One line a row, with its text and voice, and with what is true of all.

    The seconds are left out (`seconds_as_jsonl`), so that a study that is run again gives the same file.
    """
    said = {case.id: case for case in cases}
    lines = []
    for row in rows:
        case = said[row["case"]]
        kept = {name: value for name, value in row.items() if name != "seconds"}
        voice = None if case.voice is None else case.voice.name
        whole = {**about, "text": case.text, "language": case.language, "voice": voice, **kept}
        lines.append(json.dumps(whole, ensure_ascii=False) + "\n")
    return "".join(lines)


def seconds_as_jsonl(rows: Sequence[Row]) -> str:
    """One line a search: the seconds of its stages."""
    searches = {(row["arm"], row["case"], row["seed"]): row["seconds"] for row in rows}
    lines = (
        {"arm": arm, "case": case, "seed": seed, "seconds": seconds}
        for (arm, case, seed), seconds in searches.items()
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def as_csv(points: Sequence[Point]) -> str:
    """All figures of all points."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([
        "curve", "name", "judge", "n", *AXES, "texts", "unheard", "value", "low", "high",
        "equal", "gain", "gain_low", "gain_high", "p_uncorrected",
    ])  # fmt: skip
    for point in points:
        gain = ("", "", "") if point.gain is None else (point.gain.value, point.gain.low, point.gain.high)
        writer.writerow([
            point.curve, point.name, point.judge, "" if point.n is None else point.n,
            *(point.costs[axis] for axis in AXES), point.texts, point.unheard,
            point.value.value, point.value.low, point.value.high,
            point.equal, *gain, "" if point.p is None else point.p,
        ])  # fmt: skip
    return file.getvalue()
