"""Tuple packing: best fit by the product of what a pack has free."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.build import plan_from_composition
from gnnpack.packing.checks import check_sizes
from gnnpack.packing.compiled import compiled
from gnnpack.packing.pair_types import PacksOfTypes, PairTypes, composition_of_types, pair_types
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape


def tuple_packing(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
) -> PackPlan:
    """Molecules of most atoms times pairs first, each into the pack with least room that has room.

    Krell, Lopez, Anand, Helal, Fitzgibbon (arXiv 2209.06354) with the product as heuristic, for
    molecules and for the room of packs; on runs of equal packs, as published. Where no pack has
    room for molecules of some (atoms, pairs), each of them opens one. A pack without a free atom or
    without a free pair is closed. Without a limit on pairs, atoms alone are the heuristic. Time
    grows with the square of the number of distinct (atoms, pairs).
    num_atoms, num_pairs: (M,) integers. seed is recorded, nothing is drawn. ValueError: see
    `check_sizes`.

    >>> tuple_packing([4, 3, 2, 2], PackShape(6, 9), num_pairs=[6, 3, 1, 1]).num_packs
    2
    """
    checked = check_sizes(num_atoms, shape, num_pairs, packer="tuple_packing", knows_pairs=True)
    limited = shape.num_pairs is not None
    pairs = checked.num_pairs if limited else np.zeros_like(checked.num_atoms)
    assert pairs is not None, "check_sizes refuses a pair limit without pairs"
    types, molecules = pair_types(checked.num_atoms, pairs)
    packs = pack_tuples(types, shape)
    return plan_from_composition(
        composition_of_types(packs, types, molecules),
        checked,
        shape,
        packer="tuple_packing",
        seed=seed,
    )


def pack_tuples(types: PairTypes, shape: PackShape) -> PacksOfTypes:
    """Packs of all molecules of `types`, those closed first in front."""
    assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
    num_molecules = int(types.counts.sum())
    # Exact up to 2**53, and larger products need no exact order.
    weight = types.atoms.astype(np.float64)
    if shape.num_pairs is not None:
        weight = weight * types.pairs
    order = np.lexsort((types.pairs, types.atoms, weight))[::-1]
    room = np.array(
        [shape.num_atoms, shape.num_pairs or 1, shape.num_molecules or num_molecules],
        dtype=np.int64,
    )
    last = np.empty(num_molecules, dtype=np.int32)
    before = np.empty(num_molecules, dtype=np.int64)
    copies = np.zeros(num_molecules, dtype=np.int64)
    kernel = compiled(place_in_runs) or place_in_runs
    kernel(
        types.atoms,
        types.pairs,
        types.counts,
        weight,
        order,
        room,
        shape.num_pairs is not None,
        last,
        before,
        copies,
    )
    held, lengths = [], []
    for run in np.flatnonzero(copies).tolist():
        members, packs = [], int(copies[run])
        while run >= 0:
            members.append(last[run])
            run = int(before[run])
        held.append(np.tile(np.array(members[::-1], dtype=np.int32), packs))
        lengths.append(np.full(packs, len(members)))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
    return PacksOfTypes(np.concatenate(held), offsets, 0)


def place_in_runs(
    atoms: NDArray[np.int64],
    pairs: NDArray[np.int64],
    counts: NDArray[np.int64],
    weight: NDArray[np.float64],
    order: NDArray[np.int64],
    room: NDArray[np.int64],
    weighs_pairs: bool,
    last: NDArray[np.int32],
    before: NDArray[np.int64],
    copies: NDArray[np.int64],
) -> None:
    """`pack_tuples` for numba: writes last, before and copies.

    order (T,): types, the heaviest first. room: atoms, pairs, molecules of a pack. Run r is
    copies[r] equal packs: what run before[r] held, -1 for nothing, and a molecule of type last[r].
    """
    free_atoms = np.empty(last.size, dtype=np.int64)
    free_pairs = np.empty(last.size, dtype=np.int64)
    free_weight = np.empty(last.size)
    held = np.empty(last.size, dtype=np.int64)
    # Runs with room, by the weight of it; of equal ones the earlier first.
    opened = np.empty(last.size, dtype=np.int64)
    num_opened, num_runs = 0, 0
    for kind in order:
        left = counts[kind]
        while left > 0:
            at, high = 0, num_opened
            while at < high:
                middle = (at + high) // 2
                if free_weight[opened[middle]] < weight[kind]:
                    at = middle + 1
                else:
                    high = middle
            while at < num_opened and (
                free_atoms[opened[at]] < atoms[kind] or free_pairs[opened[at]] < pairs[kind]
            ):
                at += 1
            new = num_runs
            num_runs += 1
            last[new] = kind
            if at == num_opened:
                before[new], copies[new], held[new] = -1, left, 1
                free_atoms[new], free_pairs[new] = room[0] - atoms[kind], room[1] - pairs[kind]
                split = -1
            else:
                split = opened[at]
                num_opened -= 1
                for place in range(at, num_opened):
                    opened[place] = opened[place + 1]
                before[new], copies[new] = split, min(left, copies[split])
                held[new] = held[split] + 1
                free_atoms[new] = free_atoms[split] - atoms[kind]
                free_pairs[new] = free_pairs[split] - pairs[kind]
                copies[split] -= copies[new]
            left -= copies[new]
            free_weight[new] = float(free_atoms[new])
            if weighs_pairs:
                free_weight[new] *= free_pairs[new]
            for run in (split, new):
                if run < 0 or copies[run] == 0:
                    continue
                if free_weight[run] == 0.0 or held[run] == room[2]:
                    continue
                place = num_opened
                while place > 0 and free_weight[opened[place - 1]] > free_weight[run]:
                    opened[place] = opened[place - 1]
                    place -= 1
                opened[place] = run
                num_opened += 1
