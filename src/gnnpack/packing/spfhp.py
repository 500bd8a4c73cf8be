"""Shortest-pack-first histogram packing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.build import plan_from_patterns
from gnnpack.packing.checks import check_sizes
from gnnpack.packing.open_packs import OpenPacks
from gnnpack.packing.patterns import Pattern
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape


def spfhp(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
) -> PackPlan:
    """Largest molecules first, each into the emptiest pack that has room.

    SPFHP of Krell, Kosec, Perez, Fitzgibbon (arXiv 2107.02027, section 3 and appendix), as the
    reference implementation does it: one molecule at a time, and when a size fits no open pack,
    each molecule left of it opens one. In packs much larger than the molecules that leaves many
    packs almost empty; lpfhp does not do so. Knows atoms and molecules, not pairs.
    num_atoms, num_pairs: (M,) integers. seed is recorded, nothing is drawn. ValueError: see
    `check_sizes`.

    >>> spfhp([6, 5, 1], PackShape(7)).atoms_per_pack.tolist()
    [6, 6]
    """
    checked = check_sizes(num_atoms, shape, num_pairs, packer="spfhp", knows_pairs=False)
    patterns = spfhp_patterns(checked.sizes, checked.counts, shape)
    return plan_from_patterns(patterns, checked, shape, packer="spfhp", seed=seed)


def spfhp_patterns(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> list[Pattern]:
    """Patterns of the histogram (sizes, counts), both (S,); time does not grow with counts."""
    assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
    open_packs = OpenPacks(shape.num_molecules or shape.num_atoms)
    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist()):
        while count > 0:
            room = open_packs.most_room(size)
            old = Pattern(count, ()) if room is None else open_packs.take(room)
            room = shape.num_atoms if room is None else room
            packs = min(old.packs, count)
            if packs < old.packs:
                open_packs.put(room, Pattern(old.packs - packs, old.sizes))
            open_packs.put(room - size, Pattern(packs, (*old.sizes, size)))
            count -= packs
    return open_packs.all_patterns()
