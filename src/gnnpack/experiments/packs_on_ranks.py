"""What each of many devices would get of a run's packs: arithmetic alone."""

from __future__ import annotations

import math
from typing import NamedTuple


class PacksOnRanks(NamedTuple):
    """An epoch on ``ranks`` devices; every device has as many packs as any other."""

    ranks: int
    packs_per_update: int
    updates: int
    num_packs: int
    num_molecules: int

    @property
    def packs_per_rank_update(self) -> int:
        """Of one device in one update."""
        return self.packs_per_update // self.ranks

    @property
    def empty_packs(self) -> int:
        """That complete the last update, over all devices."""
        return self.updates * self.packs_per_update - self.num_packs

    @property
    def molecules_per_update(self) -> float:
        """On average, in a full update."""
        return self.packs_per_update * self.num_molecules / self.num_packs

    def times_as_fast(self, base: PacksOnRanks) -> float:
        """Than ``base`` an epoch is, if a pack always takes as long and nobody waits."""
        mine = self.updates * self.packs_per_rank_update
        return base.updates * base.packs_per_rank_update / mine

    def efficiency(self, base: PacksOnRanks) -> float:
        """`times_as_fast` over how many times as many devices there are."""
        return self.times_as_fast(base) * base.ranks / self.ranks


def packs_on_ranks(num_packs: int, num_molecules: int, batch_size: int, ranks: int) -> PacksOnRanks:
    """An epoch with updates of ``batch_size`` molecules, in whole packs on every rank."""
    wanted = max(1, round(batch_size * num_packs / num_molecules))
    packs = math.ceil(wanted / ranks) * ranks
    return PacksOnRanks(ranks, packs, math.ceil(num_packs / packs), num_packs, num_molecules)
