"""Packs of equally many molecules and nearly equally many atoms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.patterns import Pattern
from gnnpack.packing.shape import PackShape

_ATTEMPTS = 6


def even_packs(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape, least: int, below: int
) -> list[Pattern] | None:
    """At least `least` and fewer than `below` packs, for a limit on molecules that binds.

    sizes ascending, counts: (S,) int64. Round by round the largest molecules left go to the packs
    with fewest atoms, one each (largest processing time first: Graham 1969). None where packs
    come out over shape.num_atoms for every number of packs tried.
    """
    assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
    items = np.repeat(sizes, counts)[::-1]
    tried = np.unique(np.linspace(least, below - 1, _ATTEMPTS).astype(np.int64)).tolist()
    for packs in tried if least < below else []:
        rounds = _dealt(items, packs)
        fits = rounds.sum(axis=1).max() <= shape.num_atoms
        if fits and (shape.num_molecules is None or rounds.shape[1] <= shape.num_molecules):
            return _patterns(rounds)
    return None


def _dealt(items: NDArray[np.int64], packs: int) -> NDArray[np.int64]:
    """Sizes (packs, rounds) int64 in every pack, 0 where a pack goes without."""
    num_rounds = -(-items.size // packs)
    rounds = np.zeros((packs, num_rounds), dtype=np.int64)
    held = np.zeros(packs, dtype=np.int64)
    for place in range(num_rounds):
        given = items[place * packs : (place + 1) * packs]
        takers = np.argsort(held, kind="stable")[: given.size]
        rounds[takers, place] = given
        held[takers] += given
    return rounds


def _patterns(rounds: NDArray[np.int64]) -> list[Pattern]:
    kinds, times = np.unique(-np.sort(-rounds, axis=1), axis=0, return_counts=True)
    return [
        Pattern(packs, tuple(size for size in kind if size))
        for packs, kind in zip(times.tolist(), kinds.tolist())
    ]
