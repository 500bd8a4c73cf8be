"""Lines and words over a figure, and its legend, drawn by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from gnnpack.experiments.report_axes import Axis, text
from gnnpack.experiments.report_traces import DASHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEGEND_LETTERS = 120  # that fit beside each other
LEGEND_ROW_INCHES = 0.2
# In letters: on a shorter one a mark covers the gap that makes a line a dashed one.
HANDLE_LENGTH = 4.5


def draw_marks(axes: Axes, layout: Mapping[str, Any], x: Axis, y: Axis) -> None:
    """The layout's line shapes and annotations; ValueError for another shape."""
    for shape in layout.get("shapes", ()):
        if shape.get("type") != "line":
            raise ValueError(f"A shape of type {shape.get('type')!r} is not drawn on paper.")
        line = shape.get("line", {})
        style = {
            "color": line.get("color", "#4b5563"),
            "linewidth": float(line.get("width", 1.0)),
            "linestyle": DASHES.get(line.get("dash", "solid"), "-"),
            "zorder": 1.5,
        }
        if shape.get("yref") == "paper":
            axes.axvline(x.place(shape["x0"]), **style)
        elif shape.get("xref") == "paper":
            axes.axhline(y.place(shape["y0"]), **style)
        else:
            axes.plot(
                x.places([shape["x0"], shape["x1"]]), y.places([shape["y0"], shape["y1"]]), **style
            )
    for note in layout.get("annotations", ()):
        on_paper = (note.get("xref") == "paper", note.get("yref") == "paper")
        frames = {
            (True, True): axes.transAxes,
            (True, False): axes.get_yaxis_transform(),
            (False, True): axes.get_xaxis_transform(),
            (False, False): axes.transData,
        }
        axes.annotate(
            text(note.get("text")),
            (
                note["x"] if on_paper[0] else x.place(note["x"]),
                note["y"] if on_paper[1] else y.place(note["y"]),
            ),
            xycoords=frames[on_paper],
            ha={"left": "left", "right": "right"}.get(note.get("xanchor", ""), "center"),
            va={"bottom": "bottom", "top": "top"}.get(note.get("yanchor", ""), "center"),
            fontsize=9,
            color="#4b5563",
        )


def draw_legend(
    drawing: Figure, axes: Axes, traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]
) -> None:
    """Below the axes, for which the drawing grows."""
    handles, labels = axes.get_legend_handles_labels()
    if not layout.get("showlegend", len(traces) > 1) or not handles:
        return
    columns = max(1, min(4, len(labels), LEGEND_LETTERS // (max(map(len, labels)) + 8)))
    rows = -(-len(labels) // columns)
    width, height = drawing.get_size_inches()
    drawing.set_size_inches(width, height + LEGEND_ROW_INCHES * rows)
    drawing.legend(
        handles,
        labels,
        loc="outside lower left",
        ncols=columns,
        fontsize=8.5,
        handlelength=HANDLE_LENGTH,
    )
