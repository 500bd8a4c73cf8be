"""The size counts of the data sets, in the forms that the tests of packers like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.datasets.size_counts import HYDRONET_2_7M, HYDRONET_4_5M, HYDRONET_500K, QM9

__all__ = ["HYDRONET_2_7M", "HYDRONET_4_5M", "HYDRONET_500K", "QM9", "histogram", "molecules"]


def histogram(table: dict[int, int], atoms_each: int = 1) -> tuple[NDArray[np.int64], ...]:
    """Sizes in atoms and their counts, both (S,) int64; a water has atoms_each=3."""
    sizes = sorted(table)
    return (
        np.array([size * atoms_each for size in sizes], dtype=np.int64),
        np.array([table[size] for size in sizes], dtype=np.int64),
    )


def molecules(table: dict[int, int], atoms_each: int = 1) -> NDArray[np.int64]:
    """Number of atoms of every molecule, (M,) int64, in a fixed random order."""
    sizes, counts = histogram(table, atoms_each)
    return np.random.default_rng(0).permutation(np.repeat(sizes, counts))
