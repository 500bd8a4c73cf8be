"""How much each size weighs in the draw of the next pack, by what waits in the buffer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.stream_buffer import (
    ARRIVED,
    COUNT,
    FED,
    FIRST,
    GRAIN,
    LARGEST,
    MAX_ATOMS,
    MAX_MOLECULES,
    TAKEN,
    WAITING,
)

# Places in marks: kinds that waited when the weights were made; atoms of a unit; the last unit
# whose ways are known; the most molecules they are known for, 0 for any number; place of a kind
# that the next pack begins with, -1 for none.
ACTIVE, UNIT, REACH, LEVELS, OVERDUE = range(8, 13)
# Rows of kinds (2, S): the kinds that waited, ascending, and their sizes in units.
KIND, UNITS = range(2)
# Weights are made anew when a share 1 / _FRESH of what waits has been taken since.
_FRESH = 8
# A molecule is overdue when so many times what the buffer holds have come after it.
_LONGEST_WAIT = 8
# Ways are known to so many times the largest size; a pack with more room takes any size.
_REACH = 4
_LARGEST_WAYS = 2**22


def blank_ways(num_kinds: int, max_molecules: int) -> NDArray[np.float64]:
    """Room for the ways that `weigh` finds, float64; row 0 is what a pack's end weighs.

    By fourth powers, as the weights: n units stay empty when what would fill them has become
    about 10 n times rarer in the buffer than what is there instead.
    """
    length = 2 * num_kinds + 1
    limited = max_molecules < num_kinds and max_molecules * length < _LARGEST_WAYS
    ways = np.zeros((max_molecules + 1 if limited else 2, length))
    share = 0.1 / np.arange(1, length)
    ways[0, 0] = 1.0
    ways[0, 1:] = share * share * share * share
    return ways


def weigh(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    marks: NDArray[np.int64],
    limits: NDArray[np.int64],
    kinds: NDArray[np.int64],
    weights: NDArray[np.float64],
    ways: NDArray[np.float64],
) -> None:
    """Write the weights (S,) of the kinds that wait, and the ways to fill a pack with them.

    A kind weighs the fourth power of how many wait, divided by the sum of all. ways[k, n]: the
    total weight of all sequences of at most k molecules for n units, that of their end included;
    where molecules have no limit, ways[1, n] of all sequences.
    """
    active = 0
    unit = 0
    total = 0.0
    overdue = -1
    longest = _LONGEST_WAIT * slots.shape[1]
    for kind in range(1, marks[LARGEST] + 1):
        if queues[COUNT, kind] > 0:
            count = 1.0 * queues[COUNT, kind]
            kinds[KIND, active] = kind
            weights[active] = count * count * count * count
            total += weights[active]
            waited = marks[FED] - slots[ARRIVED, queues[FIRST, kind]]
            if waited > longest:
                overdue = active
                longest = waited
            active += 1
            rest = 0 if unit == 1 else kind
            while rest > 0:
                unit, rest = rest, unit % rest
    units = limits[MAX_ATOMS] // (limits[GRAIN] * unit)
    for i in range(active):
        weights[i] /= total
        # A kind is rounded up, and its molecules may fill a pack that the kind would not fit.
        kinds[UNITS, i] = min(kinds[KIND, i] // unit, units)
    limited = ways.shape[0] > 2 and limits[MAX_MOLECULES] * kinds[UNITS, 0] < units
    levels = limits[MAX_MOLECULES] if limited else 0
    reach = units if limited else min(units, _REACH * kinds[UNITS, active - 1])
    for level in range(1, max(levels, 1) + 1):
        after = level - 1 if limited else 1
        ways[level, :] = ways[0]
        for left in range(reach + 1):
            here = ways[after, left]
            for i in range(active):
                ways[level, left + kinds[UNITS, i]] += here * weights[i]
    marks[ACTIVE] = active
    marks[UNIT] = limits[GRAIN] * unit
    marks[REACH] = reach
    marks[LEVELS] = levels
    marks[OVERDUE] = overdue
    marks[TAKEN] = 0


def are_stale(marks: NDArray[np.int64]) -> bool:
    """Whether so many molecules have gone that the weights should be made anew."""
    return bool(marks[TAKEN] * _FRESH >= marks[WAITING])
