"""From parts of packs to whole packs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.pattern_lp import PatternSolution
from gnnpack.packing.patterns import Pattern


def rounded_down(
    solution: PatternSolution, sizes: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[list[Pattern], NDArray[np.int64]]:
    """The whole packs of a solution, and the counts (S,) int64 that they leave.

    sizes, counts: (S,) int64. Where patterns hold more molecules of a size than there are, some
    packs go without.
    """
    # An amount a rounding error below a whole number is that number.
    packs = np.floor(solution.amounts + 1e-4).astype(np.int64)
    packs[solution.patterns.min(axis=1) < 0] = 0
    held = [(int(packs[place]), solution.patterns[place]) for place in np.flatnonzero(packs)]
    left = counts - packs @ solution.patterns
    for size in np.flatnonzero(left < 0).tolist():
        held = _without(held, size, -int(left[size]))
    patterns = [pattern_of(number, sizes, copies) for number, copies in held if copies.any()]
    return patterns, np.maximum(left, 0)


def largest_part(
    solution: PatternSolution, sizes: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[list[Pattern], NDArray[np.int64]]:
    """One pack of the pattern with the largest amount, and the counts (S,) that it leaves."""
    amounts = np.where(solution.patterns.min(axis=1) < 0, -1.0, solution.amounts)
    copies = np.minimum(solution.patterns[amounts.argmax()], counts)
    return [pattern_of(1, sizes, copies)], counts - copies


def pattern_of(packs: int, sizes: NDArray[np.int64], copies: NDArray[np.int64]) -> Pattern:
    """`packs` packs of `copies` (S,) molecules of each of `sizes` (S,), largest first.

    >>> pattern_of(7, np.array([3, 5]), np.array([1, 2]))
    Pattern(packs=7, sizes=(5, 5, 3))
    """
    return Pattern(packs, tuple(np.repeat(sizes, copies)[::-1].tolist()))


def _without(
    held: list[tuple[int, NDArray[np.int64]]], size: int, surplus: int
) -> list[tuple[int, NDArray[np.int64]]]:
    """(packs, copies) with `surplus` fewer molecules of one size."""
    lighter: list[tuple[int, NDArray[np.int64]]] = []
    for packs, copies in held:
        most = int(copies[size])
        emptied = min(packs, surplus // most) if most else 0
        # At most one pack loses only some of its molecules of this size.
        some = surplus - emptied * most if most and emptied < packs else 0
        surplus -= emptied * most + some
        for number, fewer in ((emptied, most), (int(some > 0), some)):
            if number:
                rest = copies.copy()
                rest[size] -= fewer
                lighter.append((number, rest))
        if packs > emptied + int(some > 0):
            lighter.append((packs - emptied - int(some > 0), copies))
    assert surplus == 0, "the surplus was counted from these packs"
    return lighter
