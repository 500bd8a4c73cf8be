"""The law of random packs that keep two limits and use up every class alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.entropy import Moments, fit_weights, moments_of_series
from gnnpack.packing.pair_series import ways_to_go_on
from gnnpack.packing.pair_units import UnitClasses

_MAX_TRIALS = 50
# Expected molecules that a law may be off by, over all classes and packs.
_TOLERANCE = 0.05


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


def fit_pack_law(
    classes: UnitClasses, packs: int, start: NDArray[np.float64] | None = None
) -> PackLaw:
    """The law under which a pack holds counts / packs molecules of each class, in expectation.

    Of most entropy relative to drawing class by class, see `fit_weights`. An error that stays
    counts molecules that do not find company.
    start: (C,) weights to begin with. packs: enough to hold all atoms and units.
    """
    target = classes.counts / packs
    end = _end(classes, target)
    fit = fit_weights(
        lambda weights: _moments(classes, weights, end),
        target,
        start,
        tolerance=_TOLERANCE / packs,
        max_trials=_MAX_TRIALS,
    )
    moments = fit.moments
    molecules = float(moments.expected.sum()), float(max(moments.covariance.sum(), 0.0)) ** 0.5
    return PackLaw(fit.weights, end, moments.series, packs, fit.error * packs, molecules)


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
) -> Moments:
    """Mean and covariance of the molecules of each class in a pack."""
    atoms, units, molecules = classes.atoms, classes.units, classes.room.molecules
    levels = 1 if molecules is None else molecules + 1
    ways = ways_to_go_on(atoms, units, weights, end, levels, powers=3)
    to_come = {
        1: (atoms, units),
        2: (np.add.outer(atoms, atoms), np.add.outer(units, units)),
    }
    return moments_of_series(
        weights, ways, lambda power, number: _before_the_end(power, *to_come[number], number)
    )


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
