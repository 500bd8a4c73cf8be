"""Patterns: what a histogram algorithm finds, and how molecules come into them."""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.checks import CheckedSizes


class Pattern(NamedTuple):
    """`packs` packs, each holding molecules of these `sizes` (numbers of atoms)."""

    packs: int
    sizes: tuple[int, ...]


def num_packs(patterns: Sequence[Pattern]) -> int:
    """Packs of all patterns together."""
    return sum(pattern.packs for pattern in patterns)


def assign(
    patterns: Sequence[Pattern], checked: CheckedSizes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Molecules (M,) int64 and offsets (num_packs+1,) int64 of packs cut by `patterns`.

    Packs follow the order of the patterns; molecules of one size are taken in the order given.
    AssertionError: the patterns do not use every molecule once, a fault of the algorithm.
    """
    by_size = stable_order(checked.num_atoms)
    ends = np.cumsum(checked.counts)
    end = dict(zip(checked.sizes.tolist(), ends.tolist()))
    place = dict(zip(checked.sizes.tolist(), (ends - checked.counts).tolist()))

    molecules = np.empty(by_size.size, dtype=np.int64)
    filled = 0
    for packs, sizes in patterns:
        block_size = packs * len(sizes)
        assert filled + block_size <= molecules.size, "patterns hold more molecules than there are"
        block = molecules[filled : filled + block_size].reshape(packs, len(sizes))
        for column, size in enumerate(sizes):
            start = place[size]
            assert start + packs <= end[size], f"patterns hold too many molecules of size {size}"
            block[:, column] = by_size[start : start + packs]
            place[size] = start + packs
        filled += block_size
    assert filled == molecules.size, "patterns leave molecules out"

    lengths = np.repeat(
        [len(pattern.sizes) for pattern in patterns], [pattern.packs for pattern in patterns]
    )
    offsets = np.zeros(lengths.size + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return molecules, offsets


def stable_order(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions that sort non-negative integers (M,), equal ones in the order given; int64 (M,).

    >>> stable_order(np.array([3, 1, 3, 1])).tolist()
    [1, 3, 0, 2]
    """
    # numpy sorts 16-bit integers by radix, five times as fast as wider ones.
    largest = int(values.max()) if values.size else 0
    narrow = values.astype(np.uint16) if largest < 2**16 else values
    return np.argsort(narrow, kind="stable").astype(np.int64, copy=False)
