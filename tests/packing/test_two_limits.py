"""Packs under a limit on atoms and one on pairs: random ones, and those of `optimal`."""

from __future__ import annotations

import numpy as np
import pytest
import size_tables
from every_packer import instances, packs, quick, without_numba
from hypothesis import given
from test_pack_bounds import fewest_packs as fewest_by_search

from gnnpack.packing import PackShape, optimal
from gnnpack.packing.pair_types import pair_types, sums_per_pack
from gnnpack.packing.pair_units import Room, unit_classes
from gnnpack.packing.two_limits import RandomPairPacks


def molecules(num_molecules=20_000, bent=0.1):
    """(num_atoms, num_pairs) with the sizes of QM9 and nearly, or with bent=0 all, pairs near."""
    rng = np.random.default_rng(0)
    num_atoms = rng.permutation(size_tables.molecules(size_tables.QM9))[:num_molecules]
    all_pairs = num_atoms * (num_atoms - 1) // 2
    share = 1.0 - np.abs(rng.normal(0.0, bent, num_molecules))
    return num_atoms, np.rint(all_pairs * np.clip(share, 0.5, 1.0)).astype(np.int64)


def shape_of(num_atoms, num_pairs, atoms, slack, num_molecules=None):
    pairs = int(np.ceil(atoms * num_pairs.sum() / num_atoms.sum() * (1.0 + slack)))
    return PackShape(atoms, pairs, num_molecules)


def volume(num_atoms, num_pairs, shape):
    loads = [(num_atoms.sum(), shape.num_atoms), (num_pairs.sum(), shape.num_pairs)]
    loads += [(num_atoms.size, shape.num_molecules or num_atoms.size)]
    return int(max(-(-load // limit) for load, limit in loads))


def check(drawn, types, shape):
    np.testing.assert_array_equal(
        np.bincount(drawn.types, minlength=types.counts.size), types.counts
    )
    assert sums_per_pack(drawn.types, drawn.offsets, types.atoms).max() <= shape.num_atoms
    assert sums_per_pack(drawn.types, drawn.offsets, types.pairs).max() <= shape.num_pairs
    lengths = np.diff(drawn.offsets)
    assert lengths.min() > 0
    assert lengths.max() <= (shape.num_molecules or lengths.max())
    assert 0 <= drawn.num_drawn <= drawn.num_packs


@pytest.mark.parametrize(
    "atoms, slack, num_molecules",
    [(72, 0.001, None), (128, 0.001, None), (256, 0.001, None), (108, 0.01, 7), (72, 0.3, 5)],
)
def test_within_a_thousandth_of_the_bound_with_a_thousandth_of_slack(atoms, slack, num_molecules):
    num_atoms, num_pairs = molecules()
    shape = shape_of(num_atoms, num_pairs, atoms, slack, num_molecules)
    types, _ = pair_types(num_atoms, num_pairs)
    bound = volume(num_atoms, num_pairs, shape)
    random = RandomPairPacks(types, shape, bound)
    for drawn in (random.fewest, random.draw(1), random.draw(2)):
        check(drawn, types, shape)
        # One pack of 1,400 is most of a thousandth.
        assert drawn.num_packs <= bound * 1.001 + 2
        assert drawn.num_drawn >= 0.97 * drawn.num_packs


def test_draws_are_a_function_of_the_key():
    num_atoms, num_pairs = molecules(3_000)
    shape = shape_of(num_atoms, num_pairs, 90, 0.005)
    types, _ = pair_types(num_atoms, num_pairs)
    bound = volume(num_atoms, num_pairs, shape)
    one, other = (RandomPairPacks(types, shape, bound) for _ in range(2))
    one.draw(3)
    np.testing.assert_array_equal(one.draw(7).types, other.draw(7).types)
    assert not np.array_equal(one.draw(8).types, one.draw(7).types)


def test_same_packs_without_numba():
    num_atoms, num_pairs = molecules(150)
    shape = shape_of(num_atoms, num_pairs, 40, 0.1)
    types, _ = pair_types(num_atoms, num_pairs)
    bound = volume(num_atoms, num_pairs, shape)
    compiled = RandomPairPacks(types, shape, bound).draw(1)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = RandomPairPacks(types, shape, bound).draw(1)
    for one, another in zip(compiled, plain):
        np.testing.assert_array_equal(one, another)


def test_random_packs_mix_sizes():
    num_atoms, num_pairs = molecules()
    shape = shape_of(num_atoms, num_pairs, 144, 0.002)
    types, _ = pair_types(num_atoms, num_pairs)
    drawn = RandomPairPacks(types, shape, volume(num_atoms, num_pairs, shape)).draw(1)
    sizes = types.atoms[drawn.types] - num_atoms.mean()
    sums = sums_per_pack(drawn.types, drawn.offsets, types.atoms)
    sums = sums - np.diff(drawn.offsets) * num_atoms.mean()
    partners = (np.diff(drawn.offsets) * (np.diff(drawn.offsets) - 1)).sum()
    correlation = ((sums**2).sum() - (sizes**2).sum()) / partners / num_atoms.var()
    # Eight molecules of a full pack are bound to -1/7 if the number of them is always eight.
    assert -1 / 7 - 0.01 < correlation < 0


HOSTILE = {
    "all alike": ([18] * 500, [100] * 500, PackShape(72, 399)),
    "no pairs": (list(range(1, 30)) * 20, [0] * 580, PackShape(72, 5)),
    "pairs bind": (
        list(range(9, 29)) * 30,
        [7 * n for n in range(9, 29)] * 30,
        PackShape(999, 400),
    ),
    "pairs against atoms": ([5] * 200 + [50] * 200, [300] * 200 + [10] * 200, PackShape(60, 320)),
    "one a pack": (list(range(1, 30)) * 20, [0] * 580, PackShape(72, 5, 1)),
    "one pack": ([3, 4], [1, 2], PackShape(10**9, 10**9)),
    "large numbers": ([2**40 + i for i in range(300)], [2**41] * 300, PackShape(2**43, 2**44)),
    "many sizes": (list(range(1, 800)), list(range(800, 1, -1)), PackShape(2_000, 2_000)),
}


@pytest.mark.parametrize("num_atoms, num_pairs, shape", HOSTILE.values(), ids=HOSTILE)
def test_hostile_molecules(num_atoms, num_pairs, shape):
    num_atoms, num_pairs = np.array(num_atoms), np.array(num_pairs)
    types, _ = pair_types(num_atoms, num_pairs)
    random = RandomPairPacks(types, shape, volume(num_atoms, num_pairs, shape))
    check(random.fewest, types, shape)
    check(random.draw(1), types, shape)


def test_units_are_whole_pairs_where_pairs_leave_no_choice():
    num_atoms, num_pairs = molecules(bent=0.0)
    types, _ = pair_types(num_atoms, num_pairs)
    shape = shape_of(num_atoms, num_pairs, 72, 0.001)
    room = Room(shape.num_atoms, shape.num_pairs, None)
    classes = unit_classes(types, room, volume(num_atoms, num_pairs, shape))
    assert classes.room == room
    np.testing.assert_array_equal(classes.units, types.pairs)


def test_atoms_are_counted_in_their_common_divisor():
    types, _ = pair_types(np.array([9, 12, 30]), np.array([5, 8, 40]))
    classes = unit_classes(types, Room(64, 90, None), 1)
    assert (classes.atoms.tolist(), classes.room.atoms) == ([3, 4, 10], 21)


def test_units_are_unbiased_and_few():
    num_atoms, num_pairs = molecules()
    types, _ = pair_types(num_atoms, num_pairs)
    shape = shape_of(num_atoms, num_pairs, 72, 0.001)
    room = Room(shape.num_atoms, shape.num_pairs, None)
    classes = unit_classes(types, room, volume(num_atoms, num_pairs, shape))
    assert classes.room.pairs < 100 < 10 * classes.atoms.size < types.atoms.size * 10
    assert classes.counts.sum() == num_atoms.size
    unit = shape.num_pairs / classes.room.pairs
    assert classes.units @ classes.counts * unit == pytest.approx(num_pairs.sum(), rel=1e-3)


@given(instance=instances(max_molecules=8, largest=12))
@quick
def test_optimal_and_its_bound_enclose_the_true_optimum(instance):
    num_atoms, num_pairs, shape = instance
    optimum = fewest_by_search(num_atoms, num_pairs, shape)
    plan = optimal(num_atoms, shape, num_pairs=num_pairs)
    plan.validate()
    assert plan.lower_bound <= optimum <= plan.num_packs <= optimum + 1


@given(instance=instances(max_molecules=60, largest=50))
@quick
def test_a_pair_limit_that_cannot_bind_costs_nothing(instance):
    num_atoms, num_pairs, shape = instance
    free = PackShape(shape.num_atoms, None, shape.num_molecules)
    loose = PackShape(shape.num_atoms, 10**6, shape.num_molecules)
    plan = optimal(num_atoms, loose, num_pairs=num_pairs)
    assert plan.num_packs <= optimal(num_atoms, free).num_packs


def test_optimal_of_qm9_sizes_under_both_limits():
    num_atoms, num_pairs = molecules(130_831)
    shape = shape_of(num_atoms, num_pairs, 72, 0.001)
    plan = optimal(num_atoms, shape, num_pairs=num_pairs)
    plan.validate()
    assert plan.num_packs <= plan.lower_bound * 1.0005
    assert plan.atom_efficiency > 0.999
    assert plan.pair_efficiency > 0.997
    plan.epoch(0, 0).validate()


def test_the_bound_of_a_plan_is_of_atoms_or_of_pairs():
    assert optimal([6, 6, 6], PackShape(10, 99), num_pairs=[1, 1, 1]).bound_kind == "martello_toth"
    plan = optimal([1, 1, 1], PackShape(10, 7), num_pairs=[5, 5, 5])
    assert (plan.num_packs, plan.lower_bound, plan.bound_kind) == (3, 3, "pair_volume")


@given(instance=instances(max_molecules=20))
@quick
def test_same_plan_without_numba(instance):
    num_atoms, num_pairs, shape = instance
    compiled = optimal(num_atoms, shape, num_pairs=num_pairs)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = optimal(num_atoms, shape, num_pairs=num_pairs)
    assert packs(plain) == packs(compiled)


def test_a_loose_limit_on_pairs_keeps_the_bound_of_the_linear_program():
    num_atoms, num_pairs = molecules()
    alone = optimal(num_atoms, PackShape(48))
    assert alone.bound_kind == "lp"
    plan = optimal(num_atoms, PackShape(48, 10**6), num_pairs=num_pairs)
    assert (plan.lower_bound, plan.bound_kind) == (alone.lower_bound, "lp")
