"""Scatter and bar traces of a plotly figure, drawn by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from gnnpack.experiments.report_axes import Axis, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Trace = Mapping[str, Any]

DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "x": "X",
    "cross": "P",
    "star": "*",
}


def draw_traces(axes: Axes, traces: Sequence[Trace], x: Axis, y: Axis, barmode: str) -> None:
    """All of them in their order; ValueError for a type that is not drawn."""
    bars = [trace for trace in traces if trace.get("type") == "bar"]
    ends: dict[float, float] = {}
    for trace in traces:
        kind = trace.get("type", "scatter")
        if kind == "scatter":
            _scatter(axes, trace, x, y)
        elif kind == "bar":
            _bars(axes, trace, bars, (x, y), barmode, ends)
        else:
            raise ValueError(
                f"A trace {trace.get('name', '')!r} of type {kind!r} is not drawn on paper; make "
                "it a scatter or bar trace, or teach report_traces."
            )


def _scatter(axes: Axes, trace: Mapping[str, Any], x: Axis, y: Axis) -> None:
    mode = trace.get("mode", "lines+markers")
    line, marker = trace.get("line", {}), trace.get("marker", {})
    color = line.get("color") or marker.get("color")
    told = {"x": x.places(trace.get("x", ())), "y": y.places(trace.get("y", ()))}
    colors = marker.get("color") if isinstance(marker.get("color"), (list, tuple)) else None
    if colors is not None and "lines" not in mode:
        axes.scatter(told["x"], told["y"], c=list(colors), s=marker.get("size", 8) ** 2 / 2)
    else:
        axes.errorbar(
            told["x"],
            told["y"],
            xerr=_errors(trace.get("error_x")),
            yerr=_errors(trace.get("error_y")),
            color=color if isinstance(color, str) else None,
            ecolor=(trace.get("error_x") or trace.get("error_y") or {}).get("color"),
            elinewidth=1.3,
            capsize=3,
            linestyle=DASHES.get(line.get("dash", "solid"), "-") if "lines" in mode else "none",
            linewidth=float(line.get("width", 2.0)),
            marker=MARKERS.get(marker.get("symbol", "circle"), "o") if "markers" in mode else None,
            markersize=0.75 * float(marker.get("size", 8)),
            markeredgewidth=0,
            alpha=float(trace.get("opacity", marker.get("opacity", 1.0))),
            label=_label(trace),
        )
    if "text" in mode:
        for place, height, word in zip(told["x"], told["y"], trace.get("text", ())):
            axes.annotate(
                text(word), (place, height), (0, 5), textcoords="offset points", ha="center"
            )


def _bars(
    axes: Axes,
    trace: Trace,
    every: Sequence[Trace],
    both: tuple[Axis, Axis],
    barmode: str,
    ends: dict[float, float],
) -> None:
    """One trace's bars, beside or upon those of ``every`` other.

    Args:
        both: the x axis, the y axis.
        ends: where the bars stacked so far end, by place; grows.
    """
    lying = trace.get("orientation") == "h"
    along, across = both[::-1] if lying else both
    place_key, length_key = ("y", "x") if lying else ("x", "y")
    places, lengths = along.places(trace[place_key]), across.places(trace[length_key])
    slots = len(every) if barmode == "group" else 1
    number = next(i for i, one in enumerate(every) if one is trace) if barmode == "group" else 0
    width = 0.8 * along.step(every, place_key) / slots
    starts = [ends.get(place, 0.0) if barmode == "stack" else 0.0 for place in places]
    ends.update({p: s + n for p, s, n in zip(places, starts, lengths) if n == n})
    places = [place + (number - (slots - 1) / 2) * width for place in places]
    marker = trace.get("marker", {})
    color = marker.get("color")
    style: dict[str, Any] = {
        "color": list(color) if isinstance(color, (list, tuple)) else color,
        "alpha": float(trace.get("opacity", marker.get("opacity", 1.0))),
        "label": _label(trace),
        "error_kw": {"elinewidth": 1.3, "capsize": 3, "ecolor": "#4b5563"},
    }
    errors = _errors(trace.get(f"error_{length_key}"))
    if lying:
        axes.barh(places, lengths, width, left=starts, xerr=errors, **style)
    else:
        axes.bar(places, lengths, width, bottom=starts, yerr=errors, **style)
    for place, length, start, word in zip(places, lengths, starts, trace.get("text") or ()):
        if length == length:
            axes.annotate(
                text(word),
                (start + length, place) if lying else (place, start + length),
                (4, 0) if lying else (0, 2),
                textcoords="offset points",
                fontsize=8,
                ha="left" if lying else "center",
                va="center" if lying else "bottom",
            )


def _errors(error: Mapping[str, Any] | None) -> Any:
    """What matplotlib takes: (2, n) downward and upward, or None."""
    if not error or not error.get("visible", True) or "array" not in error:
        return None
    up = [0.0 if value is None else float(value) for value in error["array"]]
    down = error.get("arrayminus") if error.get("symmetric") is False else None
    return [up if down is None else [float(value or 0.0) for value in down], up]


def _label(trace: Mapping[str, Any]) -> str:
    # matplotlib leaves what begins with an underscore out of the legend.
    if not trace.get("showlegend", True) or not trace.get("name"):
        return "_"
    name = text(trace["name"])
    return f" {name}" if name.startswith("_") else name
