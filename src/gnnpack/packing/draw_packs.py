"""Random packs from a fill law, as long as there are molecules for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import linked
from gnnpack.packing.fill_law import fill_series
from gnnpack.packing.random_numbers import unit

# Packs thrown away one after the other before a law is taken to be used up.
_MAX_REFUSED = 1000


class DrawTable(NamedTuple):
    """For each state of a pack, the next class (Walker 1977's alias tables).

    keep (N+1, C) float64 and other (N+1, C) int32: with n atoms still to fill, a class i drawn
    evenly stands with chance keep[n, i] and is other[n, i] otherwise.
    """

    keep: NDArray[np.float64]
    other: NDArray[np.int32]


class Drawn(NamedTuple):
    """classes (slots,) int32 pack after pack; offsets (packs+1,) int64; left (C,) int64."""

    classes: NDArray[np.int32]
    offsets: NDArray[np.int64]
    left: NDArray[np.int64]


def draw_table(sizes: NDArray[np.int64], weights: NDArray[np.float64], capacity: int) -> DrawTable:
    """The table by which packs of `capacity` atoms come out full, classes by their weights (C,)."""
    series = fill_series(sizes, weights, capacity)[0]
    keep = np.zeros((series.size, sizes.size))
    other = np.zeros((series.size, sizes.size), dtype=np.int32)
    linked(fill_aliases)(sizes, weights, series, keep, other)
    return DrawTable(keep, other)


def draw_packs(
    table: DrawTable,
    sizes: NDArray[np.int64],
    counts: NDArray[np.int64],
    num_packs: int,
    *,
    num_filler: int = 0,
    max_molecules: int | None = None,
    key: int,
    into: NDArray[np.int32] | None = None,
) -> Drawn:
    """Up to num_packs full packs from counts (C,) int64, fewer where the molecules run out.

    A pack that asks for a class of which none is left, or for more than max_molecules, is thrown
    away and drawn anew. The last num_filler classes are filler: counted, but not written. into:
    int32, room for all molecules, where the classes are to be written. A pure function of its
    arguments, with or without numba.
    """
    left = counts.astype(np.int64)
    slots = int(left[: left.size - num_filler].sum())
    most = slots if max_molecules is None else max_molecules
    classes = np.empty(slots, dtype=np.int32) if into is None else into
    offsets = np.zeros(num_packs + 1, dtype=np.int64)
    kernel = linked(draw_classes)
    # Hashes are numbers modulo 2**64.
    with np.errstate(over="ignore"):
        packs = kernel(*table, sizes, left, num_filler, most, np.uint64(key), classes, offsets)
    offsets = offsets[: packs + 1]
    return Drawn(classes[: offsets[-1]], offsets, left)


def fill_aliases(
    sizes: NDArray[np.int64],
    weights: NDArray[np.float64],
    series: NDArray[np.float64],
    keep: NDArray[np.float64],
    other: NDArray[np.int32],
) -> None:
    """`draw_table` for numba (Vose 1991's construction)."""
    num_classes = sizes.size
    poor = np.empty(num_classes, dtype=np.int64)
    rich = np.empty(num_classes, dtype=np.int64)
    for n in range(series.size):
        total = 0.0
        for i in range(num_classes):
            if sizes[i] <= n:
                keep[n, i] = weights[i] * series[n - sizes[i]]
                total += keep[n, i]
        if total <= 0.0:
            continue
        num_poor = 0
        num_rich = 0
        for i in range(num_classes):
            keep[n, i] *= num_classes / total
            other[n, i] = i
            if keep[n, i] < 1.0:
                poor[num_poor] = i
                num_poor += 1
            else:
                rich[num_rich] = i
                num_rich += 1
        while num_poor > 0 and num_rich > 0:
            num_poor -= 1
            needy = poor[num_poor]
            giver = rich[num_rich - 1]
            other[n, needy] = giver
            keep[n, giver] -= 1.0 - keep[n, needy]
            if keep[n, giver] < 1.0:
                num_rich -= 1
                poor[num_poor] = giver
                num_poor += 1


def draw_classes(
    keep: NDArray[np.float64],
    other: NDArray[np.int32],
    sizes: NDArray[np.int64],
    left: NDArray[np.int64],
    num_filler: int,
    max_molecules: int,
    key: np.uint64,
    classes: NDArray[np.int32],
    offsets: NDArray[np.int64],
) -> int:
    """`draw_packs` for numba: writes left, classes and offsets; returns the number of packs."""
    num_classes = sizes.size
    first_filler = num_classes - num_filler
    filler = np.zeros(num_filler, dtype=np.int64)
    packs = 0
    slot = 0
    refused = 0
    draws = 0
    while packs < offsets.size - 1 and refused < _MAX_REFUSED:
        room = keep.shape[0] - 1
        opened = slot
        filler[:] = 0
        sound = True
        while sound and room > 0:
            draws += 1
            place = unit(key, draws) * num_classes
            i = np.int64(place)
            if place - i >= keep[room, i]:
                i = np.int64(other[room, i])
            # Rounding may leave a class in the table that does not fit, with next to no chance.
            if left[i] == 0 or sizes[i] > room:
                sound = False
            elif i >= first_filler:
                filler[i - first_filler] += 1
                left[i] -= 1
                room -= sizes[i]
            elif slot - opened == max_molecules:
                sound = False
            else:
                classes[slot] = i
                slot += 1
                left[i] -= 1
                room -= sizes[i]
        if sound:
            packs += 1
            offsets[packs] = slot
            refused = 0
            continue
        refused += 1
        for drawn in range(opened, slot):
            left[classes[drawn]] += 1
        for one in range(num_filler):
            left[first_filler + one] += filler[one]
        slot = opened
    return packs
