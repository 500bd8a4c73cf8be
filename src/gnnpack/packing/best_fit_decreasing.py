"""Best fit decreasing, on runs of equal packs."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.build import plan_from_patterns
from gnnpack.packing.checks import check_sizes
from gnnpack.packing.patterns import Pattern
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape


def best_fit_decreasing(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
) -> PackPlan:
    """Largest molecules first, each into the fullest pack that has room; of equals the first.

    Johnson et al. (1974, SIAM J. Comput. 3, 299-325). Knows atoms and molecules, not pairs.
    num_atoms, num_pairs: (M,) integers. seed is recorded, nothing is drawn. ValueError: see
    `check_sizes`.

    >>> best_fit_decreasing([2, 5, 3, 4], PackShape(7)).atoms_per_pack.tolist()
    [7, 7]
    """
    checked = check_sizes(
        num_atoms, shape, num_pairs, packer="best_fit_decreasing", knows_pairs=False
    )
    patterns = best_fit_decreasing_patterns(checked.sizes, checked.counts, shape)
    return plan_from_patterns(patterns, checked, shape, packer="best_fit_decreasing", seed=seed)


class _Run(NamedTuple):
    """Neighbouring equal packs, of which the first was the `opened`-th that was opened."""

    opened: int
    packs: int
    sizes: tuple[int, ...]


def best_fit_decreasing_patterns(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> list[Pattern]:
    """Patterns of the histogram (sizes, counts), both (S,), in the order the packs were opened.

    Molecules of one size fill a pack before they come to the next, and equal packs one after the
    other: runs of equal packs take the place of packs.
    """
    assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
    max_molecules = shape.num_molecules or shape.num_atoms
    open_runs: dict[int, list[_Run]] = {}
    rooms: list[int] = []
    closed: list[_Run] = []
    opened = 0

    def put(room: int, run: _Run) -> None:
        if room == 0 or len(run.sizes) == max_molecules:
            closed.append(run)
            return
        if room not in open_runs:
            insort(rooms, room)
        insort(open_runs.setdefault(room, []), run)

    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist()):
        while count > 0:
            place = bisect_left(rooms, size)
            if place < len(rooms):
                room = rooms[place]
                run = open_runs[room].pop(0)
                if not open_runs[room]:
                    del open_runs[rooms.pop(place)]
            else:
                room, run = shape.num_atoms, _Run(opened, count, ())
            copies = min(room // size, max_molecules - len(run.sizes), count)
            packs = min(run.packs, count // copies)
            if run.sizes and packs < run.packs:
                put(room, _Run(run.opened + packs, run.packs - packs, run.sizes))
            opened += 0 if run.sizes else packs
            put(room - copies * size, _Run(run.opened, packs, run.sizes + (size,) * copies))
            count -= packs * copies
    runs = sorted(closed + [run for room in rooms for run in open_runs[room]])
    return [Pattern(run.packs, run.sizes) for run in runs]
