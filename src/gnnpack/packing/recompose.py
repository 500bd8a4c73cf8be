"""A new composition of the same packs: who meets whom, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.composition import Composition, deal
from gnnpack.packing.ordering import shuffle_blocks

# Keeps these draws apart from a packer's own default_rng([seed]).
_STREAM = 0x65706F63


def recompose(
    composition: Composition, seed: int, epoch: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Molecules (M,) int64 and offsets (num_packs+1,) int64 of one epoch.

    Molecules change places at random within their class, and packs among each other. A pure
    function of its arguments, with or without numba. ValueError: negative seed or epoch.
    """
    check_epoch(seed, epoch)
    of_molecules, of_packs = np.random.SeedSequence([seed, epoch, _STREAM]).generate_state(
        2, np.uint64
    )
    pool, kinds = composition.pool.copy(), composition.kinds.copy()
    shuffle_blocks(pool, composition.class_starts, of_molecules)
    shuffle_blocks(kinds, np.array([0, kinds.size]), of_packs)
    return deal(composition._replace(pool=pool, kinds=kinds))


def check_epoch(seed: int, epoch: int) -> None:
    """ValueError for a negative seed or epoch."""
    for name, number in (("seed", seed), ("epoch", epoch)):
        if isinstance(number, bool) or number < 0:
            raise ValueError(f"{name}={number!r} must be an integer of at least 0")
