"""The optimal packer: as few packs as its bound allows, and a bound that holds."""

from __future__ import annotations

import numpy as np
import pytest
import size_tables
from every_packer import instances, packs, quick, without_numba
from hypothesis import given
from test_pack_bounds import fewest_packs as fewest_by_search

from gnnpack.packing import PackShape, lpfhp, optimal
from gnnpack.packing.lpfhp import lpfhp_patterns
from gnnpack.packing.optimal import fewest_packs
from gnnpack.packing.patterns import num_packs

TABLES = {
    "qm9": (size_tables.QM9, 1),
    "hydronet_500k": (size_tables.HYDRONET_500K, 3),
    "hydronet_2_7m": (size_tables.HYDRONET_2_7M, 3),
    "hydronet_4_5m": (size_tables.HYDRONET_4_5M, 3),
}

# (table, num_atoms, packs, kind of bound): each proven to be the fewest possible.
PROVEN = [
    ("qm9", 29, 116_041, "martello_toth"),
    ("qm9", 36, 66_433, "lp"),
    ("qm9", 40, 62_566, "lp"),
    ("qm9", 54, 43_691, "lp"),
    ("qm9", 72, 32_767, "volume"),
    ("qm9", 128, 18_432, "volume"),
    ("qm9", 512, 4_608, "volume"),
    ("hydronet_500k", 192, 164_032, "lp"),
    ("hydronet_500k", 195, 161_339, "volume"),
    ("hydronet_500k", 256, 123_377, "lp"),
    ("hydronet_2_7m", 195, 880_093, "volume"),
    ("hydronet_2_7m", 300, 572_704, "lp"),
    ("hydronet_4_5m", 153, 2_066_923, "lp"),
    ("hydronet_4_5m", 180, 1_871_940, "lp"),
    ("hydronet_4_5m", 213, 1_481_698, "volume"),
    ("hydronet_4_5m", 512, 618_827, "lp"),
]


@pytest.mark.parametrize("table, num_atoms, expected, kind", PROVEN)
def test_proven_optimum_of_the_data_sets(table, num_atoms, expected, kind):
    sizes, counts = size_tables.histogram(*TABLES[table])
    patterns, bound = fewest_packs(sizes, counts, PackShape(num_atoms))
    assert (num_packs(patterns), bound) == (expected, (expected, kind))


@pytest.mark.parametrize("table", TABLES)
def test_at_most_one_pack_over_the_bound(table):
    sizes, counts = size_tables.histogram(*TABLES[table])
    for num_atoms in range(int(sizes[-1]), 513, 37):
        patterns, (bound, _) = fewest_packs(sizes, counts, PackShape(num_atoms))
        assert bound <= num_packs(patterns) <= bound + 1, num_atoms


def test_qm9_molecule_by_molecule():
    plan = optimal(size_tables.molecules(size_tables.QM9), PackShape(54))
    plan.validate()
    assert plan.num_packs == plan.lower_bound == 43_691
    assert plan.atom_efficiency > 0.9999
    plan.epoch(0, 0).validate()


@pytest.mark.parametrize("num_molecules", [2, 3, 4, 7])
def test_molecules_of_a_pack_on_qm9(num_molecules):
    sizes, counts = size_tables.histogram(size_tables.QM9)
    patterns, (bound, _) = fewest_packs(sizes, counts, PackShape(54, None, num_molecules))
    assert bound <= num_packs(patterns) <= bound + 1
    assert max(len(pattern.sizes) for pattern in patterns) <= num_molecules


@given(instance=instances(max_molecules=8, largest=12))
@quick
def test_bound_and_packs_enclose_the_true_optimum(instance):
    num_atoms, num_pairs, shape = instance
    shape = PackShape(shape.num_atoms, None, shape.num_molecules)
    optimum = fewest_by_search(num_atoms, num_pairs, shape)
    plan = optimal(num_atoms, shape)
    assert plan.lower_bound <= optimum <= plan.num_packs <= plan.lower_bound + 1


@given(instance=instances(max_molecules=60, largest=50))
@quick
def test_never_more_packs_than_best_fit_nor_than_one_over_the_bound(instance):
    num_atoms, _, shape = instance
    shape = PackShape(shape.num_atoms, None, shape.num_molecules)
    plan = optimal(num_atoms, shape)
    plan.validate()
    assert plan.num_packs <= min(lpfhp(num_atoms, shape).num_packs, plan.lower_bound + 1)


@pytest.mark.parametrize(
    "num_atoms, capacity, expected",
    [
        ([7], 7, 1),
        ([7] * 50, 7, 50),
        ([7] * 50, 20, 25),
        ([7] * 50, 10**6, 1),
        ([2**40, 3, 2**40 - 1, 3], 2**40 + 3, 2),
        (list(range(1, 31)), 31, 15),
        # Best fit decreasing takes three.
        ([6, 5, 4, 4, 3, 3, 3], 14, 2),
    ],
)
def test_corner_cases(num_atoms, capacity, expected):
    plan = optimal(num_atoms, PackShape(capacity))
    plan.validate()
    assert plan.num_packs == plan.lower_bound == expected


@pytest.mark.parametrize("smallest, largest, num_atoms", [(7, 225, 300), (2, 500, 2048)])
def test_hundreds_of_sizes(smallest, largest, num_atoms):
    sizes = np.arange(smallest, largest + 1)
    counts = 50 + sizes * 7919 % 1000
    patterns, (bound, _) = fewest_packs(sizes, counts, PackShape(num_atoms))
    assert bound <= num_packs(patterns) <= bound + 1
    best_fit = lpfhp_patterns(sizes, counts, PackShape(num_atoms))
    assert num_packs(best_fit) > bound + 1, "best fit would do"


def test_too_many_sizes_for_the_lp_leave_best_fit_and_an_honest_bound():
    num_atoms = np.random.default_rng(0).integers(20, 60, 500)
    exact = optimal(num_atoms, PackShape(100))
    patterns, (bound, _) = fewest_packs(
        *np.unique(num_atoms, return_counts=True), PackShape(100), max_steps=10**4
    )
    assert bound <= exact.lower_bound <= exact.num_packs < num_packs(patterns)
    assert num_packs(patterns) == lpfhp(num_atoms, PackShape(100)).num_packs


def test_lp_cut_short_keeps_a_bound_that_holds(monkeypatch):
    sizes, counts = size_tables.histogram(size_tables.QM9)
    monkeypatch.setitem(fewest_packs.__globals__, "_MAX_STEPS", 60 * 2300)
    patterns, (bound, _) = fewest_packs(sizes, counts, PackShape(52))
    assert bound <= 46_441 <= num_packs(patterns)


@given(instance=instances())
@quick
def test_same_plan_without_numba(instance):
    num_atoms, _, shape = instance
    shape = PackShape(shape.num_atoms, None, shape.num_molecules)
    compiled = optimal(num_atoms, shape)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = optimal(num_atoms, shape)
    assert packs(plain) == packs(compiled)
    assert (plain.lower_bound, plain.bound_kind) == (compiled.lower_bound, compiled.bound_kind)


@pytest.mark.parametrize("num_atoms, num_molecules", [(36, None), (77, None), (54, 4)])
def test_same_patterns_of_qm9_without_numba(num_atoms, num_molecules, monkeypatch):
    sizes, counts = size_tables.histogram(size_tables.QM9)
    shape = PackShape(num_atoms, None, num_molecules)
    compiled = fewest_packs(sizes, counts, shape)
    without_numba(monkeypatch)
    assert fewest_packs(sizes, counts, shape) == compiled
