"""A composition of other sizes for every epoch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.composition import Composition, narrow
from gnnpack.packing.pair_types import PacksOfTypes, PairTypes
from gnnpack.packing.random_packs import RandomPacks
from gnnpack.packing.recompose import check_epoch
from gnnpack.packing.shape import PackShape
from gnnpack.packing.two_limits import RandomPairPacks

# Keeps these draws apart from those of `recompose`.
_STREAM = 0x64726177
_ATTEMPTS = 10
# A limit on molecules so near the mean of all packs may be one that the law must know of; it is
# where packs drawn without knowing are more by this share.
_NEAR, _TOO_MANY = 0.9, 0.001


class _Draws(Protocol):
    def draw(self, key: int) -> PacksOfTypes | None: ...


class Redraw:
    """Draws compositions of the molecules of one plan, of about `packs` packs of `shape`.

    composition: of the plan, for its classes and molecules. num_atoms: (M,) of all molecules;
    num_pairs: (M,), needed where shape limits pairs.
    """

    def __init__(
        self,
        composition: Composition,
        num_atoms: NDArray[Any],
        num_pairs: NDArray[Any] | None,
        shape: PackShape,
        packs: int,
    ) -> None:
        counts = np.diff(composition.class_starts)
        there = np.flatnonzero(counts)
        self._starts = composition.class_starts[np.append(there, counts.size)]
        self._pool = composition.pool
        firsts, counts = self._pool[self._starts[:-1]], counts[there]
        atoms = num_atoms[firsts].astype(np.int64)
        self._packs: _Draws
        if shape.num_pairs is not None:
            assert num_pairs is not None, "a plan with a limit on pairs has counted them"
            types = PairTypes(atoms, num_pairs[firsts].astype(np.int64), counts)
            self._packs = RandomPairPacks(types, shape, packs)
        else:
            self._packs = _without_pairs(atoms, counts, shape, packs)

    def composition(self, seed: int, epoch: int, most_packs: int) -> Composition | None:
        """The composition of one epoch, of at most most_packs packs; None where none was found.

        A pure function of the plan, seed and epoch. ValueError: negative seed or epoch.
        """
        check_epoch(seed, epoch)
        keys = np.random.SeedSequence([seed, epoch, _STREAM]).generate_state(_ATTEMPTS, np.uint64)
        for key in keys.tolist():
            drawn = self._packs.draw(key)
            if drawn is None:
                return None
            if drawn.num_packs <= most_packs:
                return Composition(
                    narrow(np.arange(drawn.num_packs), drawn.num_packs),
                    drawn.offsets,
                    drawn.types,
                    self._pool,
                    self._starts,
                )
        return None


def _without_pairs(
    atoms: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape, packs: int
) -> _Draws:
    """Draws for limits on atoms and molecules; the slower law only where a limit on these binds."""
    quick = RandomPacks(atoms, counts, shape, packs)
    most = shape.num_molecules
    if most is None or int(counts.sum()) <= _NEAR * most * packs:
        return quick
    drawn = quick.draw(0)
    if drawn is not None and drawn.num_packs <= packs * (1.0 + _TOO_MANY):
        return quick
    # The law of pairs knows limits on molecules; here every pack has room for all pairs.
    types = PairTypes(atoms, np.zeros_like(atoms), counts)
    return RandomPairPacks(types, replace(shape, num_pairs=1), packs)
