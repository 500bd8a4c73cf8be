"""An axis of a plotly figure, for matplotlib: numbers as they are, categories at 0, 1, 2, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

from gnnpack.experiments.report_text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAN = float("nan")


class Axis:
    """Turns a figure's coordinates into places, and gives matplotlib's axis its look.

    Args:
        layout: plotly's ``xaxis`` or ``yaxis``.
        coordinates: those of each trace.
    """

    def __init__(self, layout: Mapping[str, Any], coordinates: Sequence[Sequence[Any]]) -> None:
        self._layout = layout
        # A trace may hold an array of numpy, which has no truth value.
        every = [one for of_trace in coordinates for one in of_trace]
        category = layout.get("type") == "category" or any(isinstance(one, str) for one in every)
        self._names: list[str] | None = None
        self._negative = not category and any(one is not None and one < 0 for one in every)
        if category:
            names = [*layout.get("categoryarray", ()), *every]
            self._names = list(dict.fromkeys(str(one) for one in names if one is not None))

    def place(self, coordinate: Any) -> float:
        """Where on the axis; NaN for None and for what is no number."""
        if coordinate is None:
            return NAN
        if self._names is None:
            return float(coordinate)
        return float(self._names.index(str(coordinate)))

    def places(self, coordinates: Sequence[Any]) -> list[float]:
        """Where on the axis they are."""
        return [self.place(one) for one in coordinates]

    def step(self, traces: Sequence[Mapping[str, Any]], key: str) -> float:
        """The least distance between two bars of the traces; 1 for categories."""
        if self._names is not None:
            return 1.0
        places = sorted({p for trace in traces for p in self.places(trace[key]) if p == p})
        return min((b - a for a, b in zip(places, places[1:])), default=1.0)

    def scale(self, axes: Axes, which: str) -> None:
        """Make it a log axis where it is one."""
        if self._layout.get("type") == "log":
            axes.set(**{f"{which}scale": "log"})

    def finish(self, axes: Axes, which: str) -> None:
        """Title, ticks, limits and direction; after everything is drawn."""
        axis = axes.xaxis if which == "x" else axes.yaxis
        axis.set_label_text(text(self._layout.get("title")))
        if self._names is not None:
            self._categories(axes, axis, which)
        elif self._layout.get("tickvals") is not None:
            ticks = [float(one) for one in self._layout["tickvals"]]
            words = self._layout.get("ticktext") or [f"{one:g}" for one in ticks]
            axis.set_ticks(ticks, [text(word) for word in words])
            axis.set_ticks([], minor=True)
        elif self._layout.get("type") == "log":
            plain_log_labels(axis)
            axis.grid(visible=True, which="minor", alpha=0.5)
        else:
            axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        self._limits(axes, which)

    def _categories(self, axes: Axes, axis: Any, which: str) -> None:
        assert self._names is not None
        names = [text(name) for name in self._names]
        axis.set_ticks(range(len(names)), names)
        axis.grid(visible=False)
        if which == "x" and sum(map(len, names)) > 70:
            for label in axis.get_ticklabels():
                label.set(rotation=25, ha="right")
        axes.set(**{f"{which}lim": (-0.6, len(names) - 0.4)})

    def _limits(self, axes: Axes, which: str) -> None:
        told = self._layout.get("range")
        if told is not None and self._names is None:
            low, high = (10.0**one if self._layout.get("type") == "log" else one for one in told)
            axes.set(**{f"{which}lim": (low, high)})
        elif self._layout.get("rangemode") == "tozero" and self._layout.get("type") != "log":
            low, high = getattr(axes, f"get_{which}lim")()
            axes.set(**{f"{which}lim": (low if self._negative else 0.0, high)})
        if self._layout.get("autorange") == "reversed":
            getattr(axes, f"invert_{which}axis")()


def text(told: Any) -> str:
    """Of a title or a tick, as matplotlib takes it: a dollar would begin a formula.

    >>> text({"text": "5 $"}), text(None)
    ('5 \\\\$', '')
    """
    if isinstance(told, Mapping):
        told = told.get("text")
    return "" if told is None else printable(str(told)).replace("$", r"\$")


def plain_log_labels(axis: Any) -> None:
    """Labels 0.5, 1, 1,000 in place of powers of ten; also between them where few decades show."""
    from matplotlib.ticker import FuncFormatter, LogFormatter

    which = LogFormatter(minor_thresholds=(2, 0.6))
    which.set_axis(axis)

    def minor(value: float, position: int | None) -> str:
        which.set_locs()
        return f"{value:,.10g}" if which(value, position) else ""

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(FuncFormatter(minor))
