"""How many atoms synthetic molecules have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

import numpy as np

from gnnpack.datasets.size_counts import DISTRIBUTIONS, size_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray


def size_probabilities(sizes: str | Sequence[float]) -> NDArray[np.float64]:
    """Probability of each number of atoms; entry n is for n atoms, float64.

    ``sizes``: a name in `size_counts.DISTRIBUTIONS`; two whole numbers [smallest, largest], all
    equally likely; or a list of probabilities whose first entry is for one atom. ValueError for
    anything else.

    >>> size_probabilities([2, 3])
    array([0. , 0. , 0.5, 0.5])
    """
    if isinstance(sizes, str):
        if sizes not in DISTRIBUTIONS:
            raise ValueError(
                f"dataset.sizes is {sizes!r}; the named distributions are "
                f"{', '.join(DISTRIBUTIONS)}."
            )
        atoms, molecules = size_counts(sizes)
        counts = np.bincount(atoms, weights=molecules)
        return np.asarray(counts / counts.sum(), dtype=np.float64)
    values = list(sizes)
    if len(values) == 2 and all(isinstance(value, int) for value in values):
        smallest, largest = (int(value) for value in values)
        if not 1 <= smallest <= largest:
            raise ValueError(f"dataset.sizes is {values}; it needs 1 <= smallest <= largest.")
        uniform = np.zeros(largest + 1)
        uniform[smallest:] = 1.0 / (largest + 1 - smallest)
        return uniform
    probabilities = np.array([0.0, *values], dtype=np.float64)
    if not (np.isfinite(probabilities).all() and (probabilities >= 0).all()):
        raise ValueError(f"dataset.sizes is {values}; a probability must not be negative.")
    if abs(probabilities.sum() - 1.0) > 1e-6:
        raise ValueError(
            f"dataset.sizes sums to {probabilities.sum():.6g}; probabilities must sum to 1. "
            "For a range give two whole numbers, [smallest, largest]."
        )
    return np.asarray(probabilities / probabilities.sum(), dtype=np.float64)
