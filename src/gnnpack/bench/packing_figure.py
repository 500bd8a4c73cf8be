"""All figures of packing in one PNG file: a column a distribution, and neighbours below."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from gnnpack.bench.packing_published import LPFHP_POINTS
from gnnpack.datasets.size_counts import TITLES
from gnnpack.tracking.figures import BLUE, GREY, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Wong's palette (2011, Nat. Methods 8, 441) is told apart with any colour vision.
_LPFHP, _OPTIMAL, _PUBLISHED, _FILLER = "#0072B2", "#009E73", "#D55E00", "#d1d5db"
_WAYS = ("padding", "lpfhp", "optimal")

Rows = Mapping[str, Mapping[str, Any]]


def packing_figure(report: Mapping[str, Any], path: Path) -> None:
    """Draw a report of `packing`; OSError names the path and the cure."""
    facts = {
        section["name"]: {row["name"]: row["facts"] for row in section["rows"]}
        for section in report["sections"]
    }
    names = list(facts["molecules"])
    neighbours = facts.get("neighbours", {})
    rows = 3 + bool(neighbours)
    with figure(path, 3.6 * len(names) + 0.8, 2.7 * rows) as drawing:
        grid = drawing.add_gridspec(rows, len(names))
        for column, name in enumerate(names):
            panels = [drawing.add_subplot(grid[row, column]) for row in range(3)]
            _sizes(panels[0], name, facts["molecules"][name])
            _curve(panels[1], name, facts["curves"][name], facts["molecules"][name]["atoms"])
            _slots(panels[2], name, facts["slots"])
        if neighbours:
            _neighbours(drawing.add_subplot(grid[3, :]), neighbours, report["settings"]["cutoff"])


def _sizes(axes: Axes, name: str, found: Mapping[str, Any]) -> None:
    axes.bar(found["sizes"], found["counts"], width=0.9 * found["unit"], color=BLUE)
    axes.axvline(found["mean_atoms"], color=GREY, linestyle="--", linewidth=1.2, label="mean atoms")
    axes.set(title=TITLES[name], xlabel="atoms in a molecule", ylabel="molecules")
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 4))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper left", fontsize=8)


def _curve(axes: Axes, name: str, found: Mapping[str, Any], atoms: int) -> None:
    sizes = np.array(found["num_atoms"])
    lines = (("optimal", "optimal", _OPTIMAL, 1.6), ("lpfhp", "LPFHP", _LPFHP, 1.1))
    for key, label, color, width in lines:
        percent = 100 * atoms / (np.array(found[f"{key}_packs"]) * sizes)
        axes.plot(sizes, percent, color=color, linewidth=width, label=label)
    points = [
        (point.num_atoms, 100 * atoms / (point.packs * point.num_atoms))
        for point in LPFHP_POINTS[name]
        if sizes[0] <= point.num_atoms <= sizes[-1]
    ]
    if points:
        style: Any = {"linestyle": "none", "marker": "o", "markersize": 5, "zorder": 3}
        axes.plot(*zip(*points), color=_PUBLISHED, label="LPFHP, published", **style)
    axes.set(xlabel="atoms a pack holds", ylabel="filled atom slots (%)", ylim=(None, 101))
    axes.legend(loc="lower right", fontsize=8)


def _slots(axes: Axes, name: str, found: Rows) -> None:
    places = np.arange(len(_WAYS))
    rows = [found[f"{name} {way}"] for way in _WAYS]
    real = np.array([row["slots"] - row["filler_slots"] for row in rows])
    filler = np.array([row["filler_slots"] for row in rows])
    axes.bar(places, real, color=BLUE, label="real atoms")
    axes.bar(places, filler, bottom=real, color=_FILLER, label="filler")
    for place, row in zip(places, rows):
        percent = row["filler_percent"]
        text = f"{percent:.2f} %" if percent >= 0.01 or percent == 0 else "< 0.01 %"
        axes.text(float(place), row["slots"], text, ha="center", va="bottom", fontsize=8)
    axes.set_xticks(places, [f"{way}\n{row['num_atoms']}" for way, row in zip(_WAYS, rows)])
    axes.set(ylabel="atom slots of an epoch", ylim=(0, 1.3 * max(row["slots"] for row in rows)))
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 4))
    axes.grid(visible=False, axis="x")
    axes.legend(loc="upper right", fontsize=8, ncols=2)


def _neighbours(axes: Axes, found: Rows, cutoff: float) -> None:
    colors: Sequence[str] = (BLUE, _PUBLISHED, _OPTIMAL, GREY)
    for place, (title, row) in enumerate(found.items()):
        counts = np.array(row["histogram"])
        label = f"{title}: mean {row['mean_neighbours']:.2f}, {row['dense_percent']:.1f} % of pairs"
        share = 100 * counts / counts.sum()
        axes.step(
            np.arange(counts.size),
            share,
            where="mid",
            color=colors[place % len(colors)],
            label=label,
        )
    axes.set(xlabel=f"neighbours within {cutoff:g} Å", ylabel="atoms (%)", ylim=(0, None))
    axes.legend(loc="upper right", fontsize=9)
