"""Longest-pack-first histogram packing."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.build import plan_from_patterns
from gnnpack.packing.checks import check_sizes
from gnnpack.packing.open_packs import OpenPacks
from gnnpack.packing.patterns import Pattern
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape


def lpfhp(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
) -> PackPlan:
    """Largest molecules first, each into the fullest pack that still has room.

    LPFHP of Krell, Kosec, Perez, Fitzgibbon (arXiv 2107.02027, section 3 and appendix), as the
    reference implementation does it: best fit decreasing on the histogram, and a pack that is
    taken is given as many copies of the size as fit. Knows atoms and molecules, not pairs.
    num_atoms, num_pairs: (M,) integers. seed is recorded, nothing is drawn. ValueError: see
    `check_sizes`.

    >>> lpfhp([2, 5, 3, 4], PackShape(7)).num_packs
    2
    """
    checked = check_sizes(num_atoms, shape, num_pairs, packer="lpfhp", knows_pairs=False)
    patterns = lpfhp_patterns(checked.sizes, checked.counts, shape)
    return plan_from_patterns(patterns, checked, shape, packer="lpfhp", seed=seed)


def lpfhp_patterns(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> list[Pattern]:
    """Patterns of the histogram (sizes, counts), both (S,); time does not grow with counts."""
    assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
    max_molecules = shape.num_molecules or shape.num_atoms
    open_packs = OpenPacks(max_molecules)
    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist()):
        while count > 0:
            room = open_packs.least_room(size)
            old = Pattern(count, ()) if room is None else open_packs.take(room)
            room = shape.num_atoms if room is None else room
            copies = min(room // size, max_molecules - len(old.sizes), count)
            packs = min(old.packs, count // copies)
            if old.sizes and packs < old.packs:
                open_packs.put(room, Pattern(old.packs - packs, old.sizes))
            open_packs.put(room - copies * size, Pattern(packs, old.sizes + (size,) * copies))
            count -= packs * copies
    return open_packs.all_patterns()
