"""Plotly-like figures on paper: places, errors, axes, and text that means something to others."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from gnnpack.experiments import report_figures as figures
from gnnpack.experiments.report_axes import Axis
from gnnpack.experiments.report_drawing import draw, write_figure
from gnnpack.experiments.report_marks import draw_legend
from gnnpack.experiments.report_traces import draw_traces

NASTY = "<b>$\\frac{$</b> & \x00\udc80 中 🙂 -->"


def bars(**more):
    return {"type": "bar", "name": "a", "x": ["p", "q"], "y": [1.0, 3.0], **more}


def axes_with(traces, barmode="group"):
    axes = Figure().subplots()
    x = Axis({}, [trace["x"] for trace in traces])
    y = Axis({}, [trace["y"] for trace in traces])
    draw_traces(axes, traces, x, y, barmode)
    return axes


def test_grouped_bars_stand_beside_and_stacked_ones_upon_each_other():
    both = [bars(), bars(name="b", y=[2.0, 5.0])]
    boxes = [patch.get_bbox() for patch in axes_with(both).patches]
    assert [box.height for box in boxes] == [1.0, 3.0, 2.0, 5.0]
    assert boxes[0].x1 == pytest.approx(boxes[2].x0)
    assert boxes[1].x1 < 1.0 + 1e-9
    boxes = [patch.get_bbox() for patch in axes_with(both, "stack").patches]
    assert [box.y0 for box in boxes] == [0.0, 0.0, 1.0, 3.0]


def test_alike_traces_are_still_two():
    boxes = [patch.get_bbox() for patch in axes_with([bars(), bars()]).patches]
    assert len({box.x0 for box in boxes}) == 4


def test_lying_bars_have_their_errors_along():
    trace = {"type": "bar", "orientation": "h", "x": [4.0, None], "y": ["p", "q"]}
    trace["error_x"] = {"array": [1.0, None], "arrayminus": [3.0, None], "symmetric": False}
    axes = axes_with([trace])
    assert axes.patches[0].get_width() == 4.0
    (whisker,) = [c for c in axes.collections if len(c.get_segments())]
    assert whisker.get_segments()[0][:, 0].tolist() == [1.0, 5.0]


@pytest.mark.parametrize("mode", ["lines", "markers", "lines+markers", "markers+text"])
def test_scatter_draws_what_there_is(mode):
    trace = {"type": "scatter", "mode": mode, "x": [1, 2, None], "y": [1.0, float("nan"), 2.0]}
    trace["text"] = ["a", "b", "c"]
    (line,) = axes_with([trace]).lines
    assert np.isnan(line.get_xdata()[2])
    assert (line.get_linestyle() != "None") == ("lines" in mode)
    assert (line.get_marker() != "None") == ("markers" in mode)


def test_an_axis_from_zero_holds_zero_and_a_reversed_one_turns():
    axes = Figure().subplots()
    axes.plot([3.0, 4.0], [3.0, 4.0])
    Axis({"rangemode": "tozero"}, [[3.0, 4.0]]).finish(axes, "x")
    Axis({"autorange": "reversed"}, [[3.0, 4.0]]).finish(axes, "y")
    assert axes.get_xlim()[0] == 0.0
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_categories_keep_their_order():
    axis = Axis({"categoryarray": ["b", "a"]}, [["a", "c", "b"]])
    assert axis.places(["b", "a", "c"]) == [0.0, 1.0, 2.0]


def test_an_unknown_trace_is_refused():
    with pytest.raises(ValueError, match="'pie' is not drawn"):
        draw({"data": [{"type": "pie", "name": "p"}]})


def test_any_text_is_drawn_and_the_svg_is_xml():
    figure = figures.rows_figure(
        [NASTY, "_b"],
        [bars(name=NASTY, orientation="h", x=[1.0, 2.0], y=[NASTY, "_b"], text=[NASTY, ""])],
        figures.axis(NASTY, log=True),
        title={"text": NASTY},
        showlegend=True,
        **figures.vertical(1.5, NASTY),
    )
    png, svg = draw(figure)
    assert png.startswith(b"\x89PNG")
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    figure = figures.figure([bars()], figures.axis("x"), figures.axis("y"))
    assert draw(figure) == draw(figure)
    svg = write_figure(figure, tmp_path / "figures", "bars")
    assert (tmp_path / "figures" / "bars.svg").read_text(encoding="utf-8") == svg
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == ["bars.png", "bars.svg"]


def test_a_line_far_from_all_values_becomes_a_note():
    near, far = figures.beyond(3.0, "mean", [1.0, 2.0]), figures.beyond(90.0, "mean", [1.0, 2.0])
    assert near["shapes"][0]["x0"] == 3.0
    assert "shapes" not in far
    assert far["annotations"][0]["text"] == "mean →"


def test_a_dash_is_seen_in_the_legend():
    """Beside the mark, which is in the middle, there is room for a dash and a gap."""
    trace = {"type": "scatter", "mode": "lines+markers", "x": [1, 2], "y": [1.0, 2.0]}
    traces = [{**trace, "name": dash, "line": {"dash": dash}} for dash in ("solid", "dash")]
    axes = axes_with(traces)
    draw_legend(axes.figure, axes, traces, {})
    (legend,) = axes.figure.legends
    width, mark = axes.lines[1].get_linewidth(), axes.lines[1].get_markersize()
    dash, gap = 3.7 * width, 1.6 * width  # matplotlib's, in points
    length = legend.handlelength * legend.get_texts()[0].get_fontsize()
    assert (length - mark) / 2 > dash + gap
