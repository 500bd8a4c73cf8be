"""How alike the molecules of a pack are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def size_correlation(sizes: NDArray[Any], offsets: NDArray[np.int64]) -> float | None:
    """Intraclass correlation of the sizes in slots (M,) int, packs cut by offsets (num_packs+1,).

    The mean of (size - mean) * (partner - mean) over all pairs of partners, over the variance:
    0 where partners meet by chance, about 1 where partners are of one size; more where packs of
    the rarest sizes hold most molecules, as each pair of partners counts alike. Exactly full
    packs of k molecules force about -1 / (k - 1). None where no pack holds two molecules, or all
    molecules are of one size. (Fisher 1925, Statistical Methods for Research Workers, VII.)

    >>> size_correlation(np.array([3, 3, 5, 5]), np.array([0, 2, 4]))
    1.0
    """
    lengths = np.diff(offsets)
    num_partners = int((lengths * (lengths - 1)).sum())
    if num_partners == 0:
        return None
    apart = sizes - sizes.mean(dtype=np.float64)
    variance = float((apart * apart).mean())
    if variance == 0.0:
        return None
    sums, squares = _per_pack(apart, offsets), float((apart * apart).sum())
    return float((float((sums * sums).sum()) - squares) / num_partners / variance)


def _per_pack(values: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    running = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(running[offsets[1:]] - running[offsets[:-1]])
