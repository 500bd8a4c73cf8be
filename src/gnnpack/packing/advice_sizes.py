"""Histograms of molecule sizes, and the pack sizes that are worth comparing for one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_SIZES = 200
# One pattern LP takes time with the square of the number of distinct sizes and with the pack.
_MANY_DISTINCT = 200
_FEWEST_SIZES = 25


def candidate_sizes(sizes: ArrayLike, counts: ArrayLike) -> list[int]:
    """At most 200 pack sizes, ascending, from the largest molecule up; all can be filled.

    Multiples of the sizes' greatest common divisor, next to each other where these reach three
    times the largest molecule, otherwise as wide apart as takes them there; fewer than 200 where
    there are more than 200 distinct sizes; none beyond all atoms together. sizes, counts: (S,)
    integers. ValueError: see `check_histogram`.

    >>> found = candidate_sizes([9, 90], [5, 1000])
    >>> found[:3], found[-1], len(found)
    ([90, 99, 108], 1881, 200)
    """
    sizes, counts = check_histogram(sizes, counts)
    largest, unit = int(sizes[-1]), int(np.gcd.reduce(sizes))
    wanted = MOST_SIZES
    if sizes.size > _MANY_DISTINCT:
        wanted = max(_FEWEST_SIZES, MOST_SIZES * _MANY_DISTINCT**2 // sizes.size**2)
    step = unit * max(1, -(-2 * largest // (unit * (wanted - 1))))
    stop = min(largest + (wanted - 1) * step, int(sizes @ counts))
    return list(range(largest, stop + 1, step))


def check_histogram(
    sizes: ArrayLike, counts: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both (S,) int64, S >= 1, sizes ascending from 1 on, counts of 1 or more.

    ValueError: they are not, or the atoms together pass 2**62.
    """
    checked = []
    for name, values in (("sizes", sizes), ("counts", counts)):
        column = np.asarray(values)
        if column.ndim != 1 or column.size == 0 or not np.issubdtype(column.dtype, np.integer):
            raise ValueError(
                f"{name} is {column.dtype} of shape {column.shape}; "
                "pass a 1-D integer array with an entry for each distinct molecule size"
            )
        if int(column.min()) < 1:
            place = int(column.argmin())
            raise ValueError(f"{name}[{place}] = {column[place]}; it must be at least 1")
        checked.append(column.astype(np.int64))
    ascending, counted = checked
    if ascending.size != counted.size:
        raise ValueError(
            f"there are {ascending.size} sizes and {counted.size} counts; pass one count a size"
        )
    if (np.diff(ascending) <= 0).any():
        place = int(np.argmax(np.diff(ascending) <= 0)) + 1
        raise ValueError(
            f"sizes[{place}] = {ascending[place]} follows {ascending[place - 1]}; "
            "sizes must rise, each given once"
        )
    # Python's integers: the sum may pass 2**63.
    total = sum(size * count for size, count in zip(ascending.tolist(), counted.tolist()))
    if total >= 2**62:
        raise ValueError(
            f"sizes times counts sum to {total:,} atoms, beyond 2**62; are the counts right?"
        )
    return ascending, counted


def check_candidates(candidates: ArrayLike, largest: int) -> list[int]:
    """`candidates` ascending, each once; ValueError: one that is no size, or below `largest`."""
    column = np.asarray(candidates)
    if column.ndim != 1 or column.size == 0 or not np.issubdtype(column.dtype, np.integer):
        raise ValueError(
            f"pack sizes are {candidates!r}; pass whole numbers of atoms, such as [36, 54]"
        )
    smallest = int(column.min())
    if smallest < largest:
        raise ValueError(
            f"a pack of {smallest} atoms does not hold the largest molecule, which has {largest}; "
            f"give pack sizes of at least {largest}"
        )
    return [int(size) for size in np.unique(column)]
