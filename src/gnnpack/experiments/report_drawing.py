"""PNG and SVG of a figure that is told as a plain plotly dict; drawn by matplotlib.

Drawn are: scatter (lines, markers, text) and bar traces, upright or lying, grouped or stacked;
error bars; number, log and category axes with title, range, ticks, reversed or from zero; lines
as shapes; annotations without arrow; the legend. Other traces are refused.
"""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import Any, Mapping

from gnnpack.experiments.report_axes import Axis, text
from gnnpack.experiments.report_marks import draw_legend, draw_marks
from gnnpack.experiments.report_traces import draw_traces

WIDTH_INCHES = 8.6
PIXELS_PER_INCH = 100.0


def draw(figure: Mapping[str, Any]) -> tuple[bytes, str]:
    """PNG and SVG of the figure; the same figure gives the same bytes.

    Raises:
        ValueError: a trace is of a type that is not drawn.
    """
    import matplotlib
    from matplotlib.figure import Figure

    from gnnpack.tracking.figures import DPI, STYLE

    layout = figure.get("layout", {})
    # Identifiers of an SVG are random without a salt.
    settings = {**STYLE, "svg.hashsalt": "gnnpack", "svg.fonttype": "path"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # A run's name may hold signs the font has not; they are drawn as boxes.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing")
        height = float(layout.get("height", 450)) / PIXELS_PER_INCH
        drawing = Figure(figsize=(WIDTH_INCHES, height))
        drawing.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
        axes = drawing.subplots()
        traces = figure.get("data", ())
        x = Axis(layout.get("xaxis", {}), [trace.get("x", ()) for trace in traces])
        y = Axis(layout.get("yaxis", {}), [trace.get("y", ()) for trace in traces])
        # Before bars and error bars, whose ends depend on it.
        x.scale(axes, "x")
        y.scale(axes, "y")
        draw_traces(axes, traces, x, y, layout.get("barmode", "group"))
        # A line widens the axis it stands on.
        draw_marks(axes, layout, x, y)
        x.finish(axes, "x")
        y.finish(axes, "y")
        axes.set_title(text(layout.get("title")))
        draw_legend(drawing, axes, traces, layout)
        # Laid out once for both files.
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")
        png, svg = io.BytesIO(), io.BytesIO()
        drawing.savefig(png, dpi=DPI, format="png", metadata={"Software": None})
        drawing.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue().decode("utf-8")


def write_figure(figure: Mapping[str, Any], folder: Path, name: str) -> str:
    """Write ``name``.png and ``name``.svg, each whole or not at all; returns the SVG.

    OSError names the file and the cure.
    """
    png, svg = draw(figure)
    replace_bytes(folder / f"{name}.png", png)
    replace_bytes(folder / f"{name}.svg", svg.encode("utf-8"))
    return svg


def replace_bytes(path: Path, content: bytes) -> None:
    """Write a file that takes the place of an older one when it is whole."""
    from gnnpack.tracking.json_file import explain_write_error

    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        os.replace(beside, path)
    except OSError as error:
        raise explain_write_error(error, path) from error
    finally:
        if beside.exists():
            beside.unlink()
