"""Sorting, shuffling and dealing: compiled, by numpy, and against the plain statement."""

from __future__ import annotations

import numpy as np
import pytest
import size_tables
from every_packer import PACKERS, instances, make_plan, packs, quick, without_numba
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.packing import PackShape, lpfhp, next_fit, optimal, packer_name
from gnnpack.packing.compiled import linked
from gnnpack.packing.composition import composition_of, deal
from gnnpack.packing.ordering import (
    exchange_places,
    exchange_places_by_list,
    shuffle_blocks,
    sorted_by,
)

# Large enough for compiled code, where that depends on the number of molecules.
MANY = 300_000


@pytest.fixture(scope="module")
def many():
    sizes = size_tables.molecules(size_tables.HYDRONET_500K, 3)
    return sizes[:MANY]


@given(
    lengths=st.lists(st.integers(0, 700), min_size=1, max_size=6),
    key=st.integers(0, 2**64 - 1),
    dtype=st.sampled_from([np.int64, np.int32, np.uint8]),
)
@quick
def test_shuffle_is_the_same_compiled_and_plain(lengths, key, dtype):
    starts = np.concatenate([[0], np.cumsum(lengths)])
    values = np.arange(starts[-1]).astype(dtype)
    one, other = values.copy(), values.copy()
    linked(exchange_places)(one, starts, np.uint64(key))
    exchange_places_by_list(other, starts, np.uint64(key))
    np.testing.assert_array_equal(one, other)
    for start, stop in zip(starts[:-1], starts[1:]):
        assert sorted(one[start:stop].tolist()) == sorted(values[start:stop].tolist())


def test_every_order_of_a_block_is_equally_likely():
    times = np.zeros((2, 4, 4, 4), dtype=np.int64)
    for key in range(4800):
        values = np.array([7, 0, 1, 2, 3, 0, 1, 2, 3])
        shuffle_blocks(values, np.array([0, 1, 5, 9]), np.uint64(key))
        times[0][tuple(values[1:4])] += 1
        times[1][tuple(values[5:8])] += 1
    found = times[times > 0]
    assert found.size == 2 * 24
    # Five standard deviations of a count with p = 1/24.
    assert np.abs(found - 200).max() < 5 * np.sqrt(200 * 23 / 24)


def test_places_after_a_large_shuffle_are_not_correlated():
    values = np.arange(MANY)
    shuffle_blocks(values, np.array([0, MANY]), np.uint64(1))
    limit = 5 / np.sqrt(MANY)
    assert abs(np.corrcoef(values, np.arange(MANY))[0, 1]) < limit
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < limit


def test_sorted_by_keeps_the_order_of_equals():
    keys = np.random.default_rng(0).integers(0, 9, MANY).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(keys))])
    expected = np.argsort(keys, kind="stable")
    np.testing.assert_array_equal(sorted_by(keys, starts, np.arange(MANY)), expected)


@pytest.mark.parametrize("packer", PACKERS, ids=packer_name)
@given(instance=instances())
@quick
def test_dealing_gives_the_sizes_of_every_slot_again(packer, instance):
    plan = make_plan(packer, instance)
    columns = [plan.num_atoms[plan.molecules], np.zeros(plan.num_molecules, dtype=np.int64)]
    for given_columns in (columns[:1], columns):
        molecules, offsets = deal(composition_of(plan.molecules, plan.offsets, given_columns))
        np.testing.assert_array_equal(offsets, plan.offsets)
        np.testing.assert_array_equal(plan.num_atoms[molecules], plan.num_atoms[plan.molecules])
        assert sorted(molecules.tolist()) == list(range(plan.num_molecules))


@pytest.mark.parametrize("num_atoms", [195, 300])
def test_what_a_packer_keeps_is_what_an_epoch_would_work_out(many, num_atoms):
    plan = optimal(many, PackShape(num_atoms))
    column = plan.num_atoms[plan.molecules]
    kept, found = plan.composition, composition_of(plan.molecules, plan.offsets, [column])
    np.testing.assert_array_equal(kept.pool, found.pool)
    np.testing.assert_array_equal(deal(kept)[0], plan.molecules)
    np.testing.assert_array_equal(deal(found)[0], plan.molecules)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64])
def test_sizes_of_any_integer_type_give_the_same_plan(dtype, many):
    plan = lpfhp(many.astype(dtype), PackShape(195))
    np.testing.assert_array_equal(plan.molecules, lpfhp(many, PackShape(195)).molecules)
    plan.epoch(0, 0).validate()


@pytest.mark.parametrize("packer", [optimal, lpfhp, next_fit], ids=packer_name)
def test_plans_and_epochs_are_the_same_without_numba(packer, many, monkeypatch):
    plan = packer(many, PackShape(195))
    epoch = plan.epoch(3, 4)
    epoch.validate()
    without_numba(monkeypatch)
    plain = packer(many, PackShape(195))
    np.testing.assert_array_equal(plain.molecules, plan.molecules)
    np.testing.assert_array_equal(plain.offsets, plan.offsets)
    again = plain.epoch(3, 4)
    np.testing.assert_array_equal(again.molecules, epoch.molecules)
    np.testing.assert_array_equal(again.offsets, epoch.offsets)


def test_epoch_of_a_plan_that_was_saved(many, tmp_path):
    plan = optimal(many, PackShape(195))
    plan.save(tmp_path / "plan.npz")
    loaded = type(plan).load(tmp_path / "plan.npz")
    np.testing.assert_array_equal(loaded.epoch(1, 2).molecules, plan.epoch(1, 2).molecules)


def test_an_epoch_of_an_epoch_starts_from_that_epoch():
    plan = lpfhp([1, 1, 1, 1, 2, 2], PackShape(4))
    anew = plan.epoch(0, 0)
    anew.epoch(0, 1).validate()
    assert sorted(anew.epoch(0, 1).atoms_per_pack.tolist()) == [4, 4]
    assert packs(anew) == packs(plan.epoch(0, 0))
