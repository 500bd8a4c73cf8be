"""A new composition of the same packs: who meets whom, and in which order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.composition import Composition, deal
from gnnpack.packing.ordering import shuffle_blocks

# Keeps these draws apart from a packer's own default_rng([seed]).
_STREAM = 0x65706F63


def recompose(
    composition: Composition, seed: int, epoch: int, *, shard: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Molecules (M,) int64 and offsets (num_packs+1,) int64 of one epoch.

    Molecules change places at random within their class, and packs among each other. With
    ``shard`` the epoch goes through shards of so many successive molecules, in random order, and
    molecules change places within about one: their rows are then read from one part of a file
    after the other. A pure function of its arguments, with or without numba. ValueError: negative
    seed or epoch.
    """
    check_epoch(seed, epoch)
    of_molecules, of_packs = np.random.SeedSequence([seed, epoch, _STREAM]).generate_state(
        2, np.uint64
    )
    pool, kinds = composition.pool.copy(), composition.kinds.copy()
    shuffle_blocks(pool, composition.class_starts, of_molecules)
    if shard is not None:
        pool = in_shards(pool, composition.class_starts, shard, int(of_packs))
    shuffle_blocks(kinds, np.array([0, kinds.size]), of_packs)
    return deal(composition._replace(pool=pool, kinds=kinds))


def in_shards(
    pool: NDArray[Any], class_starts: NDArray[np.int64], shard: int, seed: int
) -> NDArray[Any]:
    """Each class of the pool (M,) in one random order of shards; otherwise as it stands.

    Packs take the molecules of a class in their order, and meet classes at random, so all classes
    come to a shard at about the same time.
    """
    last = int(pool.max()) if pool.size else 0
    turn = np.random.default_rng(seed).permutation(last // shard + 1)
    classes = np.repeat(np.arange(class_starts.size - 1), np.diff(class_starts))
    return pool[np.argsort(classes * turn.size + turn[pool // shard], kind="stable")]


def check_epoch(seed: int, epoch: int) -> None:
    """ValueError for a negative seed or epoch."""
    for name, number in (("seed", seed), ("epoch", epoch)):
        if isinstance(number, bool) or number < 0:
            raise ValueError(f"{name}={number!r} must be an integer of at least 0")
