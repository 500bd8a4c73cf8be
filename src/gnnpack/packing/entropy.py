"""Weights of most entropy: Newton's method on the convex dual."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import numpy as np
from numpy.typing import NDArray

# exp(5) is as far as a weight may move before the curvature is measured again.
_LONGEST_STEP = 5.0
_LEAST_DAMPING, _DAMPING_FACTOR = 1e-12, 8.0


class Moments(NamedTuple):
    """Of random packs under some weights: logarithm of the total weight of all packs; mean (C,)
    and covariance (C, C) of the molecules of each class in a pack; the series they came from.
    """

    log_total: float
    expected: NDArray[np.float64]
    covariance: NDArray[np.float64]
    series: NDArray[np.float64]


class Fit(NamedTuple):
    """weights (C,) float64, their moments; error: molecules a pack that expectation is off by."""

    weights: NDArray[np.float64]
    moments: Moments
    error: float


def fit_weights(
    moments_of: Callable[[NDArray[np.float64]], Moments],
    target: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
    *,
    tolerance: float,
    max_trials: int,
) -> Fit:
    """Weights under which a pack holds target (C,) molecules of each class, in expectation.

    Of all distributions of packs with these means that of the weights has most entropy (Jaynes
    1957). Newton's method on the logarithms of the weights, damped as by Levenberg and Marquardt,
    until the error is below tolerance or max_trials weights were tried. Where no packs have these
    means, or only just, weights run away and an error stays.
    start: weights to begin with, target itself by default.
    """
    weights = target / target.sum() if start is None else start
    moments = moments_of(weights)
    loss, damping = _loss(moments, weights, target), _LEAST_DAMPING
    for _ in range(max_trials):
        gradient = moments.expected - target
        if not np.isfinite(loss) or np.abs(gradient).sum() < tolerance:
            break
        step = _step(moments.covariance, gradient, damping)
        if np.abs(step).max() < _LONGEST_STEP:
            moved = weights * np.exp(step)
            trial = moments_of(moved)
            trial_loss = _loss(trial, moved, target)
            # A rounding error upwards is no rise.
            if trial_loss <= loss + 1e-13:
                weights, moments, loss = moved, trial, trial_loss
                damping = max(damping / _DAMPING_FACTOR, _LEAST_DAMPING)
                continue
        damping = max(damping * _DAMPING_FACTOR, 1e-9)
    return Fit(weights, moments, float(np.abs(moments.expected - target).sum()))


def moments_of_series(
    weights: NDArray[np.float64],
    series: NDArray[np.float64],
    before: Callable[[NDArray[np.float64], int], NDArray[Any]],
) -> Moments:
    """Moments from the powers 1, 2 and 3 of 1 / (1 - W), (3, ...), W the sum of all classes.

    series[0] ends with the total weight of all packs. before(power, k): its value, for all
    sequences of k classes, (C,) or (C, C), where these are still to come. A sequence through a
    class is one before it and one after it, hence a power more.
    """
    total = series[0].flat[-1]
    none = Moments(-np.inf, np.zeros_like(weights), np.eye(weights.size), np.zeros_like(series[0]))
    if not 0.0 < total < np.inf:
        return none
    # Weights that are far too large overflow, and are found out below.
    with np.errstate(over="ignore", invalid="ignore"):
        expected = weights * before(series[1], 1) / total
        covariance = 2.0 * np.outer(weights, weights) * before(series[2], 2) / total
        covariance += np.diag(expected) - np.outer(expected, expected)
    if not (np.isfinite(covariance).all() and np.isfinite(series[0]).all()):
        return none
    return Moments(float(np.log(total)), expected, covariance, series[0])


def _loss(moments: Moments, weights: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    if not np.isfinite(moments.log_total) or (weights <= 0.0).any():
        return np.inf
    return moments.log_total - float((target * np.log(weights)).sum())


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
    # Where packs are always full one direction has no curvature.
    matrix[np.diag_indices_from(matrix)] = 1.0 + 1e-14 + damping
    return np.asarray(-scale * np.linalg.solve(matrix, scale * gradient))
