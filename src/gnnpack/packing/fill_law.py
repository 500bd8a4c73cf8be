"""The law of random packs that are exactly full and use up every size alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import compiled

# Expected molecules a pack that a law may be off by, over all classes.
_TOLERANCE = 1e-6
# exp(5) is as far as a weight may move before the curvature is measured again.
_LONGEST_STEP = 5.0
_LEAST_DAMPING, _DAMPING_FACTOR, _MAX_DAMPINGS = 1e-12, 8.0, 40


class Budget(NamedTuple):
    """Capacity of one pack, in whole units: atoms, and pairs (0 where they have no limit)."""

    atoms: int
    pairs: int = 0


class FillLaw(NamedTuple):
    """Weights (C,) float64 of the classes; error: how far expectation is from the molecules there.

    Classes are drawn one after the other, each with a chance in proportion to its weight, under
    the condition that the pack ends exactly full. error counts molecules a pack.
    """

    weights: NDArray[np.float64]
    error: float


class _Moments(NamedTuple):
    log_total: float
    expected: NDArray[np.float64]
    covariance: NDArray[np.float64]


def fit_fill_law(
    atoms: NDArray[np.int64],
    pairs: NDArray[np.int64],
    counts: NDArray[np.int64],
    budget: Budget,
    packs: int,
    start: NDArray[np.float64] | None = None,
    max_steps: int = 40,
) -> FillLaw:
    """The law under which a pack holds counts / packs molecules of each class, in expectation.

    Of all distributions of full packs with these expectations it has most entropy (Jaynes 1957):
    sizes are as independent as full packs let them be. Found by Newton's method, damped as by
    Levenberg and Marquardt, on the convex dual; moments come from power series. Where the means
    are on the border of what full packs can have, weights grow without end and error stays.
    atoms, pairs, counts: (C,) int64, none of the classes (0, 0), counts positive; start: (C,)
    weights to begin with. Filler is a class like any other.

    >>> none = np.zeros(2, dtype=np.int64)
    >>> law = fit_fill_law(np.array([1, 2]), none, np.array([2, 2]), Budget(3), 2)
    >>> law.error < 1e-6
    True
    """
    target = counts / packs
    weights = target / target.sum() if start is None else start / start.sum()
    moments = _moments(atoms, pairs, weights, budget)
    loss, damping = _loss(moments, weights, target), _LEAST_DAMPING
    for _ in range(max_steps):
        gradient = moments.expected - target
        if not np.isfinite(loss) or np.abs(gradient).sum() < _TOLERANCE:
            break
        for _ in range(_MAX_DAMPINGS):
            step = _step(moments.covariance, gradient, damping)
            if np.abs(step).max() < _LONGEST_STEP:
                moved = weights * np.exp(step)
                moved /= moved.sum()
                trial = _moments(atoms, pairs, moved, budget)
                trial_loss = _loss(trial, moved, target)
                # A rounding error upwards is no rise.
                if trial_loss <= loss + 1e-13:
                    break
            damping = max(damping * _DAMPING_FACTOR, 1e-9)
        else:
            break
        weights, moments, loss = moved, trial, trial_loss
        damping = max(damping / _DAMPING_FACTOR, _LEAST_DAMPING)
    return FillLaw(weights, float(np.abs(moments.expected - target).sum()))


def fill_series(
    atoms: NDArray[np.int64],
    pairs: NDArray[np.int64],
    weights: NDArray[np.float64],
    budget: Budget,
    powers: int = 1,
) -> NDArray[np.float64]:
    """Coefficients of 1 / (1 - W), its square, ...: (powers, budget.atoms+1, budget.pairs+1).

    W is the sum of weight * x**atoms * y**pairs over the classes; coefficient [0, a, p] is the
    total weight of all sequences of classes with exactly a atoms and p pairs (a renewal
    sequence: Feller 1968, An Introduction to Probability Theory I, XIII).

    >>> one = np.array([1], dtype=np.int64)
    >>> fill_series(one, 0 * one, np.array([0.5]), Budget(3))[0, :, 0].tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    series = np.zeros((powers, budget.atoms + 1, budget.pairs + 1))
    # The same loops with and without numba, so the same bits.
    (compiled(add_up_series) or add_up_series)(atoms, pairs, weights, series)
    return series


def add_up_series(
    atoms: NDArray[np.int64],
    pairs: NDArray[np.int64],
    weights: NDArray[np.float64],
    series: NDArray[np.float64],
) -> None:
    """`fill_series` for numba: fills `series`, zero at the start."""
    for a in range(series.shape[1]):
        for p in range(series.shape[2]):
            for power in range(series.shape[0]):
                total = 0.0
                if power > 0:
                    total = series[power - 1, a, p]
                elif a == 0 and p == 0:
                    total = 1.0
                for i in range(atoms.size):
                    if atoms[i] <= a and pairs[i] <= p:
                        total += weights[i] * series[power, a - atoms[i], p - pairs[i]]
                series[power, a, p] = total


def _moments(
    atoms: NDArray[np.int64], pairs: NDArray[np.int64], weights: NDArray[np.float64], budget: Budget
) -> _Moments:
    """Mean and covariance of the molecules of each class in a full pack."""
    first, second, third = fill_series(atoms, pairs, weights, budget, powers=3)
    total = first[-1, -1]
    if not 0.0 < total < np.inf:
        return _Moments(-np.inf, np.zeros_like(weights), np.eye(weights.size))
    expected = weights * _before_the_end(second, atoms, pairs) / total
    together = _before_the_end(
        third, atoms[:, None] + atoms[None, :], pairs[:, None] + pairs[None, :]
    )
    covariance = 2.0 * np.outer(weights, weights) * together / total
    covariance += np.diag(expected) - np.outer(expected, expected)
    return _Moments(float(np.log(total)), expected, covariance)


def _before_the_end(
    series: NDArray[np.float64], atoms: NDArray[np.int64], pairs: NDArray[np.int64]
) -> NDArray[np.float64]:
    """series at `atoms` and `pairs` before its last entry, 0 where that is before its first."""
    a, p = series.shape[0] - 1 - atoms, series.shape[1] - 1 - pairs
    inside = (a >= 0) & (p >= 0)
    return np.where(inside, series[np.where(inside, a, 0), np.where(inside, p, 0)], 0.0)


def _loss(moments: _Moments, weights: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    if not np.isfinite(moments.log_total) or (weights <= 0.0).any():
        return np.inf
    return moments.log_total - float(target @ np.log(weights))


def _step(
    covariance: NDArray[np.float64], gradient: NDArray[np.float64], damping: float
) -> NDArray[np.float64]:
    """Newton's step of the logarithms of the weights, scaled to a diagonal of 1 and damped.

    A class far rarer than it should be has next to no curvature of its own; that of its target
    lets its weight grow by a factor e, and no step of all others fail on it.
    """
    diagonal = np.maximum(np.diag(covariance), 0.0) + np.maximum(-gradient, 0.0)
    scale = 1.0 / np.sqrt(diagonal * (1.0 + damping) + 1e-15)
    matrix = covariance * np.outer(scale, scale)
    # A class may be bound to others (all packs are full), so one direction has no curvature.
    matrix[np.diag_indices_from(matrix)] = 1.0 + 1e-14 + damping
    return np.asarray(-scale * np.linalg.solve(matrix, scale * gradient))
