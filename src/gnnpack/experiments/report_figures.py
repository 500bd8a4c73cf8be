"""Figures as plain plotly dicts: the colours and the traces that sections share."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

# Okabe and Ito's colours, which the colour-blind tell apart; yellow left out, too pale on white.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
DASHES = ("solid", "dash", "dot", "dashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
GREY = "#8a8f98"
# No group is drawn twice alike below this number.
LIMIT = 20


def color(number: int) -> str:
    """Of the group with this number."""
    return PALETTE[number % len(PALETTE)]


def dash(number: int) -> str:
    """Of its line: a colour that comes again is dashed."""
    return DASHES[number // len(PALETTE) % len(DASHES)]


def symbol(number: int) -> str:
    """Of its marks: a colour that comes again has another shape."""
    return SYMBOLS[number // len(PALETTE) % len(SYMBOLS)]


def axis(title: str, *, log: bool = False, **more: Any) -> dict[str, Any]:
    """An axis with its title, unit included."""
    return {"title": {"text": title}, "type": "log" if log else "linear", **more}


def figure(
    traces: Sequence[Mapping[str, Any]],
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    **layout: Any,
) -> dict[str, Any]:
    """A figure of one pair of axes; colours of the page are no part of it."""
    return {
        "data": [dict(trace) for trace in traces],
        "layout": {"xaxis": dict(x), "yaxis": dict(y), **layout},
    }


def rows_figure(
    labels: Sequence[str],
    traces: Sequence[Mapping[str, Any]],
    x: Mapping[str, Any],
    **layout: Any,
) -> dict[str, Any]:
    """One row a label, the first at the top; the traces' ``y`` are labels."""
    rows = {
        "type": "category",
        "categoryorder": "array",
        "categoryarray": list(labels),
        "autorange": "reversed",
        "automargin": True,
    }
    return figure(traces, x, rows, height=150 + 34 * len(labels), **layout)


def vertical(value: float, text: str, values: Sequence[float] = ()) -> dict[str, Any]:
    """A dashed line across all rows at ``value``, with its name: what goes into a layout.

    values: what else is drawn; the name stands on the side where more room is.
    """
    return {
        "shapes": [
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": value,
                "x1": value,
                "y0": 0,
                "y1": 1,
                "line": {"color": GREY, "width": 1.5, "dash": "dash"},
            }
        ],
        "annotations": [
            {
                "xref": "x",
                "yref": "paper",
                "x": value,
                "y": 1,
                "text": text,
                "showarrow": False,
                "xanchor": "right" if values and value > max(values) / 2 else "left",
                "yanchor": "bottom",
            }
        ],
    }


def beyond(value: float, text: str, values: Sequence[float]) -> dict[str, Any]:
    """The line of ``vertical``, or where it lies far from the values a note that points to it.

    It would press all that differs between the values into a corner.
    """
    low, high = min(values), max(values)
    if low - 2 * (high - low) <= value <= high + 2 * (high - low):
        return vertical(value, text, values)
    right = value > high
    note = {
        "xref": "paper",
        "yref": "paper",
        "x": 1 if right else 0,
        "y": 1,
        "text": f"{text} →" if right else f"← {text}",
        "showarrow": False,
        "xanchor": "right" if right else "left",
        "yanchor": "bottom",
    }
    return {"annotations": [note]}


def wide(values: Sequence[float], times: float = 20.0) -> bool:
    """Whether positive values span so much that only a log axis shows them all."""
    return bool(values) and min(values) > 0 and max(values) > times * min(values)
