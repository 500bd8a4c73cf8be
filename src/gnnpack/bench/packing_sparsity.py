"""How many neighbours an atom has, and how sparse that leaves a molecule's pairs."""

from __future__ import annotations

from functools import partial
from typing import Any, Iterator, Mapping, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.bench.packing_tables import timed_row
from gnnpack.bench.section import Section

COLUMNS = (
    *("molecules", "atoms", "mean_neighbours", "median_neighbours", "most_neighbours"),
    *("dense_percent", "slot_percent"),
)
# About 4 million pairs at once.
_PAIRS_AT_ONCE = 4_000_000


class Positions(NamedTuple):
    """Molecules to count neighbours in: pos (A, 3) Å, offsets (M+1,) int64, where they are from."""

    pos: NDArray[np.float32]
    offsets: NDArray[np.int64]
    source: str


def neighbour_section(molecules: Mapping[str, Positions], cutoff: float) -> Section:
    """Neighbours of every atom within `cutoff` Å, a row for each of `molecules`, by its title."""
    rows = [
        timed_row(title, title, partial(neighbour_facts, some, cutoff))
        for title, some in molecules.items()
    ]
    return Section(
        "neighbours",
        f"Neighbours of an atom within {cutoff:g} Å",
        "Counted from positions, every atom of every molecule. Dense percent: of all pairs of two "
        "atoms of one molecule, those that are neighbours. Slot percent: neighbours over the "
        "entries of square matrices as large as the largest molecule, one a molecule. Rows of "
        "made clusters have HydroNet's sizes and made geometries (dataset=water_clusters): they "
        "are no figures of HydroNet.",
        rows,
        COLUMNS,
        ("p10-p90", "molecules", "atoms"),
    )


def neighbour_facts(molecules: Positions, cutoff: float) -> dict[str, Any]:
    """Figures of the neighbours of every atom within `cutoff` Å."""
    counts = neighbour_counts(molecules.pos, molecules.offsets, cutoff)
    sizes = np.diff(molecules.offsets)
    total, largest = int(counts.sum()), int(sizes.max())
    ordered = int((sizes * (sizes - 1)).sum())
    return {
        "source": molecules.source,
        "molecules": int(sizes.size),
        "atoms": int(counts.size),
        "mean_neighbours": float(counts.mean()),
        "median_neighbours": int(np.median(counts)),
        "most_neighbours": int(counts.max()),
        "dense_percent": 100 * total / max(1, ordered),
        "slot_percent": 100 * total / (sizes.size * largest**2),
        # How many atoms have 0, 1, 2, ... neighbours.
        "histogram": np.bincount(counts).tolist(),
    }


def neighbour_counts(
    pos: NDArray[np.float32], offsets: NDArray[np.int64], cutoff: float
) -> NDArray[np.int64]:
    """Neighbours of each atom, (A,): other atoms of its molecule no further than `cutoff` Å.

    pos: (A, 3) Å; offsets: (M+1,). Molecules of equal size together.
    """
    found = np.zeros(int(offsets[-1]), dtype=np.int64)
    for size, rows in _by_size(offsets):
        atoms = offsets[rows][:, None] + np.arange(size)
        place = pos[atoms].astype(np.float64)
        squared = ((place[:, :, None] - place[:, None]) ** 2).sum(axis=-1)
        # An atom is within any distance of itself.
        found[atoms] = (squared <= cutoff**2).sum(axis=-1) - 1
    return found


def _by_size(offsets: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    sizes = np.diff(offsets)
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size)
        step = max(1, _PAIRS_AT_ONCE // size**2)
        for start in range(0, len(rows), step):
            yield size, rows[start : start + step]
