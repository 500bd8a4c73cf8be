"""Random packs from the law of two limits, as long as there are molecules for them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import linked
from gnnpack.packing.pair_law import PackLaw
from gnnpack.packing.pair_units import UnitClasses
from gnnpack.packing.random_numbers import unit

# Packs thrown away one after the other before the law is taken to be used up.
_MAX_REFUSED = 200
# Packs between two looks at which classes run out too soon.
_PACKS_A_LOOK = 8


class Drawn(NamedTuple):
    """classes (slots,) int32 pack after pack; offsets (packs+1,) int64."""

    classes: NDArray[np.int32]
    offsets: NDArray[np.int64]


def draw_pair_packs(
    classes: UnitClasses, law: PackLaw, num_packs: int, max_molecules: int, key: int
) -> Drawn:
    """Up to num_packs packs of at most max_molecules; fewer where molecules run out.

    A class of which more is left than the law expects is favoured, by the third power of how much
    more: what is left at the end is then like the whole, and the last packs are as full as the
    first. A pure function of its arguments, with or without numba.
    """
    drawn = np.empty(int(classes.counts.sum()), dtype=np.int32)
    offsets = np.zeros(num_packs + 1, dtype=np.int64)
    kernel = linked(draw_pack_by_pack)
    # Hashes are numbers modulo 2**64.
    with np.errstate(over="ignore"):
        packs = kernel(
            classes.atoms,
            classes.units,
            classes.counts,
            law.weights,
            law.end,
            law.ways,
            law.packs,
            max_molecules,
            np.uint64(key),
            drawn,
            offsets,
        )
    return Drawn(drawn[: offsets[packs]], offsets[: packs + 1])


def draw_pack_by_pack(
    atoms: NDArray[np.int64],
    units: NDArray[np.int64],
    counts: NDArray[np.int64],
    weights: NDArray[np.float64],
    end: NDArray[np.float64],
    ways: NDArray[np.float64],
    packs_of_law: int,
    max_molecules: int,
    key: np.uint64,
    drawn: NDArray[np.int32],
    offsets: NDArray[np.int64],
) -> int:
    """`draw_pair_packs` for numba: writes drawn and offsets; returns the number of packs."""
    num_classes = atoms.size
    left = counts.copy()
    favoured = np.zeros(num_classes)
    running = np.zeros(num_classes)
    step = np.int64(ways.shape[0] > 1)
    packs = 0
    slot = 0
    refused = 0
    draws = 0
    while packs < offsets.size - 1 and refused < _MAX_REFUSED:
        if refused > 0 or packs % _PACKS_A_LOOK == 0:
            share = (packs_of_law - packs) / packs_of_law
            for i in range(num_classes):
                # One more on both sides: the last of a rare class says little.
                more = (left[i] + 1.0) / (counts[i] * share + 1.0)
                favoured[i] = weights[i] * more * more * more if left[i] > 0 else 0.0
        a = end.shape[0] - 1
        p = end.shape[1] - 1
        level = ways.shape[0] - 1
        opened = slot
        sound = True
        while True:
            # No pack is empty.
            stopping = end[a, p] if slot > opened else 0.0
            total = stopping
            if step == 0 or level > 0:
                for i in range(num_classes):
                    if atoms[i] <= a and units[i] <= p:
                        total += favoured[i] * ways[level - step, a - atoms[i], p - units[i]]
                    running[i] = total
            if not total > 0.0:
                sound = False
                break
            threshold = unit(key, draws) * total
            draws += 1
            if threshold < stopping or total == stopping:
                break
            # Rounding may bring the largest number up to total, which is next to no chance.
            threshold = threshold if threshold < total else stopping
            if slot - opened == max_molecules:
                sound = False
                break
            chosen = np.searchsorted(running, threshold, side="right")
            drawn[slot] = chosen
            slot += 1
            left[chosen] -= 1
            if left[chosen] == 0:
                favoured[chosen] = 0.0
            a -= atoms[chosen]
            p -= units[chosen]
            level -= step
        if sound:
            packs += 1
            offsets[packs] = slot
            refused = 0
            continue
        refused += 1
        for place in range(opened, slot):
            left[drawn[place]] += 1
        slot = opened
    return packs
