"""Count undirected pairs within a cutoff, molecule by molecule."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A kernel that measures distances in float32 may see a pair just inside the cutoff that float64
# puts just outside. Counting a little wider keeps the count an upper bound for every kernel,
# which fixed pair capacities rely on. Float32 errs by some 1e-7.
WIDENING = 1e-6


def cutoff_in_milliangstrom(cutoff: float) -> int:
    """The cutoff (Å) as whole mÅ; ValueError for one that is not positive or finer than that.

    >>> cutoff_in_milliangstrom(6.0)
    6000
    """
    if not isinstance(cutoff, (int, float, np.number)):
        raise ValueError(f"cutoff is {cutoff!r}; it is a distance in Å, such as 6.0.")
    thousandths = round(float(cutoff) * 1000) if np.isfinite(cutoff) else 0
    if thousandths < 1 or abs(thousandths - float(cutoff) * 1000) > 1e-6:
        raise ValueError(f"cutoff is {cutoff} Å; it must be positive, in whole thousandths of Å.")
    return thousandths


def count_pairs(
    pos: NDArray[np.float32], offsets: NDArray[np.int64], cutoff: float
) -> NDArray[np.int32]:
    """Undirected pairs of each molecule no further apart than ``cutoff`` Å, (M,) int32.

    pos (A, 3) Å, offsets (M+1,). Pairs beyond the cutoff by less than a millionth of it count
    too. Compiled with numba where it is installed, else by numpy.
    """
    limit = (float(cutoff) * (1.0 + WIDENING)) ** 2
    largest = int(np.diff(offsets).max())
    most = largest * (largest - 1) // 2
    if most > np.iinfo(np.int32).max:
        raise ValueError(f"A molecule of {largest:,} atoms may have {most:,} pairs, over int32.")
    counter = _compiled() or count_by_size
    counts: NDArray[np.int64] = counter(pos, offsets, limit)
    return counts.astype(np.int32)


def count_by_size(
    pos: NDArray[np.float32], offsets: NDArray[np.int64], limit: float
) -> NDArray[np.int64]:
    """The numpy way: molecules of equal size together; ``limit`` is a squared distance."""
    sizes = np.diff(offsets)
    counts = np.zeros(len(sizes), dtype=np.int64)
    for size in np.unique(sizes):
        first, second = np.triu_indices(int(size), 1)
        rows = np.flatnonzero(sizes == size)
        # At most some 4 million pairs at once.
        step = max(1, 4_000_000 // max(1, len(first)))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            place = pos[offsets[some][:, None] + np.arange(size)].astype(np.float64)
            squared = ((place[:, first] - place[:, second]) ** 2).sum(axis=-1)
            counts[some] = (squared <= limit).sum(axis=1)
    return counts


def _count_in_loops(
    pos: NDArray[np.float32], offsets: NDArray[np.int64], limit: float
) -> NDArray[np.int64]:
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    for molecule in range(len(counts)):
        found = 0
        for i in range(offsets[molecule], offsets[molecule + 1]):
            x, y, z = np.float64(pos[i, 0]), np.float64(pos[i, 1]), np.float64(pos[i, 2])
            for j in range(i + 1, offsets[molecule + 1]):
                dx, dy, dz = x - pos[j, 0], y - pos[j, 1], z - pos[j, 2]
                if dx * dx + dy * dy + dz * dz <= limit:
                    found += 1
        counts[molecule] = found
    return counts


@lru_cache(maxsize=None)
def _compiled() -> Callable[[Any, Any, float], NDArray[np.int64]] | None:
    # Imported when first needed: it takes longer than opening a store.
    try:
        import numba
    except ImportError:
        return None
    kernel: Any = numba.njit(_count_in_loops)
    return kernel  # type: ignore[no-any-return]
