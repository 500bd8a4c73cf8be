"""The pack size that a packer fills best."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.best_fit_decreasing import (
    best_fit_decreasing,
    best_fit_decreasing_patterns,
)
from gnnpack.packing.checks import check_num_atoms, histogram
from gnnpack.packing.first_fit_decreasing import (
    first_fit_decreasing,
    first_fit_decreasing_patterns,
)
from gnnpack.packing.lpfhp import lpfhp, lpfhp_patterns
from gnnpack.packing.one_per_pack import one_per_pack
from gnnpack.packing.optimal import optimal, optimal_patterns
from gnnpack.packing.patterns import num_packs
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape
from gnnpack.packing.spfhp import spfhp, spfhp_patterns

Packer = Callable[..., PackPlan]

# Packers whose number of packs follows from the histogram: no molecule need be assigned to count
# packs. Any other packer is asked for whole plans.
PATTERNS_OF: dict[Packer, Callable[..., Any]] = {
    best_fit_decreasing: best_fit_decreasing_patterns,
    first_fit_decreasing: first_fit_decreasing_patterns,
    lpfhp: lpfhp_patterns,
    optimal: optimal_patterns,
    spfhp: spfhp_patterns,
}
# Large molecules leave more sizes between one and two times the largest than are worth trying.
_MOST_CANDIDATES = 512


def resolve_num_atoms(
    packer: Packer,
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
) -> PackShape:
    """`shape` with num_atoms filled in when it is None.

    The largest molecule for one_per_pack; otherwise the size between one and two times the
    largest molecule at which this packer leaves fewest atom slots empty, the smaller of equals
    (of more than 512 sizes, every k-th is tried). packer: a packer or a functools.partial of one;
    num_atoms, num_pairs: (M,) integers. ValueError: what the packer refuses.

    >>> resolve_num_atoms(lpfhp, [4, 4, 4, 2, 2, 2], PackShape(None)).num_atoms
    6
    """
    if shape.num_atoms is not None:
        return shape
    atoms = check_num_atoms(num_atoms)
    largest = int(atoms.max())
    if unwrapped(packer) is one_per_pack:
        return replace(shape, num_atoms=largest)
    count_packs = _pack_counter(packer, atoms, num_pairs)
    step = -(-(largest + 1) // _MOST_CANDIDATES)
    total = int(atoms.sum(dtype=np.int64))
    best, fewest_slots = shape, None
    for size in range(largest, 2 * largest + 1, step):
        if fewest_slots is not None and -(-total // size) * size >= fewest_slots:
            continue
        candidate = replace(shape, num_atoms=size)
        slots = count_packs(candidate) * size
        if fewest_slots is None or slots < fewest_slots:
            best, fewest_slots = candidate, slots
    return best


def packer_name(packer: Packer) -> str:
    """The name users type: `packer_name(partial(next_fit, shuffle=True))` is "next_fit"."""
    function = unwrapped(packer)
    return str(getattr(function, "__name__", type(function).__name__))


def unwrapped(packer: Packer) -> Packer:
    """The packer inside any number of functools.partial."""
    while isinstance(packer, partial):
        packer = packer.func
    return packer


def _pack_counter(
    packer: Packer, num_atoms: NDArray[np.int64], num_pairs: ArrayLike | None
) -> Callable[[PackShape], int]:
    patterns_of = PATTERNS_OF.get(unwrapped(packer))
    sizes, counts = histogram(num_atoms)

    def count_packs(shape: PackShape) -> int:
        # A pair limit is for the packer itself to keep or to refuse.
        if patterns_of is None or shape.num_pairs is not None:
            return packer(num_atoms, shape, num_pairs=num_pairs).num_packs
        return num_packs(patterns_of(sizes, counts, shape))

    return count_packs
