"""Proven lower bounds on the number of packs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.checks import CheckedSizes
from gnnpack.packing.shape import PackShape


def lower_bound(checked: CheckedSizes, shape: PackShape) -> tuple[int, str]:
    """The best bound known here on the number of packs, and its kind.

    Kinds: those of `bound_of_atoms`, and "pair_volume" ceil(pairs / shape.num_pairs), which is
    named where it alone is the best.
    """
    bounds = [bound_of_atoms(checked.sizes, checked.counts, shape)]
    if shape.num_pairs is not None:
        assert checked.num_pairs is not None, "check_sizes refuses a pair limit without pairs"
        total_pairs = int(checked.num_pairs.sum(dtype=np.int64))
        bounds.append((_ceil_divide(total_pairs, shape.num_pairs), "pair_volume"))
    return max(bounds, key=lambda bound: bound[0])


def bound_of_atoms(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> tuple[int, str]:
    """The best bound from the histogram (sizes, counts), both (S,) int64, and its kind.

    Kinds: "volume" ceil(atoms / shape.num_atoms), "molecules" the same for that limit,
    "martello_toth" the bound L2. Of equal bounds the first named wins.
    """
    assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
    bounds = [(_ceil_divide(int(sizes @ counts), shape.num_atoms), "volume")]
    if shape.num_molecules is not None:
        bounds.append((_ceil_divide(int(counts.sum()), shape.num_molecules), "molecules"))
    bounds.append((martello_toth(sizes, counts, shape.num_atoms), "martello_toth"))
    return max(bounds, key=lambda bound: bound[0])


def martello_toth(sizes: NDArray[np.int64], counts: NDArray[np.int64], capacity: int) -> int:
    """Lower bound L2 of bin packing (Martello and Toth 1990, Discrete Appl. Math. 28, 59-70).

    sizes (S,) int64 ascending, counts (S,) int64. For a threshold K, items above capacity - K
    sit alone among those of at least K; items above half sit one to a pack; those from K to half
    fill what room these leave. The bound is the maximum over K.

    >>> martello_toth(np.array([2, 6]), np.array([1, 3]), 10)  # volume says 2
    3
    """
    number = np.concatenate([[0], np.cumsum(counts)])
    volume = np.concatenate([[0], np.cumsum(sizes * counts)])
    half = int(np.searchsorted(sizes, capacity // 2, side="right"))
    thresholds = np.concatenate([[0], sizes[:half]])
    small = np.searchsorted(sizes, thresholds, side="left")
    alone = np.maximum(np.searchsorted(sizes, capacity - thresholds, side="right"), half)

    num_large = number[-1] - number[half]
    num_shared = number[alone] - number[half]
    room = num_shared * capacity - (volume[alone] - volume[half])
    overflow = volume[half] - volume[small] - room
    return int(num_large + np.maximum(0, -(-overflow // capacity)).max())


def _ceil_divide(total: int, capacity: int) -> int:
    return -(-total // capacity)
