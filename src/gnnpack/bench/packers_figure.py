"""Empty atom slots against pack size, one panel a distribution, as a PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from gnnpack.datasets.size_counts import TITLES
from gnnpack.tracking.figures import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Wong's palette (2011, Nat. Methods 8, 441) is told apart with any colour vision.
LINES: dict[str, dict[str, Any]] = {
    "next_fit": {"color": "#E69F00", "linestyle": "--", "label": "next fit, as PyG and jraph"},
    "spfhp": {"color": "#56B4E9", "linestyle": "-", "linewidth": 1.0, "label": "SPFHP"},
    "lpfhp": {"color": "#0072B2", "linestyle": "-", "label": "LPFHP"},
    "optimal": {"color": "#009E73", "linestyle": "-", "linewidth": 1.9, "label": "optimal"},
}
# Packers that take the molecules in an order are known at the sizes of the tables alone.
MARKERS: dict[str, dict[str, Any]] = {
    "random_exact": {"color": "#D55E00", "marker": "o", "label": "random_exact"},
    "streaming, buffer 2048": {"color": "#CC79A7", "marker": "x", "label": "streaming"},
}
IMPOSSIBLE = "#d1d5db"
# Packs may be full to the last atom, and a logarithm has no zero.
LEAST_PERCENT = 1e-3


def packers_figure(report: Mapping[str, Any], path: Path) -> None:
    """Draw the sweep of a report of `packers`; OSError names the path and the cure."""
    (sweep,) = (one for one in report["sections"] if one["name"] == "sweep")
    names = list(dict.fromkeys(row["facts"]["distribution"] for row in sweep["rows"]))
    across = min(2, len(names))
    down = -(-len(names) // across)
    with figure(path, 5.2 * across + 0.6, 3.2 * down + 0.8) as drawing:
        panels = drawing.subplots(down, across, squeeze=False, sharey=True).ravel()
        for panel, name in zip(panels, names):
            _panel(panel, name, sweep["rows"], report["sections"])
        for panel in panels[len(names) :]:
            panel.set_axis_off()
        for place in range(0, len(names), across):
            panels[place].set_ylabel("empty atom slots")
        handles, labels = panels[0].get_legend_handles_labels()
        drawing.legend(handles, labels, loc="outside lower center", ncols=3 * across)


def _panel(axes: Axes, name: str, rows: Any, sections: Any) -> None:
    curves = {
        row["facts"]["packer"]: row["facts"] for row in rows if row["facts"]["distribution"] == name
    }
    sizes, empty = _empty_percent(curves["optimal"], np.array(curves["optimal"]["bounds"]))
    axes.fill_between(
        sizes, LEAST_PERCENT / 10, empty, color=IMPOSSIBLE, linewidth=0, label="proven impossible"
    )
    for packer, style in LINES.items():
        sizes, empty = _empty_percent(curves[packer], np.array(curves[packer]["packs"]))
        axes.plot(sizes, empty, **{"linewidth": 1.3, **style})
    for packer, style in MARKERS.items():
        found = _of_tables(name, packer, sections)
        if found:
            axes.plot(*zip(*found), linestyle="none", markersize=5, zorder=3, **style)
    unit = curves["optimal"]["unit"]
    axes.set(
        title=TITLES[name],
        xlabel="atoms a pack holds" + (f", multiples of {unit}" if unit > 1 else ""),
        yscale="log",
        ylim=(0.7 * LEAST_PERCENT, 100),
    )
    axes.yaxis.set_major_formatter(_percent)
    axes.grid(visible=False, axis="x")


def _empty_percent(curve: Mapping[str, Any], packs: Any) -> tuple[Any, Any]:
    """Sizes that the molecules' sizes have a factor in common with, and the percent empty."""
    sizes = curve["first_size"] + np.arange(packs.size)
    slots = packs * sizes
    empty = np.maximum(100 * (slots - curve["atoms"]) / slots, LEAST_PERCENT)
    shown = sizes % curve["unit"] == 0
    return sizes[shown], empty[shown]


def _percent(value: float, _: object) -> str:
    return f"≤ {value:g} %" if value == LEAST_PERCENT else f"{value:g} %"


def _of_tables(name: str, packer: str, sections: Any) -> list[tuple[int, float]]:
    found = []
    for section in sections:
        distribution, _, size = section["name"].rpartition("_")
        if distribution == name:
            found += [
                (int(size), max(100 - row["facts"]["percent"], LEAST_PERCENT))
                for row in section["rows"]
                if row["name"] == packer
            ]
    return found
