"""As few packs as can be, with the proof."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.bounds import bound_of_atoms, lower_bound
from gnnpack.packing.build import plan_from_composition, plan_from_patterns
from gnnpack.packing.checks import CheckedSizes, check_sizes
from gnnpack.packing.even_packs import even_packs
from gnnpack.packing.lpfhp import lpfhp_patterns
from gnnpack.packing.pair_types import PacksOfTypes, composition_of_types, pair_types
from gnnpack.packing.pattern_lp import solve, steps
from gnnpack.packing.patterns import Pattern, assign, num_packs
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.residual import make_knapsack, pack_residual
from gnnpack.packing.rounding import rounded_down
from gnnpack.packing.shape import PackShape
from gnnpack.packing.two_limits import fewest_pair_packs

# A second or two, compiled. What would take longer stays with best fit and its volume bound.
_MAX_STEPS = 6 * 10**9


def optimal(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
) -> PackPlan:
    """The fewest packs that can be found, and the lower bound that proves how few are possible.

    Column generation for the pattern LP (Gilmore and Gomory 1961, 1963), rounded down; best fit,
    fullest packs and diving for the rest. bound_kind "lp" where the LP proves more than volume
    and Martello and Toth's bound do. Time does not grow with the number of molecules. Where
    hundreds of sizes would take the LP more than seconds (500 of them in packs of 2,048 atoms do
    not), the plan is that of best fit. Under a limit on pairs the packs are the fewest of some
    random ones (`two_limits`), and the bound is that of atoms or the volume of pairs.
    num_atoms, num_pairs: (M,) integers. seed is recorded and changes nothing. ValueError: see
    `check_sizes`.

    >>> plan = optimal([6, 5, 4, 4, 3, 3, 3], PackShape(14))
    >>> plan.num_packs, plan.lower_bound
    (2, 2)
    """
    checked = check_sizes(num_atoms, shape, num_pairs, packer="optimal", knows_pairs=True)
    patterns, bound = fewest_packs(checked.sizes, checked.counts, shape)
    if shape.num_pairs is not None:
        return _optimal_under_pairs(patterns, bound, checked, shape, seed)
    return plan_from_patterns(patterns, checked, shape, packer="optimal", seed=seed, bound=bound)


def _optimal_under_pairs(
    patterns: list[Pattern],
    bound: tuple[int, str],
    checked: CheckedSizes,
    shape: PackShape,
    seed: int,
) -> PackPlan:
    assert checked.num_pairs is not None, "check_sizes refuses a pair limit without pairs"
    bound = max(bound, lower_bound(checked, shape), key=lambda known: known[0])
    types, by_type = pair_types(checked.num_atoms, checked.num_pairs)
    type_of = np.empty(by_type.size, dtype=np.int32)
    type_of[by_type] = np.repeat(np.arange(types.counts.size), types.counts)
    molecules, offsets = assign(patterns, checked)
    by_atoms = PacksOfTypes(type_of[molecules], offsets, 0)
    packs = fewest_pair_packs(types, shape, bound[0], by_atoms)
    return plan_from_composition(
        composition_of_types(packs, types, by_type),
        checked,
        shape,
        packer="optimal",
        seed=seed,
        bound=bound,
    )


def optimal_patterns(
    sizes: NDArray[np.int64], counts: NDArray[np.int64], shape: PackShape
) -> list[Pattern]:
    """Patterns of the histogram (sizes, counts), both (S,) int64."""
    return fewest_packs(sizes, counts, shape)[0]


def fewest_packs(
    sizes: NDArray[np.int64],
    counts: NDArray[np.int64],
    shape: PackShape,
    max_steps: int = _MAX_STEPS,
) -> tuple[list[Pattern], tuple[int, str]]:
    """Patterns of the histogram (sizes, counts), both (S,) int64, and (bound, kind of bound).

    sizes ascending. max_steps: what the LP may cost, see `pattern_lp.steps`. A pure function: the
    same patterns with and without numba.
    """
    bound = bound_of_atoms(sizes, counts, shape)
    best = lpfhp_patterns(sizes, counts, shape)
    if shape.num_molecules is not None:
        best = even_packs(sizes, counts, shape, bound[0], num_packs(best)) or best
    if num_packs(best) == bound[0]:
        return best, bound
    knapsack = make_knapsack(sizes, counts, shape)
    max_pivots = max_steps // steps(knapsack)
    # The start alone takes a pivot a size.
    if knapsack.too_large or max_pivots <= sizes.size:
        return best, bound
    solution = solve(knapsack, counts, max_pivots)
    bound = max(bound, (solution.bound, "lp"), key=lambda known: known[0])
    patterns, left = rounded_down(solution, sizes, counts)
    if left.any():
        patterns += pack_residual(sizes, left, shape, bound[0] - num_packs(patterns))
    return min(best, patterns, key=num_packs), bound
