"""A histogram of sizes for another number of molecules."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.advice_sizes import check_histogram


def scaled_counts(
    sizes: ArrayLike, counts: ArrayLike, num_molecules: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same distribution over `num_molecules`: sizes and counts, both (S,) int64.

    Every count times the same factor, rounded down; the molecules still missing go to the sizes
    that lost most in rounding, the smaller size first (largest remainders, Hamilton's method).
    Sizes whose count becomes 0 are left out. sizes, counts: (S,) integers. ValueError: see
    `check_histogram`; num_molecules below 1.

    >>> sizes, counts = scaled_counts([3, 5], [1, 2], 10)
    >>> sizes.tolist(), counts.tolist()
    ([3, 5], [3, 7])
    """
    sizes, counts = check_histogram(sizes, counts)
    if num_molecules < 1:
        raise ValueError(f"num_molecules={num_molecules}; scale to at least 1 molecule.")
    # Python's integers: a count times num_molecules may pass 2**63.
    total = int(counts.sum())
    shares = [divmod(count * num_molecules, total) for count in counts.tolist()]
    scaled = [whole for whole, _ in shares]
    by_loss = sorted(range(len(shares)), key=lambda place: -shares[place][1])
    for place in by_loss[: num_molecules - sum(scaled)]:
        scaled[place] += 1
    found = np.array(scaled, dtype=np.int64)
    there = found > 0
    return check_histogram(sizes[there], found[there])
