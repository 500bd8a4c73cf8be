"""Figures that help to choose a pack size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

from gnnpack.tracking.figures import BLUE, GREY, figure
from gnnpack.tracking.json_file import AnyPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that colour-blind readers tell apart (Okabe and Ito 2008), and dashes for grey printers.
_LINES: Sequence[tuple[str, Any, float]] = (
    ("#0072b2", "-", 2.0),
    ("#d55e00", "-", 1.5),
    ("#009e73", (0, (5, 2)), 1.5),
    ("#cc79a7", (0, (1, 1.2)), 1.8),
    ("#e69f00", (0, (5, 1.5, 1, 1.5)), 1.5),
    ("#56b4e9", (0, (3, 1, 1, 1, 1, 1)), 1.5),
    ("#000000", (0, (2, 3)), 1.2),
)
# Less than this many percent of empty slots is drawn as this many.
_LEAST_EMPTY = 1e-4


def packing_efficiency(
    num_atoms: Any,
    filled: Mapping[str, Any],
    possible: Any,
    path: AnyPath,
    *,
    title: str,
    marked: Mapping[int, str] | None = None,
) -> None:
    """Filled and empty atom slots against pack size, a line a packer.

    num_atoms: (R,) pack sizes, ascending. filled: packer -> (R,) shares of atom slots, in [0, 1].
    possible: (R,) shares that no packer passes. marked: pack sizes to point out and what they are.
    ValueError: no sizes, or lines of other lengths.
    """
    sizes, bound = np.asarray(num_atoms), np.asarray(possible, dtype=np.float64)
    curves = {name: np.asarray(share, dtype=np.float64) for name, share in filled.items()}
    lengths = {name: share.size for name, share in {**curves, "possible": bound}.items()}
    if sizes.size == 0 or set(lengths.values()) != {sizes.size}:
        raise ValueError(
            f"packing_efficiency got {sizes.size} pack sizes and lines of {lengths}; "
            "pass one share a size, and at least one size."
        )
    with figure(path, 10.0, 7.6) as drawing:
        drawing.suptitle(title, fontsize=13, fontweight="bold")
        upper, lower = drawing.subplots(2, 1, sharex=True, height_ratios=[1.15, 1.0])
        for (name, share), line in zip(curves.items(), _cycled(len(curves))):
            _draw(upper, sizes, 100 * share, name, line)
            _draw(lower, sizes, _empty(share), name, line)
        for axes, values, edge in ((upper, 100 * bound, 101.0), (lower, _empty(bound), 1e-9)):
            axes.fill_between(
                sizes, values, edge, color=GREY, alpha=0.18, linewidth=0, label="proven impossible"
            )
        _mark(upper, lower, marked or {})
        lowest = min(float(share.min()) for share in curves.values())
        upper.set(ylim=(max(0.0, np.floor(10 * lowest) * 10), 101), ylabel="filled atom slots (%)")
        # Above the panel: the lines need all of it.
        upper.legend(loc="lower left", bbox_to_anchor=(0, 1.06), ncols=4, fontsize=9)
        lower.set(
            xlabel="pack size (atoms)",
            ylabel=f"empty atom slots (%),\ndrawn from {_LEAST_EMPTY:g} on",
            yscale="log",
        )
        worst = max(float(_empty(share).max()) for share in curves.values())
        lower.set_ylim(0.7 * min(_empty(share).min() for share in curves.values()), 1.5 * worst)
        lower.yaxis.set_major_formatter("{x:g}")
        lower.set_xlim(float(sizes[0]), float(sizes[-1]) + (sizes.size == 1))


def molecule_sizes(sizes: Any, counts: Any, path: AnyPath, *, title: str) -> None:
    """How many molecules, counts (S,), have each number of atoms, sizes (S,)."""
    atoms, molecules = np.asarray(sizes, dtype=np.int64), np.asarray(counts, dtype=np.int64)
    if atoms.size == 0 or atoms.shape != molecules.shape:
        raise ValueError(
            f"molecule_sizes got {atoms.size} sizes and {molecules.size} counts; "
            "pass one count a size, and at least one size."
        )
    mean = float(atoms @ molecules / molecules.sum())
    # Bars that touch where sizes are multiples of a common divisor.
    width = 0.9 * max(1, int(np.gcd.reduce(atoms)))
    with figure(path, 10.0, 4.0) as drawing:
        drawing.suptitle(title, fontsize=13, fontweight="bold")
        for axes, scale in zip(drawing.subplots(1, 2), ("linear", "log")):
            axes.bar(atoms, molecules, width=width, color=BLUE)
            axes.axvline(mean, color=GREY, linestyle="--", linewidth=1.2, label=f"mean {mean:.2f}")
            axes.set(title=f"{scale} scale", xlabel="atoms in a molecule", ylabel="molecules")
            axes.set_yscale(scale)
            # A bar of one molecule has a height on the log scale, too.
            axes.set_ylim(bottom=0.7 if scale == "log" else 0)
            axes.yaxis.set_major_formatter("{x:,.0f}")
            axes.grid(visible=False, axis="x")
            axes.legend(loc="upper left")


def empty_slots(
    plans: Mapping[str, tuple[Any, Any]], path: AnyPath, *, title: str, most_shown: int = 20
) -> None:
    """Share of packs by their number of empty atom slots, bars side by side for every plan.

    plans: label -> (empty (K,), packs (K,)): so many packs have so many slots empty. Packs with
    more than most_shown are counted together.
    """
    if not plans:
        raise ValueError("empty_slots got no plans; pass at least one.")
    tables = {}
    for label, (empty, packs) in plans.items():
        shown = np.minimum(np.asarray(empty, dtype=np.int64), most_shown)
        table = np.bincount(shown, weights=np.asarray(packs), minlength=most_shown + 1)
        tables[label] = 100 * table / table.sum()
    used = max(int(np.flatnonzero(table)[-1]) for table in tables.values())
    places, width = np.arange(used + 1), 0.84 / len(tables)
    with figure(path, 10.0, 4.0) as drawing:
        axes = drawing.subplots()
        for number, (label, table) in enumerate(tables.items()):
            shift = (number - (len(tables) - 1) / 2) * width
            color = _LINES[number % len(_LINES)][0]
            axes.bar(places + shift, table[: used + 1], width=width, color=color, label=label)
        axes.set(title=title, xlabel="empty atom slots in a pack", ylabel="packs (%)", yscale="log")
        axes.set_ylim(0.5 * min(table[table > 0].min() for table in tables.values()), 150)
        names = [f"{place:g}" for place in places]
        if used == most_shown:
            names[-1] = f"{most_shown}+"
        axes.set_xticks(places, names)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.grid(visible=False, axis="x")
        axes.legend()


def _cycled(number: int) -> list[tuple[str, Any, float]]:
    return [_LINES[place % len(_LINES)] for place in range(number)]


def _empty(share: Any) -> Any:
    return np.maximum(100 * (1 - share), _LEAST_EMPTY)


def _draw(axes: Axes, sizes: Any, values: Any, name: str, line: tuple[str, Any, float]) -> None:
    color, dashes, width = line
    # A single size has no line.
    marker = "o" if sizes.size == 1 else ""
    axes.plot(
        sizes, values, color=color, linestyle=dashes, linewidth=width, label=name, marker=marker
    )


def _mark(upper: Axes, lower: Axes, marked: Mapping[int, str]) -> None:
    for place, (size, name) in enumerate(sorted(marked.items())):
        for axes in (upper, lower):
            axes.axvline(size, color=GREY, linewidth=1.0, linestyle="--", zorder=0.9)
        text = f"{size}: {name}"
        # Near neighbours write below each other.
        upper.annotate(
            text,
            (size, 0.04 + 0.08 * (place % 3)),
            xycoords=("data", "axes fraction"),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=9,
            color="#374151",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5},
        )
