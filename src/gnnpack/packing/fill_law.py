"""The law of random packs that are exactly full and use up every size alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import linked
from gnnpack.packing.entropy import Moments, fit_weights, moments_of_series

# Expected molecules a pack that a law may be off by, over all classes.
_TOLERANCE = 1e-6


class FillLaw(NamedTuple):
    """Weights (C,) float64 of the classes; error: how far expectation is from the molecules there.

    Classes are drawn one after the other, each with a chance in proportion to its weight, under
    the condition that the pack ends exactly full. error counts molecules a pack.
    """

    weights: NDArray[np.float64]
    error: float


def fit_fill_law(
    sizes: NDArray[np.int64],
    counts: NDArray[np.int64],
    capacity: int,
    packs: int,
    max_trials: int = 60,
) -> FillLaw:
    """The law under which a pack holds counts / packs molecules of each class, in expectation.

    Sizes are then as independent as full packs let them be; see `fit_weights`. Where the means
    are on the border of what full packs can have, weights grow without end and error stays.
    sizes, counts: (C,) int64, all above 0. Filler is a class like any other.

    >>> fit_fill_law(np.array([1, 2]), np.array([2, 2]), 3, 2).error < 1e-6
    True
    """

    def moments_of(weights: NDArray[np.float64]) -> Moments:
        series = fill_series(sizes, weights, capacity, powers=3)
        to_come = {1: sizes, 2: np.add.outer(sizes, sizes)}
        return moments_of_series(
            weights, series, lambda power, number: _before_the_end(power, to_come[number])
        )

    fit = fit_weights(moments_of, counts / packs, tolerance=_TOLERANCE, max_trials=max_trials)
    return FillLaw(fit.weights, fit.error)


def fill_series(
    sizes: NDArray[np.int64], weights: NDArray[np.float64], capacity: int, powers: int = 1
) -> NDArray[np.float64]:
    """Coefficients of 1 / (1 - W), its square, ...: (powers, capacity + 1) float64.

    W is the sum of weight * x**size over the classes; coefficient [0, n] is the total weight of
    all sequences of classes of n atoms together (a renewal sequence: Feller 1968, An Introduction
    to Probability Theory I, XIII).

    >>> fill_series(np.array([1]), np.array([0.5]), 3)[0].tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    series = np.zeros((powers, capacity + 1))
    # The same loops with and without numba, so the same bits.
    linked(add_up_series)(sizes, weights, series)
    return series


def add_up_series(
    sizes: NDArray[np.int64], weights: NDArray[np.float64], series: NDArray[np.float64]
) -> None:
    """`fill_series` for numba: fills `series`, zero at the start."""
    for n in range(series.shape[1]):
        for power in range(series.shape[0]):
            total = 0.0
            if power > 0:
                total = series[power - 1, n]
            elif n == 0:
                total = 1.0
            for i in range(sizes.size):
                if sizes[i] <= n:
                    total += weights[i] * series[power, n - sizes[i]]
            series[power, n] = total


def _before_the_end(series: NDArray[np.float64], atoms: NDArray[np.int64]) -> NDArray[np.float64]:
    """series at `atoms` before its last entry, 0 where that is before its first."""
    place = series.size - 1 - atoms
    return np.where(place >= 0, series[np.maximum(place, 0)], 0.0)
