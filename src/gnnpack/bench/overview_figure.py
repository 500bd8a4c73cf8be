"""How many times as fast as PyG each way of training is, and how near its floor, as a PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from gnnpack.tracking.figures import BLUE, GREY, ORANGE, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINING = ("train_step", "train_run")


def overview_figure(report: Mapping[str, Any], path: Path) -> bool:
    """Draw the training tables of a report; False where it has none.

    OSError names the path and the cure.
    """
    sections = [one for one in report["sections"] if one["name"].startswith(TRAINING)]
    if not sections:
        return False
    down = -(-len(sections) // 2)
    across = min(2, len(sections))
    with figure(path, 5.6 * across, 2.6 * down + 0.4) as drawing:
        panels = drawing.subplots(down, across, squeeze=False).ravel()
        for panel, section in zip(panels, sections):
            _panel(panel, section)
        for panel in panels[len(sections) :]:
            panel.set_axis_off()
    return True


def _panel(axes: Axes, section: Mapping[str, Any]) -> None:
    rows = section["rows"]
    places = np.arange(len(rows))
    rates = [row["molecules_per_second"] for row in rows]
    medians = np.array([rate["median"] for rate in rates])
    reach = np.array(
        [[rate["median"] - rate["p10"], rate["p90"] - rate["median"]] for rate in rates]
    ).T
    colors = [ORANGE if row["name"] == section["baseline"] else BLUE for row in rows]
    axes.barh(places, medians, xerr=np.maximum(reach, 0.0), color=colors, ecolor=GREY)
    for place, row, median in zip(places, rows, medians):
        axes.annotate(
            _words(row), (median, place), xytext=(6, 0), textcoords="offset points", va="center"
        )
    axes.set_yticks(places, [row["label"] for row in rows])
    axes.invert_yaxis()
    # Room for the words at the end of the longest bar.
    axes.set(title=section["title"], xlabel="molecules/s", xlim=(0, 1.45 * float(medians.max())))
    axes.grid(visible=False, axis="y")


def _words(row: Mapping[str, Any]) -> str:
    words = f"{row['molecules_per_second']['median']:,.0f}"
    if row["times_baseline"] is not None:
        words += f", {row['times_baseline']['median']:.1f}x"
    percent = row["facts"].get("percent_of_floor")
    return words if percent is None else f"{words}, {percent:.0f} % of floor"
