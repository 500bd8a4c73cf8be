"""The law of random packs that keep two limits and use up every class alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.pair_series import ways_to_go_on
from gnnpack.packing.pair_units import UnitClasses

_MAX_TRIALS = 50
# Expected molecules that a law may be off by, over all classes and packs.
_TOLERANCE = 0.05
# exp(5) is as far as a weight may move before the curvature is measured again.
_LONGEST_STEP = 5.0
_LEAST_DAMPING, _DAMPING_FACTOR = 1e-12, 8.0


class PackLaw(NamedTuple):
    """Packs are drawn class by class; each comes next by its weight times the ways to go on.

    weights: (C,) float64. end: (A+1, P+1) float64, weight of stopping with so many atoms and
    units of pairs free. ways: (K+1, A+1, P+1) float64, power 0 of `ways_to_go_on`; all 0 where no
    pack could be had. packs: how many packs use up the classes. error: molecules that expectation
    is off by, in all. molecules: of a pack, mean and standard deviation.
    """

    weights: NDArray[np.float64]
    end: NDArray[np.float64]
    ways: NDArray[np.float64]
    packs: int
    error: float
    molecules: tuple[float, float]


class _Moments(NamedTuple):
    log_total: float
    expected: NDArray[np.float64]
    covariance: NDArray[np.float64]
    ways: NDArray[np.float64]


def fit_pack_law(
    classes: UnitClasses, packs: int, start: NDArray[np.float64] | None = None
) -> PackLaw:
    """The law under which a pack holds counts / packs molecules of each class, in expectation.

    Of all distributions of packs with these expectations it has most entropy relative to drawing
    class by class (Jaynes 1957). Found by Newton's method on the convex dual, damped as by
    Levenberg and Marquardt. Where no packs have these means, or only just, weights run away and
    an error stays: these are molecules that do not find company.
    start: (C,) weights to begin with. packs: enough to hold all atoms and units.
    """
    target = classes.counts / packs
    weights = target / target.sum() if start is None else start
    end = _end(classes, target)
    moments = _moments(classes, weights, end)
    loss, damping = _loss(moments, weights, target), _LEAST_DAMPING
    for _ in range(_MAX_TRIALS):
        if not np.isfinite(loss) or _error(moments, target) * packs < _TOLERANCE:
            break
        step = _step(moments, target, damping)
        if np.abs(step).max() < _LONGEST_STEP:
            moved = weights * np.exp(step)
            trial = _moments(classes, moved, end)
            trial_loss = _loss(trial, moved, target)
            # A rounding error upwards is no rise.
            if trial_loss <= loss + 1e-13:
                weights, moments, loss = moved, trial, trial_loss
                damping = max(damping / _DAMPING_FACTOR, _LEAST_DAMPING)
                continue
        damping = max(damping * _DAMPING_FACTOR, 1e-9)
    molecules = float(moments.expected.sum()), float(max(moments.covariance.sum(), 0.0)) ** 0.5
    error = _error(moments, target) * packs
    return PackLaw(weights, end, moments.ways, packs, error, molecules)


def _error(moments: _Moments, target: NDArray[np.float64]) -> float:
    return float(np.abs(moments.expected - target).sum())


def _end(classes: UnitClasses, target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of leaving room free: geometric, of the mean that must be left free.

    Any weight would do, as `weights` can make up for it; with this one they stay in range.
    """
    rows = []
    for room, sizes in ((classes.room.atoms, classes.atoms), (classes.room.pairs, classes.units)):
        free = max(0.0, room - float((sizes * target).sum()))
        row = np.full(room + 1, free / (1.0 + free))
        row[0] = 1.0
        rows.append(np.cumprod(row))
    return np.outer(rows[0], rows[1])


def _moments(
    classes: UnitClasses, weights: NDArray[np.float64], end: NDArray[np.float64]
) -> _Moments:
    """Mean and covariance of the molecules of each class in a pack."""
    atoms, units, molecules = classes.atoms, classes.units, classes.room.molecules
    levels = 1 if molecules is None else molecules + 1
    ways = ways_to_go_on(atoms, units, weights, end, levels, powers=3)
    total = ways[0, -1, -1, -1]
    none = _Moments(-np.inf, np.zeros_like(weights), np.eye(weights.size), np.zeros_like(ways[0]))
    if not 0.0 < total < np.inf:
        return none
    # Weights that are far too large overflow, and are found out below.
    with np.errstate(over="ignore", invalid="ignore"):
        # A sequence through a class is one before it and one after it, so a power more.
        expected = weights * _before_the_end(ways[1], atoms, units, 1) / total
        together = _before_the_end(
            ways[2], np.add.outer(atoms, atoms), np.add.outer(units, units), 2
        )
        covariance = 2.0 * np.outer(weights, weights) * together / total
        covariance += np.diag(expected) - np.outer(expected, expected)
    if not (np.isfinite(covariance).all() and np.isfinite(ways[0]).all()):
        return none
    return _Moments(float(np.log(total)), expected, covariance, ways[0])


def _before_the_end(
    ways: NDArray[np.float64], atoms: NDArray[np.int64], units: NDArray[np.int64], molecules: int
) -> NDArray[np.float64]:
    """`ways` of an empty pack's room less these; 0 where that is less than nothing."""
    level = ways.shape[0] - 1 - (molecules if ways.shape[0] > 1 else 0)
    a, p = ways.shape[1] - 1 - atoms, ways.shape[2] - 1 - units
    inside = (a >= 0) & (p >= 0) & (level >= 0)
    return np.where(
        inside, ways[max(level, 0), np.where(inside, a, 0), np.where(inside, p, 0)], 0.0
    )


def _loss(moments: _Moments, weights: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    if not np.isfinite(moments.log_total) or (weights <= 0.0).any():
        return np.inf
    return moments.log_total - float((target * np.log(weights)).sum())


def _step(moments: _Moments, target: NDArray[np.float64], damping: float) -> NDArray[np.float64]:
    """Newton's step of the logarithms of the weights, scaled to a diagonal of 1 and damped.

    A class far rarer than it should be has next to no curvature of its own; that of its target
    lets its weight grow by a factor e, and no step of all others fail on it.
    """
    gradient = moments.expected - target
    diagonal = np.diag(moments.covariance) + np.maximum(-gradient, 0.0)
    scale = 1.0 / np.sqrt(diagonal * (1.0 + damping) + 1e-15)
    matrix = moments.covariance * np.outer(scale, scale)
    # Where packs are always full one direction has no curvature.
    matrix[np.diag_indices_from(matrix)] = 1.0 + 1e-14 + damping
    return np.asarray(-scale * np.linalg.solve(matrix, scale * gradient))
