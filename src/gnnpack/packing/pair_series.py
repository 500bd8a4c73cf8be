"""In how many ways, by weight, a pack can be completed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import compiled


def ways_to_go_on(
    atoms: NDArray[np.int64],
    units: NDArray[np.int64],
    weights: NDArray[np.float64],
    end: NDArray[np.float64],
    levels: int,
    powers: int = 1,
) -> NDArray[np.float64]:
    """Total weight of all sequences of classes that fit a pack: (powers, levels, A+1, P+1).

    Entry [0, k, a, p] is for a atoms and p units of pairs still free and, if levels > 1, for k
    more molecules at most. A sequence weighs the product of the weights (C,) of its classes and
    end[a', p'], (A+1, P+1), for the room that it leaves. Entry [r] counts a sequence of n classes
    comb(n + r, r) times: with W for the weights it is the power series of end / (1 - W)**(r + 1).
    atoms, units: (C,) int64, atoms positive.

    >>> one, end = np.array([1]), np.array([[0.5], [0.25], [0.125]])
    >>> ways_to_go_on(one, 0 * one, np.array([2.0]), end, 1)[0, 0, :, 0].tolist()
    [0.5, 1.25, 2.625]
    """
    ways = np.zeros((powers, levels, *end.shape))
    kernel = compiled(add_up_ways) or add_up_ways_by_numpy
    # Weights that are far too large give inf, which the caller looks for.
    with np.errstate(over="ignore", invalid="ignore"):
        kernel(atoms, units, weights, end, ways)
    return ways


def add_up_ways(
    atoms: NDArray[np.int64],
    units: NDArray[np.int64],
    weights: NDArray[np.float64],
    end: NDArray[np.float64],
    ways: NDArray[np.float64],
) -> None:
    """`ways_to_go_on` for numba: fills `ways`."""
    powers, levels, num_atoms, num_units = ways.shape
    step = min(1, levels - 1)
    for power in range(powers):
        for level in range(levels):
            for a in range(num_atoms):
                for p in range(num_units):
                    if power == 0:
                        ways[power, level, a, p] = end[a, p]
                    else:
                        ways[power, level, a, p] = ways[power - 1, level, a, p]
                for i in range(atoms.size):
                    before = a - atoms[i]
                    if before >= 0 and level >= step:
                        weight, shift = weights[i], units[i]
                        for p in range(shift, num_units):
                            after = ways[power, level - step, before, p - shift]
                            ways[power, level, a, p] += weight * after


def add_up_ways_by_numpy(
    atoms: NDArray[np.int64],
    units: NDArray[np.int64],
    weights: NDArray[np.float64],
    end: NDArray[np.float64],
    ways: NDArray[np.float64],
) -> None:
    """The same by numpy, row by row and in the same order of rounding."""
    powers, levels, num_atoms, num_units = ways.shape
    classes = list(zip(atoms.tolist(), units.tolist(), weights.tolist()))
    for power in range(powers):
        for level in range(levels):
            ways[power, level] = end if power == 0 else ways[power - 1, level]
            if levels > 1 and level == 0:
                continue
            ahead = max(level - 1, 0)
            for a in range(num_atoms):
                row = ways[power, level, a]
                for size, shift, weight in classes:
                    if size <= a and shift < num_units:
                        row[shift:] += weight * ways[power, ahead, a - size, : num_units - shift]
