"""Plots of quality against compute. They need matplotlib (extra `judges`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llasa_search.study.costs import AXES
from llasa_search.study.points import Point, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, which colour-blind readers can distinguish."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", ":")
WIDE = 4.0
"""An axis that covers more than this factor is logarithmic."""

DODGE = 1.025
"""The factor by which a curve is shifted to the right of one with the same costs, so that both can be seen."""


def styles(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Returns a colour, a marker and a line for each name; up to 21 names differ.

    If all names have two parts, such as "large, best of n", the first determines the colour and the second the marker.
    """
    size = len(COLOURS)
    parts = [name.split(", ") for name in names]
    if all(len(each) == 2 for each in parts):
        firsts, seconds = (list(dict.fromkeys(side)) for side in zip(*parts, strict=True))
        return {
            name: {
                "color": COLOURS[firsts.index(first) % size],
                "marker": MARKERS[seconds.index(second) % size],
                "linestyle": "-",
            }
            for name, (first, second) in zip(names, parts, strict=True)
        }
    return {
        name: {
            "color": COLOURS[i % size],
            "marker": MARKERS[(i + i // size) % size],
            "linestyle": LINES[i // size % len(LINES)],
        }
        for i, name in enumerate(names)
    }


def plot(points: Sequence[Point], axis: str, path: Path, measure: str, title: str = "") -> list[Path]:
    """Draws one panel per judge; lines connect the points of a curve, and bars are 95% intervals.

    On a logarithmic axis, curves that begin at the same cost are shifted slightly (`DODGE`).

    Args:
        points: of any curves and judges.
        axis: one of `costs.AXES`.
        path: without a suffix; a `.png` and an `.svg` file are written.
        measure: label of the vertical axis, with the unit.
        title: above the panels.

    Returns:
        The two files.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "llasa-search"
    from matplotlib import pyplot

    judges = list(dict.fromkeys(point.judge for point in points))
    by_curve = styles(list(dict.fromkeys(point.curve for point in points)))
    costs = [point.costs[axis] for point in points]
    wide = max(costs) > WIDE * min(costs)
    figure, panels = pyplot.subplots(
        1,
        len(judges),
        figsize=(4.4 * len(judges) + 1.8, 4.0),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for judge, panel in zip(judges, panels[0], strict=True):
        _draw_curves(panel, [point for point in points if point.judge == judge], axis, by_curve, wide)
        _set_cost_axis(panel, axis, wide)
        panel.set(xlabel=AXES[axis], title=f"judge: {judge}")
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel(measure)
    _add_legend(figure, panels[0])
    if title:
        figure.suptitle(title)
    files = _save(figure, path)
    pyplot.close(figure)
    return files


def _draw_curves(
    panel: Axes, points: Sequence[Point], axis: str, by_curve: Mapping[str, dict[str, Any]], wide: bool
) -> None:
    """Draws the points of one judge, in the order of `by_curve`; the first curve is on top."""
    curves_from = Counter[float]()
    for below, (name, style) in enumerate(by_curve.items()):
        curve = sorted((each for each in points if each.curve == name), key=lambda each: each.costs[axis])
        if not curve:
            continue
        first_cost = curve[0].costs[axis]
        shift = DODGE ** curves_from[first_cost] if wide else 1.0
        curves_from[first_cost] += 1
        x = [each.costs[axis] * shift for each in curve]
        y = np.array([each.value.value for each in curve])
        low = y - np.array([each.value.low for each in curve])
        high = np.array([each.value.high for each in curve]) - y
        panel.errorbar(
            x, y, yerr=np.maximum([low, high], 0), label=label(name), zorder=9 - below / 100, **style, capsize=2,
            linewidth=1.4, markersize=5, elinewidth=0.8, alpha=0.8,
        )  # fmt: skip


def _set_cost_axis(panel: Axes, axis: str, wide: bool) -> None:
    """Sets scale and ticks of the horizontal axis."""
    from matplotlib import ticker

    if wide:
        panel.set_xscale("log", base=2 if axis == "candidates" else 10)
        panel.xaxis.set_minor_formatter(ticker.NullFormatter())
    if wide and axis != "candidates":
        panel.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    # "100m" could be read as milliseconds or as minutes.
    ticks = ticker.StrMethodFormatter("{x:g}") if axis == "seconds" else ticker.EngFormatter(sep="")
    panel.xaxis.set_major_formatter(ticks)


def _add_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Adds one legend for all panels, with each curve once."""
    handles = {
        label: handle
        for panel in panels
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside right center", frameon=False, fontsize="small"
    )


def _save(figure: Figure, path: Path) -> list[Path]:
    """Writes the figure as PNG and SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_name(f"{path.name}{ending}") for ending in (".png", ".svg")]
    for file in files:
        # Without the date, the same points give the same file.
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
    return files
