"""Few molecules into as few packs as can be found: what rounding leaves over."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.knapsack import Knapsack
from gnnpack.packing.lpfhp import lpfhp_patterns
from gnnpack.packing.pattern_lp import solve, steps
from gnnpack.packing.patterns import Pattern, num_packs
from gnnpack.packing.rounding import largest_part, pattern_of, rounded_down
from gnnpack.packing.shape import PackShape

_MAX_LEVELS = 16
# A second, compiled, which only hundreds of sizes come near.
_MAX_STEPS = 3 * 10**9


def pack_residual(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape, target: int
) -> list[Pattern]:
    """Pack `counts` (S,) int64 molecules of `sizes` (S,); stop looking at `target` packs.

    Best fit and fullest packs first; while these miss the target, the pattern LP of what is left
    fixes a few packs more and they try again on the rest (diving).
    """
    fixed: list[Pattern] = []
    steps_left = _MAX_STEPS
    best = lpfhp_patterns(sizes, counts, shape)
    for _ in range(_MAX_LEVELS):
        there = np.flatnonzero(counts)
        if num_packs(best) <= target or there.size == 0:
            break
        sizes, counts = sizes[there], counts[there]
        knapsack = make_knapsack(sizes, counts, shape)
        max_pivots = steps_left // steps(knapsack)
        if max_pivots <= sizes.size:
            break
        best = _fewer(best, [*fixed, *fullest_first(sizes, counts, shape)])
        if num_packs(best) <= target:
            break
        solution = solve(knapsack, counts, max_pivots)
        steps_left -= solution.pivots * steps(knapsack)
        if num_packs(fixed) + solution.bound >= num_packs(best):
            break
        whole, left = rounded_down(solution, sizes, counts)
        if not whole:
            whole, left = largest_part(solution, sizes, counts)
        fixed += whole
        counts = left
        best = _fewer(best, [*fixed, *lpfhp_patterns(sizes, counts, shape)])
    return best


def fullest_first(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> list[Pattern]:
    """Make the fullest pack of what is left, as often as it can be had, until nothing is left.

    sizes, counts: (S,) int64. Minimum bin slack (Gupta and Ho 1999) on a histogram; of equally
    full packs that of larger molecules.
    """
    patterns: list[Pattern] = []
    while counts.any():
        there = np.flatnonzero(counts)
        sizes, counts = sizes[there], counts[there]
        knapsack = make_knapsack(sizes, counts, shape)
        copies = knapsack.best(knapsack.fullest_values()).copies
        held = copies > 0
        packs = int((counts[held] // copies[held]).min())
        patterns.append(pattern_of(packs, sizes, copies))
        counts = counts - packs * copies
    return patterns


def make_knapsack(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> Knapsack:
    """The knapsack of these molecules in a pack of this shape."""
    assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
    return Knapsack(sizes, counts, shape.num_atoms, shape.num_molecules)


def _fewer(one: list[Pattern], other: list[Pattern]) -> list[Pattern]:
    return other if num_packs(other) < num_packs(one) else one
