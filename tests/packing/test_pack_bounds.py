"""Lower bounds against the true optimum of instances small enough to search."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
import size_tables
from every_packer import PACKERS, instances, make_plan, quick
from hypothesis import given

from gnnpack.packing import PackShape, lpfhp, next_fit, packer_name
from gnnpack.packing.bounds import lower_bound, martello_toth
from gnnpack.packing.checks import check_sizes


def fewest_packs(num_atoms, num_pairs, shape):
    """The optimum by trying, for the first molecule left, every pack it could be in."""
    num_molecules = len(num_atoms)
    subsets = range(1, 2**num_molecules)
    members = {s: [i for i in range(num_molecules) if s >> i & 1] for s in subsets}
    fits = [
        subset
        for subset, chosen in members.items()
        if sum(int(num_atoms[i]) for i in chosen) <= shape.num_atoms
        and sum(int(num_pairs[i]) for i in chosen) <= (shape.num_pairs or 10**9)
        and len(chosen) <= (shape.num_molecules or num_molecules)
    ]

    @lru_cache(maxsize=None)
    def fewest(left):
        first = left & -left
        if not left:
            return 0
        return 1 + min(fewest(left & ~s) for s in fits if s & first and s & left == s)

    return fewest(2**num_molecules - 1)


@given(instance=instances(max_molecules=7, largest=9))
@quick
def test_bound_is_at_most_the_optimum_and_packers_are_at_least(instance):
    num_atoms, num_pairs, shape = instance
    optimum = fewest_packs(*instance)
    checked = check_sizes(num_atoms, shape, num_pairs, packer="next_fit", knows_pairs=True)
    assert lower_bound(checked, shape)[0] <= optimum
    atoms_only = PackShape(shape.num_atoms, None, shape.num_molecules)
    optimum_of_atoms = fewest_packs(num_atoms, num_pairs, atoms_only)
    for packer in PACKERS:
        plan = make_plan(packer, instance)
        least = optimum if plan.shape.num_pairs is not None else optimum_of_atoms
        assert plan.lower_bound <= least <= plan.num_packs, packer_name(packer)


@given(instance=instances(max_molecules=30))
@quick
def test_martello_toth_is_its_definition(instance):
    num_atoms, _, shape = instance
    capacity = shape.num_atoms
    best = 0
    items = num_atoms.tolist()
    for threshold in range(capacity // 2 + 1):
        alone = [w for w in items if w > capacity - threshold]
        shared = [w for w in items if capacity - threshold >= w > capacity / 2]
        small = [w for w in items if capacity / 2 >= w >= threshold]
        overflow = sum(small) - (len(shared) * capacity - sum(shared))
        best = max(best, len(alone) + len(shared) + max(0, -(-overflow // capacity)))
    sizes, counts = np.unique(num_atoms.astype(np.int64), return_counts=True)
    assert martello_toth(sizes, counts, capacity) == best


@pytest.mark.parametrize(
    "num_atoms, num_pairs, shape, bound",
    [
        ([5, 5, 5], None, PackShape(10), (2, "volume")),
        ([6, 6, 6], None, PackShape(10), (3, "martello_toth")),
        ([1, 1, 1], None, PackShape(10, None, 2), (2, "molecules")),
        ([1, 1, 1], [5, 5, 5], PackShape(10, 7), (3, "pair_volume")),
    ],
)
def test_kind_of_bound(num_atoms, num_pairs, shape, bound):
    plan = next_fit(num_atoms, shape, num_pairs=num_pairs)
    assert (plan.lower_bound, plan.bound_kind) == bound


def test_bound_of_qm9_proves_that_padding_to_29_cannot_pair_more():
    plan = lpfhp(size_tables.molecules(size_tables.QM9), PackShape(29))
    assert plan.num_packs == plan.lower_bound == 116_041
