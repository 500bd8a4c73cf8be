"""Figures of a run as PNG files; matplotlib is imported only when one is drawn."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator

import numpy as np

from gnnpack.tracking.error_unit import error_unit
from gnnpack.tracking.json_file import AnyPath, explain_write_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
BLUE, ORANGE, GREY = "#2f6da8", "#d1662a", "#6b7280"

STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#4b5563",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


@contextmanager
def figure(path: AnyPath, width: float, height: float) -> Iterator[Figure]:
    """A clean figure of ``width`` x ``height`` inches, saved to ``path`` at 150 dpi afterwards.

    OSError names the path and the cure.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(dict(STYLE)):
        drawing = Figure(figsize=(width, height))
        drawing.set_layout_engine("constrained", w_pad=0.12, h_pad=0.06)
        yield drawing
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # A Figure without pyplot draws with Agg, so no display is needed.
            drawing.savefig(path, dpi=DPI, format="png")
        except OSError as error:
            raise explain_write_error(error, path) from error


def predicted_against_true(
    predicted: Any, true: Any, unit: str, path: AnyPath, title: str | None = None
) -> None:
    """Predicted against true values in ``unit``, both (M,), with the histogram of errors beside."""
    predicted = _finite_column(predicted, "predicted")
    true = _finite_column(true, "true")
    if predicted.shape != true.shape:
        raise ValueError(
            f"predicted_against_true got {predicted.size} predictions and {true.size} true "
            "values; pass one of each per molecule."
        )
    with figure(path, 10.0, 4.6) as drawing:
        left, right = drawing.subplots(1, 2, width_ratios=[1.0, 1.1])
        if title:
            drawing.suptitle(title, fontsize=13, fontweight="bold")
        _parity(left, predicted, true, unit)
        _error_histogram(right, predicted - true, unit)


def pack_fill(atoms_per_pack: Any, capacity: int, molecules_per_pack: Any, path: AnyPath) -> None:
    """Histograms of filled atom slots and of molecules per pack, both (num_packs,)."""
    atoms = np.asarray(atoms_per_pack, dtype=np.int64)
    molecules = np.asarray(molecules_per_pack, dtype=np.int64)
    if atoms.size == 0 or atoms.shape != molecules.shape or capacity < 1:
        raise ValueError(
            f"pack_fill got {atoms.size} and {molecules.size} packs of capacity {capacity}; "
            "pass one count of atoms and of molecules per pack, and a capacity of at least 1."
        )
    efficiency = atoms.sum() / (atoms.size * capacity)
    with figure(path, 10.0, 4.2) as drawing:
        left, right = drawing.subplots(1, 2, width_ratios=[1.4, 1.0])
        drawing.suptitle(
            f"{atoms.size:,} packs of {capacity} atom slots: {100 * efficiency:.2f} % filled",
            fontsize=13,
            fontweight="bold",
        )
        _count_bars(left, atoms, BLUE)
        left.axvline(
            capacity + 0.5, color=GREY, linestyle="--", linewidth=1.2, label=f"capacity {capacity}"
        )
        left.set(title="Atoms", xlabel="filled atom slots in a pack", ylabel="packs")
        left.set_yscale("log")
        _thousands(left)
        left.legend(loc="upper left")
        _count_bars(right, molecules, ORANGE)
        right.set(
            title=f"Molecules: {molecules.mean():.2f} a pack",
            xlabel="molecules in a pack",
            ylabel="packs",
        )
        right.xaxis.get_major_locator().set_params(integer=True)
        _thousands(right)


def _parity(axes: Axes, predicted: Any, true: Any, unit: str) -> None:
    low = float(min(true.min(), predicted.min()))
    high = float(max(true.max(), predicted.max()))
    pad = 0.03 * (high - low) or 0.5
    limits = (low - pad, high + pad)
    # Thousands of dots hide how many lie where.
    if true.size > 2000:
        cells = axes.hexbin(
            true, predicted, gridsize=70, bins="log", cmap="viridis", mincnt=1, linewidths=0.1
        )
        axes.figure.colorbar(cells, ax=axes, label="molecules", pad=0.02)
    else:
        axes.plot(true, predicted, "o", color=BLUE, markersize=3.5, alpha=0.6, markeredgewidth=0)
    axes.plot(limits, limits, color=GREY, linewidth=1.0, linestyle="--", zorder=0.9)
    axes.set(xlim=limits, ylim=limits, xlabel=f"true ({unit})", ylabel=f"predicted ({unit})")
    axes.set_aspect("equal", adjustable="box")
    mae = _with_unit(float(np.abs(predicted - true).mean()), unit)
    axes.set_title(f"{true.size:,} molecules, MAE {mae}")


def _error_histogram(axes: Axes, error: Any, unit: str) -> None:
    scale, shown_unit = _error_scale(float(np.abs(error).mean()), unit)
    error = error * scale
    reach = float(np.quantile(np.abs(error), 0.995)) or 1.0
    # Odd, so that zero lies inside a bin; few molecules get wide bins.
    bins = 2 * int(np.clip(np.sqrt(error.size) / 2, 5, 40)) + 1
    beyond = int((np.abs(error) > reach).sum())
    axes.hist(error, bins=bins, range=(-reach, reach), color=BLUE)
    axes.axvline(0.0, color=GREY, linewidth=1.0, linestyle="--")
    axes.set(
        title="Errors",
        xlabel=f"predicted - true ({shown_unit})",
        ylabel="molecules",
        xlim=(-reach, reach),
    )
    facts = [
        ("mean", f"{error.mean():.3g}"),
        ("median |error|", f"{np.median(np.abs(error)):.3g}"),
        ("RMSE", f"{np.sqrt((error**2).mean()):.3g}"),
    ]
    text = "\n".join(f"{name} {value} {shown_unit}" for name, value in facts)
    if beyond:
        text += f"\n{beyond:,} beyond the axis"
    box = {"facecolor": "white", "edgecolor": "none", "pad": 3.0}
    axes.text(
        0.98, 0.97, text, transform=axes.transAxes, ha="right", va="top", fontsize=9, bbox=box
    )
    _thousands(axes)


def _count_bars(axes: Axes, values: Any, color: str) -> None:
    counts = np.bincount(values)
    present = np.flatnonzero(counts)
    axes.bar(present, counts[present], width=0.9, color=color)
    axes.grid(visible=False, axis="x")


def _thousands(axes: Axes) -> None:
    axes.yaxis.set_major_formatter("{x:,.0f}")


def _error_scale(size: float, unit: str) -> tuple[float, str]:
    return error_unit(unit) if size < 1.0 else (1.0, unit)


def _with_unit(value: float, unit: str) -> str:
    scale, shown_unit = _error_scale(value, unit)
    return f"{value * scale:.3g} {shown_unit}"


def _finite_column(values: Any, name: str) -> Any:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1 or column.size == 0:
        raise ValueError(f"{name} has shape {column.shape}; pass one value per molecule, (M,).")
    wrong = np.flatnonzero(~np.isfinite(column))
    if wrong.size:
        raise ValueError(
            f"{name}[{wrong[0]}] is {column[wrong[0]]} ({wrong.size} such values), so no figure "
            "can be drawn; look for the first NaN in metrics.csv."
        )
    return column
