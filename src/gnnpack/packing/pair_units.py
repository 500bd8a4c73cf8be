"""Pairs in coarse units, so that a law of packs has few classes and few states."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.pair_types import PairTypes, first_of_runs

# Some hundredths of a second for each trial of a fit, compiled.
_LARGEST_SERIES = 2**24
# The fit solves a system of so many equations.
_MOST_CLASSES = 512
_FEWEST_UNITS, _MOST_UNITS = 16, 2048
_FINER = 0.75


class Room(NamedTuple):
    """What one pack has room for; molecules is None where atoms or pairs always run out first."""

    atoms: int
    pairs: int
    molecules: int | None


class UnitClasses(NamedTuple):
    """Classes of molecules of equal atoms and equal pair units, and a pack's room in them.

    atoms, units, counts: (C,) int64, ascending by atoms, then units, as the types are that they are
    made of; atoms in multiples of their common divisor. room: likewise.
    """

    atoms: NDArray[np.int64]
    units: NDArray[np.int64]
    counts: NDArray[np.int64]
    room: Room

    @property
    def series_size(self) -> int:
        """States of a pack times classes: steps of one series."""
        levels = 1 if self.room.molecules is None else self.room.molecules + 1
        return (self.room.atoms + 1) * (self.room.pairs + 1) * levels * self.counts.size


def unit_classes(types: PairTypes, room: Room, packs: int) -> UnitClasses | None:
    """Classes fine enough for about `packs` packs; None where a law would take too long."""
    divisor = int(np.gcd.reduce(types.atoms))
    types = types._replace(atoms=types.atoms // divisor)
    room = room._replace(atoms=room.atoms // divisor)
    num_sizes = 1 + np.count_nonzero(np.diff(types.atoms))
    if num_sizes > _MOST_CLASSES or num_sizes * room.atoms * _FEWEST_UNITS > _LARGEST_SERIES:
        return None
    num_units = int(min(max(room.pairs / _fitting_unit(types, room, packs), 1.0), _MOST_UNITS))
    while True:
        classes = _classes(types, room._replace(pairs=min(num_units, room.pairs)), room.pairs)
        if classes.series_size <= _LARGEST_SERIES and classes.counts.size <= _MOST_CLASSES:
            return classes
        if num_units < _FEWEST_UNITS:
            return None
        num_units = int(num_units * _FINER)


def _fitting_unit(types: PairTypes, room: Room, packs: int) -> float:
    """A unit whose rounding errors, over a pack, vanish in what its molecules can make up for.

    Errors of k molecules add up to about sqrt(k / 12) units; by exchanging each for another of its
    size, a pack can change by about k times the deviation of pairs within sizes. Room to spare
    excuses errors as well.
    """
    size_of = np.cumsum(np.diff(types.atoms, prepend=types.atoms[0]) != 0)
    number = np.bincount(size_of, weights=types.counts)
    mean = np.bincount(size_of, weights=types.counts * types.pairs) / number
    deviation = types.counts * (types.pairs - mean[size_of]) ** 2
    total = float(types.counts.sum())
    per_pack = max(total / packs, 1.0)
    spare = room.pairs - float((types.counts * types.pairs).sum()) / packs
    within_sizes = sqrt(float(deviation.sum()) / total) * sqrt(per_pack)
    return max(1.0, 0.5 * within_sizes, 0.5 * spare / sqrt(per_pack))


def _classes(types: PairTypes, room: Room, pairs: int) -> UnitClasses:
    """Classes by atoms and pairs in units of pairs / room.pairs, rounded without bias in total."""
    scaled = types.pairs * (room.pairs / pairs)
    total = float((scaled * types.counts).sum())
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        too_many = float((np.floor(scaled + middle) * types.counts).sum()) > total
        low, high = (low, middle) if too_many else (middle, high)
    units = np.minimum(np.floor(scaled + low).astype(np.int64), room.pairs)
    firsts = first_of_runs(types.atoms, units)
    return UnitClasses(
        atoms=types.atoms[firsts],
        units=units[firsts],
        counts=np.add.reduceat(types.counts, firsts),
        room=room,
    )
