"""A figure as plotly draws it on the page, and plotly's own script."""

from __future__ import annotations

import math
from typing import Any, Mapping, Sequence

PAGE_LETTERS = 130  # of a legend's names that fit beside each other


def plotly_js() -> str | None:
    """plotly.js of the installed plotly; None without one."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        return None
    return str(get_plotlyjs())


def dressed(figure: Mapping[str, Any]) -> dict[str, Any]:
    """The figure with the page's fonts and margins; colours of the theme come from its script."""
    told = dict(figure.get("layout", {}))
    axes = {name: dict(told[name]) for name in told if name[:5] in ("xaxis", "yaxis")}
    for axis in axes.values():
        axis.setdefault("automargin", True)
        axis.setdefault("ticks", "" if axis.get("type") == "category" else "outside")
        axis.setdefault("showgrid", axis.get("type") != "category")
        axis.setdefault("zeroline", False)
        if axis.get("type") == "log":
            # Else a 2 and a 5 stand small between powers of ten.
            axis.setdefault("dtick", "D2")
        if axis.get("type") != "category":
            axis.setdefault("tickformat", ",.12~g")
            axis.setdefault("hoverformat", ",.5~g")
    notes = [_placed(note, axes) for note in told.get("annotations", ())]
    layout = {
        "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 13},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 70, "r": 24, "t": 40, "b": 60},
        "legend": {"orientation": "h", "x": 0, "yref": "container", "y": 0, "yanchor": "bottom"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "#8a8f98", "activecolor": "#5b6470"},
        "hovermode": "closest",
        "separators": ".,",
        "height": 450,
        **told,
        **axes,
    }
    traces = list(figure.get("data", ()))
    legend = legend_height(traces, told)
    layout["height"] += legend
    layout["margin"] = {**layout["margin"], "b": layout["margin"]["b"] + legend}
    return {"data": traces, "layout": {**layout, "annotations": notes}}


def legend_height(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> int:
    """Pixels of a legend below the axes."""
    names = [str(one.get("name", "")) for one in traces if one.get("showlegend", True)]
    if len(names) < 2 or not layout.get("showlegend", True):
        return 0
    columns = max(1, PAGE_LETTERS // (max(map(len, names)) + 8))
    return 22 * -(-len(names) // columns)


def _placed(note: Mapping[str, Any], axes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The annotation where plotly wants it: on a log axis at the logarithm."""
    placed = dict(note)
    for which in ("x", "y"):
        if note.get(f"{which}ref") != "paper" and axes.get(f"{which}axis", {}).get("type") == "log":
            placed[which] = math.log10(note[which])
    return placed
