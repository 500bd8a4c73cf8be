"""How many atoms synthetic molecules have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Molecules of QM9 with 3, 4, ..., 29 atoms; counted in qm9pack 1.0.3.
QM9_COUNTS = (
    *(2, 4, 5, 12, 20, 65, 172, 483, 1053, 2189, 4027, 6758, 10216, 13824, 16969, 17442),
    *(18146, 12403, 13166, 4428, 6362, 712, 1923, 59, 356, 0, 35),
)


def size_probabilities(sizes: str | Sequence[float]) -> NDArray[np.float64]:
    """Probability of each number of atoms; entry n is for n atoms, float64.

    ``sizes``: 'qm9'; two whole numbers [smallest, largest], all equally likely; or a list of
    probabilities whose first entry is for one atom. ValueError for anything else.

    >>> size_probabilities([2, 3])
    array([0. , 0. , 0.5, 0.5])
    """
    if isinstance(sizes, str):
        if sizes != "qm9":
            raise ValueError(f"dataset.sizes is {sizes!r}; the only named distribution is 'qm9'.")
        counts = np.concatenate((np.zeros(3), QM9_COUNTS))
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
