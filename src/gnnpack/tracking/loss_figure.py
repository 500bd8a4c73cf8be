"""Loss curves from metrics.csv."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

from gnnpack.tracking.figures import BLUE, ORANGE, figure
from gnnpack.tracking.json_file import AnyPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More points than this look like noise; a running median shows the way they go.
SMOOTH_ABOVE = 60


def loss_curves(
    metrics_csv: AnyPath,
    path: AnyPath,
    *,
    unit: str | None = None,
    loss_column: str = "train/loss",
    val_column: str = "val/mae",
) -> None:
    """Draw training loss and validation MAE (in ``unit``) over updates, both on a log scale.

    Updates come from the column ``updates``, else from ``step`` + 1. ValueError when the file
    holds neither curve.
    """
    rows = _rows(metrics_csv)
    loss = _curve(rows, [loss_column, loss_column + "_step", loss_column + "_epoch"])
    val = _curve(rows, [val_column])
    curves = [c for c in (("loss", loss), ("val", val)) if c[1] is not None]
    if not curves:
        found = sorted(set().union(*rows)) if rows else []
        raise ValueError(
            f"{metrics_csv} has no values in {loss_column!r} or {val_column!r}; it has {found}. "
            "Pass the columns that hold the loss and the validation MAE."
        )
    with figure(path, 5.0 * len(curves), 4.0) as drawing:
        panels = drawing.subplots(1, len(curves), squeeze=False)[0]
        for axes, (kind, points) in zip(panels, curves):
            if kind == "loss":
                _draw_loss(axes, points)
            else:
                _draw_val(axes, points, unit)
            _finish(axes, points)


def _draw_loss(axes: Axes, points: Any) -> None:
    many = len(points) > SMOOTH_ABOVE
    axes.plot(points[:, 0], points[:, 1], color=BLUE, linewidth=0.8, alpha=0.35 if many else 1.0)
    if many:
        smooth = _running_median(points[:, 1], max(3, len(points) // 30))
        axes.plot(points[:, 0], smooth, color=BLUE, linewidth=1.8, label="running median")
        axes.legend(loc="upper right")
    axes.set(title="Training loss", ylabel="loss of the update")


def _draw_val(axes: Axes, points: Any, unit: str | None) -> None:
    axes.plot(points[:, 0], points[:, 1], "o-", color=ORANGE, linewidth=1.8, markersize=4)
    best = points[np.argmin(points[:, 1])]
    shown = f"{best[1]:.4g} {unit}" if unit else f"{best[1]:.4g}"
    axes.set(
        title=f"Validation MAE, best {shown}",
        ylabel=f"validation MAE ({unit})" if unit else "validation MAE",
    )


def _finish(axes: Axes, points: Any) -> None:
    from matplotlib.ticker import EngFormatter

    axes.set_xlabel("updates")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    if (points[:, 1] > 0).all():
        axes.set_yscale("log")
        _plain_log_labels(axes)
        axes.grid(visible=True, which="minor", axis="y", alpha=0.4)


def _plain_log_labels(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogFormatter

    # Lightly covered decades get labels between the powers of ten, too.
    which = LogFormatter(minor_thresholds=(2, 0.6))
    which.set_axis(axes.yaxis)

    def label(value: float, position: int | None) -> str:
        which.set_locs()
        return f"{value:g}" if which(value, position) else ""

    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(label))


def _rows(metrics_csv: AnyPath) -> list[dict[str, str]]:
    with Path(metrics_csv).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _curve(rows: list[dict[str, str]], names: Sequence[str]) -> Any:
    """Points (update, value) of the first column that has any, shape (n, 2); None if none has."""
    for name in names:
        points = [(_update(row), float(row[name])) for row in rows if row.get(name)]
        finite = [point for point in points if np.isfinite(point[1])]
        if finite:
            return np.array(sorted(finite))
    return None


def _update(row: dict[str, str]) -> float:
    if row.get("updates"):
        return float(row["updates"])
    return float(row["step"]) + 1.0


def _running_median(values: Any, window: int) -> Any:
    half = window // 2
    padded = np.pad(values, half, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
