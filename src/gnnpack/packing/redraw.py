"""A composition of other sizes for every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.composition import Composition, narrow
from gnnpack.packing.random_packs import RandomPacks
from gnnpack.packing.recompose import check_epoch
from gnnpack.packing.shape import PackShape

# Keeps these draws apart from those of `recompose`.
_STREAM = 0x64726177
_ATTEMPTS = 3


class Redraw:
    """Draws compositions of the molecules of one plan, of about `packs` packs of `shape`.

    composition: of the plan, for its classes and molecules. num_atoms: (M,) of all molecules.
    """

    def __init__(
        self, composition: Composition, num_atoms: NDArray[Any], shape: PackShape, packs: int
    ) -> None:
        counts = np.diff(composition.class_starts)
        there = np.flatnonzero(counts)
        self._starts = composition.class_starts[np.append(there, counts.size)]
        self._pool = composition.pool
        sizes = num_atoms[self._pool[self._starts[:-1]]].astype(np.int64)
        self._packs = RandomPacks(sizes, counts[there], shape, packs)

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
            num_packs = drawn.offsets.size - 1
            if num_packs <= most_packs:
                kinds = narrow(np.arange(num_packs), num_packs)
                return Composition(
                    kinds,
                    drawn.offsets,
                    drawn.places,
                    self._pool,
                    self._starts,
                    drawn.num_drawn,
                )
        return None
