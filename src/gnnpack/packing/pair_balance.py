"""Exchange molecules of equal atoms until packs have about equal pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.ordering import stable_order
from gnnpack.packing.pair_types import PairTypes, first_of_runs, sums_per_pack

_MAX_SWEEPS = 6


def balance_pairs(
    slots: NDArray[np.int32],
    offsets: NDArray[np.int64],
    types: PairTypes,
    most_pairs: int,
) -> NDArray[np.int32]:
    """Types (slots,) int32 again, permuted among slots of equal atoms so that packs have few over.

    slots: the type in each slot, pack after pack. Sweeps over the slots, of one size and one rank
    in its pack at a time: the pack that has fewest other pairs gets the molecule that has most, and
    so on. Sweeps end when no pack has more than most_pairs.
    """
    slots = slots.copy()
    totals = sums_per_pack(slots, offsets, types.pairs)
    if not (totals > most_pairs).any():
        return slots
    pack_of = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    order, starts = _groups(types.atoms[slots], pack_of)
    groups = [order[start:stop] for start, stop in zip(starts[:-1], starts[1:]) if stop > start + 1]
    for sweep in range(_MAX_SWEEPS):
        for group in groups[:: -1 if sweep % 2 == 0 else 1]:
            packs, held = pack_of[group], slots[group]
            pairs = types.pairs[held]
            others = totals[packs] - pairs
            given = np.empty_like(held)
            # Types of equal atoms ascend with their pairs.
            given[stable_order(others.max() - others)] = np.sort(held)
            totals[packs] += types.pairs[given] - pairs
            slots[group] = given
        if not (totals > most_pairs).any():
            break
    return slots


def _groups(
    atoms: NDArray[np.int64], pack_of: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Slots ordered by atoms and by rank among those of equal atoms in the pack; group starts.

    No group has two slots of one pack.
    """
    order = stable_order(atoms)
    atoms, pack_of = atoms[order], pack_of[order]
    firsts = first_of_runs(atoms, pack_of)
    lengths = np.diff(np.append(firsts, order.size))
    rank = np.arange(order.size) - np.repeat(firsts, lengths)
    size = np.cumsum(np.diff(atoms, prepend=atoms[:1]) != 0)
    group = size * (int(rank.max()) + 1) + rank
    by_group = stable_order(group)
    return order[by_group], np.concatenate([[0], np.cumsum(np.bincount(group))])
