"""Figures of what a data set holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from gnnpack.tracking.figures import BLUE, GREY, figure

if TYPE_CHECKING:
    from gnnpack.tracking.json_file import AnyPath

_BINS = 60


def bars(counts: Mapping[str, int], path: AnyPath, *, title: str, axis: str) -> None:
    """A bar a name, on a log scale; ValueError when there is none."""
    if not counts or min(counts.values()) < 1:
        raise ValueError(f"bars got {dict(counts)}; pass one count of 1 or more a name.")
    with figure(path, 8.0, 4.0) as drawing:
        axes = drawing.subplots()
        drawn = axes.bar(list(counts), list(counts.values()), color=BLUE)
        axes.bar_label(drawn, fmt="{:,.0f}", fontsize=8)
        axes.set(title=title, ylabel=axis, yscale="log")
        axes.set_ylim(bottom=0.7, top=3.0 * max(counts.values()))
        axes.grid(visible=False, axis="x")


def value_histogram(values: Any, path: AnyPath, *, title: str, axis: str) -> None:
    """How many molecules have which value, linear and log; values (M,); ValueError when M is 0."""
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or not column.size or not np.isfinite(column).all():
        raise ValueError(f"value_histogram got an array of shape {column.shape}; pass numbers.")
    with figure(path, 10.0, 4.0) as drawing:
        drawing.suptitle(title, fontsize=13, fontweight="bold")
        for axes, scale in zip(drawing.subplots(1, 2), ("linear", "log")):
            axes.hist(column, bins=_BINS, color=BLUE)
            mean = float(column.mean())
            axes.axvline(mean, color=GREY, linestyle="--", linewidth=1.2, label=f"mean {mean:.4g}")
            axes.set(title=f"{scale} scale", xlabel=axis, ylabel="molecules", yscale=scale)
            # A bar of one molecule has a height on the log scale, too.
            axes.set_ylim(bottom=0.7 if scale == "log" else 0)
            axes.legend(loc="best")
