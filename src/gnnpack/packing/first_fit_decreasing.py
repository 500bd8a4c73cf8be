"""First fit decreasing, on runs of equal packs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.build import plan_from_patterns
from gnnpack.packing.checks import check_sizes
from gnnpack.packing.patterns import Pattern
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape


def first_fit_decreasing(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
) -> PackPlan:
    """Largest molecules first, each into the first pack that has room.

    At most 11/9 of the optimum + 6/9 packs (Dosa 2007). Knows atoms and molecules, not pairs.
    num_atoms, num_pairs: (M,) integers. seed is recorded, nothing is drawn. ValueError: see
    `check_sizes`.

    >>> first_fit_decreasing([2, 5, 3, 4], PackShape(7)).atoms_per_pack.tolist()
    [7, 7]
    """
    checked = check_sizes(
        num_atoms, shape, num_pairs, packer="first_fit_decreasing", knows_pairs=False
    )
    patterns = first_fit_decreasing_patterns(checked.sizes, checked.counts, shape)
    return plan_from_patterns(patterns, checked, shape, packer="first_fit_decreasing", seed=seed)


def first_fit_decreasing_patterns(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> list[Pattern]:
    """Patterns of the histogram (sizes, counts), both (S,), in the order the packs were opened.

    Molecules of one size fill pack after pack from the first on, so neighbouring packs stay
    equal but for one: runs of equal packs take the place of packs, and time does not grow with
    the number of molecules.
    """
    assert shape.num_atoms is not None, "check_sizes refuses a shape without num_atoms"
    max_molecules = shape.num_molecules or shape.num_atoms
    runs: list[Pattern] = []
    for size, count in zip(sizes[::-1].tolist(), counts[::-1].tolist()):
        endless = Pattern(count, ())
        filled: list[Pattern] = []
        for run in [*runs, endless]:
            room = min(
                (shape.num_atoms - sum(run.sizes)) // size, max_molecules - len(run.sizes), count
            )
            if room < 1:
                filled.append(run)
                continue
            whole = min(run.packs, count // room)
            count -= whole * room
            last = count if whole < run.packs and count < room else 0
            count -= last
            filled.append(Pattern(whole, run.sizes + (size,) * room))
            filled.append(Pattern(int(last > 0), run.sizes + (size,) * last))
            filled.append(Pattern(run.packs - whole - int(last > 0), run.sizes))
        assert count == 0, "new packs take what the open ones cannot"
        runs = [run for run in filled if run.packs and run.sizes]
    return runs
