"""Longest-pack-first histogram packing."""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.build import plan_from_patterns
from gnnpack.packing.checks import check_sizes
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
    open_packs = _OpenPacks(shape.num_atoms, shape.num_molecules or shape.num_atoms)
    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist()):
        while count > 0:
            count -= open_packs.add(size, count)
    return open_packs.all_patterns()


class _OpenPacks:
    """Packs with room left, by how many atoms still fit; the latest made is taken first."""

    def __init__(self, capacity: int, max_molecules: int) -> None:
        self.capacity = capacity
        self.max_molecules = max_molecules
        self.by_room: dict[int, list[Pattern]] = {}
        self.rooms: list[int] = []
        self.closed: list[Pattern] = []

    def add(self, size: int, count: int) -> int:
        """Put molecules of one size into the fullest fitting packs; how many found a place."""
        place = bisect_left(self.rooms, size)
        if place < len(self.rooms):
            room = self.rooms[place]
            old = self._take(room)
        else:
            room = self.capacity
            old = Pattern(count, ())
        copies = min(room // size, self.max_molecules - len(old.sizes), count)
        packs = min(old.packs, count // copies)
        if old.sizes and packs < old.packs:
            self._put(room, Pattern(old.packs - packs, old.sizes))
        self._put(room - copies * size, Pattern(packs, old.sizes + (size,) * copies))
        return packs * copies

    def all_patterns(self) -> list[Pattern]:
        return self.closed + [pattern for room in self.rooms for pattern in self.by_room[room]]

    def _take(self, room: int) -> Pattern:
        pattern = self.by_room[room].pop()
        if not self.by_room[room]:
            del self.by_room[room]
            self.rooms.remove(room)
        return pattern

    def _put(self, room: int, pattern: Pattern) -> None:
        if room == 0 or len(pattern.sizes) == self.max_molecules:
            self.closed.append(pattern)
            return
        if room not in self.by_room:
            self.by_room[room] = []
            insort(self.rooms, room)
        self.by_room[room].append(pattern)
