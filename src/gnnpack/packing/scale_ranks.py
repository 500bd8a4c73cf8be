"""What each of many ranks gets of a plan, without making anybody's shard."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.plan import PackPlan


class RankPacks(NamedTuple):
    """Packs of an epoch on `world_size` ranks: arithmetic of `PackPlan.shard`.

    Every rank has the same number of packs; the last update is completed with empty ones.
    """

    num_packs: int
    packs_per_update: int
    world_size: int

    @property
    def updates(self) -> int:
        """Optimizer steps of an epoch."""
        return -(-self.num_packs // self.packs_per_update)

    @property
    def packs_per_rank_update(self) -> int:
        """Packs of one rank in one update."""
        return self.packs_per_update // self.world_size

    @property
    def packs_per_rank(self) -> int:
        """Packs of one rank in an epoch, empty ones included."""
        return self.updates * self.packs_per_rank_update

    @property
    def empty_packs(self) -> int:
        """Packs that complete the last update, over all ranks."""
        return self.updates * self.packs_per_update - self.num_packs


def rank_packs(num_packs: int, packs_per_update: int, world_size: int) -> RankPacks:
    """`RankPacks` of numbers that a plan can be cut by.

    ValueError: no packs or no rank; packs_per_update not a positive multiple of world_size; more
    ranks than packs, so that some would never get a molecule.
    """
    if num_packs < 1 or world_size < 1:
        raise ValueError(
            f"num_packs={num_packs}, world_size={world_size}; there must be at least 1 of each."
        )
    if packs_per_update < 1 or packs_per_update % world_size:
        raise ValueError(
            f"packs_per_update={packs_per_update} is not a positive multiple of "
            f"world_size={world_size}; raise it to "
            f"{max(1, -(-packs_per_update // world_size)) * world_size}."
        )
    if world_size > num_packs:
        raise ValueError(
            f"{world_size:,} ranks share {num_packs:,} packs: some would get no molecule at all. "
            f"Use at most {num_packs:,} ranks, smaller packs or more molecules."
        )
    return RankPacks(num_packs, packs_per_update, world_size)


def rank_molecules(plan: PackPlan, packs_per_update: int, world_size: int) -> NDArray[np.int64]:
    """Real molecules that each rank gets in an epoch, (world_size,) int64.

    The same numbers as `plan.shard(rank, ...)` of every rank, in one pass over the offsets.
    ValueError: see `rank_packs`.
    """
    ranks = rank_packs(plan.num_packs, packs_per_update, world_size)
    share = ranks.packs_per_rank_update
    # A share starts every `share` packs; those behind the last pack are empty.
    starts = np.minimum(np.arange(ranks.updates * world_size + 1) * share, plan.num_packs)
    held = np.diff(plan.offsets[starts]).reshape(ranks.updates, world_size)
    molecules: NDArray[np.int64] = held.sum(axis=0)
    return molecules
