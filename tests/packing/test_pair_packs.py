"""Exchanges that make packs keep their pairs, and packs made one by one."""

from __future__ import annotations

import numpy as np
import pytest
from every_packer import instances, quick, without_numba
from hypothesis import given
from hypothesis import strategies as st
from test_pack_bounds import fewest_packs

from gnnpack.packing import PackShape
from gnnpack.packing.pair_balance import balance_pairs
from gnnpack.packing.pair_repair import repair_pairs
from gnnpack.packing.pair_rest import pack_rest
from gnnpack.packing.pair_types import composition_of_types, pair_types, sums_per_pack
from gnnpack.packing.pair_units import Room

KEYS = st.integers(0, 2**63)


@st.composite
def packs_of_types(draw):
    """(types, slots, offsets): random molecules in random packs, empty ones among them."""
    num = draw(st.integers(1, 60))
    atoms = np.array(draw(st.lists(st.integers(1, 3), min_size=num, max_size=num)))
    pairs = np.array(draw(st.lists(st.integers(0, 20), min_size=num, max_size=num)))
    cuts = draw(st.lists(st.integers(0, num), min_size=0, max_size=15))
    types, molecules = pair_types(atoms, pairs)
    slots = np.empty(num, dtype=np.int32)
    slots[molecules] = np.repeat(np.arange(types.counts.size), types.counts)
    return types, slots, np.array([0, *sorted(cuts), num])


@given(case=packs_of_types())
@quick
def test_types_are_the_distinct_molecules(case):
    types, slots, _ = case
    seen = list(zip(types.atoms.tolist(), types.pairs.tolist()))
    assert seen == sorted(set(seen))
    np.testing.assert_array_equal(np.bincount(slots, minlength=len(seen)), types.counts)


@given(case=packs_of_types())
@quick
def test_sums_per_pack(case):
    types, slots, offsets = case
    expected = [types.pairs[slots[a:b]].sum() for a, b in zip(offsets[:-1], offsets[1:])]
    assert sums_per_pack(slots, offsets, types.pairs).tolist() == expected


def unchanged_but_for_exchanges(types, before, after):
    """Every slot keeps its atoms, and the molecules are the same."""
    np.testing.assert_array_equal(types.atoms[after], types.atoms[before])
    np.testing.assert_array_equal(np.sort(after), np.sort(before))


@given(case=packs_of_types(), most_pairs=st.integers(0, 80))
@quick
def test_balance_exchanges_molecules_of_equal_atoms(case, most_pairs):
    types, slots, offsets = case
    before = slots.copy()
    balanced = balance_pairs(slots, offsets, types, most_pairs)
    np.testing.assert_array_equal(slots, before)
    unchanged_but_for_exchanges(types, slots, balanced)


def test_balance_brings_packs_together():
    rng = np.random.default_rng(0)
    types, molecules = pair_types(rng.integers(10, 13, 4_000), rng.integers(50, 150, 4_000))
    slots = np.empty(4_000, dtype=np.int32)
    slots[molecules] = np.repeat(np.arange(types.counts.size), types.counts)
    offsets = np.arange(0, 4_001, 4)
    mean = int(np.ceil(sums_per_pack(slots, offsets, types.pairs).mean()))
    spread = sums_per_pack(slots, offsets, types.pairs).std()
    balanced = sums_per_pack(balance_pairs(slots, offsets, types, mean), offsets, types.pairs)
    assert spread > 50 > 2 > balanced.std()


@given(case=packs_of_types(), most_pairs=st.integers(0, 80))
@quick
def test_repair_takes_no_pack_over_and_leaves_no_exchange_undone(case, most_pairs):
    types, slots, offsets = case
    repaired = repair_pairs(slots, offsets, types, most_pairs)
    unchanged_but_for_exchanges(types, slots, repaired)
    before = sums_per_pack(slots, offsets, types.pairs)
    after = sums_per_pack(repaired, offsets, types.pairs)
    assert (after <= np.maximum(before, most_pairs)).all()
    pack_of = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))
    for slot in np.flatnonzero(after[pack_of] > most_pairs):
        fewer = types.pairs[repaired[slot]] - types.pairs[repaired]
        excess = after[pack_of[slot]] - most_pairs
        alike = types.atoms[repaired] == types.atoms[repaired[slot]]
        room = after[pack_of] + fewer <= most_pairs
        # At most 16 molecules of a type are asked; so few are there in all.
        if np.bincount(repaired).max() <= 16:
            assert not (alike & room & (fewer > 0) & (fewer <= excess)).any()


@given(case=packs_of_types(), most_pairs=st.integers(0, 80))
@quick
def test_repair_is_the_same_without_numba(case, most_pairs):
    types, slots, offsets = case
    compiled = repair_pairs(slots, offsets, types, most_pairs)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        np.testing.assert_array_equal(repair_pairs(slots, offsets, types, most_pairs), compiled)


def rest_and_room(instance):
    num_atoms, num_pairs, shape = instance
    types, _ = pair_types(num_atoms, num_pairs)
    rest = np.repeat(np.arange(types.counts.size, dtype=np.int32), types.counts)
    room = Room(shape.num_atoms, shape.num_pairs or 10**4, shape.num_molecules)
    return types, rest, room


@given(instance=instances(), key=KEYS)
@quick
def test_packs_one_by_one_hold_everything_and_keep_all_limits(instance, key):
    types, rest, room = rest_and_room(instance)
    packs = pack_rest(rest, types, room, key)
    np.testing.assert_array_equal(np.sort(packs.types), rest)
    assert sums_per_pack(packs.types, packs.offsets, types.atoms).max() <= room.atoms
    assert sums_per_pack(packs.types, packs.offsets, types.pairs).max() <= room.pairs
    lengths = np.diff(packs.offsets)
    assert lengths.min() > 0
    assert lengths.max() <= (room.molecules or rest.size)


@given(instance=instances(max_molecules=20), key=KEYS)
@quick
def test_packs_one_by_one_are_the_same_without_numba(instance, key):
    types, rest, room = rest_and_room(instance)
    compiled = pack_rest(rest, types, room, key)
    with pytest.MonkeyPatch.context() as patch:
        without_numba(patch)
        plain = pack_rest(rest, types, room, key)
    for one, other in zip(compiled, plain):
        np.testing.assert_array_equal(one, other)


@given(instance=instances(max_molecules=8, largest=12))
@quick
def test_packs_one_by_one_are_nearly_the_fewest(instance):
    num_atoms, num_pairs, _ = instance
    types, rest, room = rest_and_room(instance)
    fewest = fewest_packs(num_atoms, num_pairs, PackShape(room.atoms, room.pairs, room.molecules))
    assert fewest <= pack_rest(rest, types, room, 1).num_packs <= fewest + 1


@pytest.mark.parametrize("num_atoms, num_pairs", [(54, 10**6), (10**5, 10**6), (10**6, 420)])
def test_many_molecules_one_by_one(num_atoms, num_pairs):
    rng = np.random.default_rng(0)
    atoms = rng.integers(9, 30, 20_000)
    types, _ = pair_types(atoms, atoms * rng.integers(6, 10, atoms.size))
    rest = rng.permutation(np.repeat(np.arange(types.counts.size, dtype=np.int32), types.counts))
    packs = pack_rest(rest, types, Room(num_atoms, num_pairs, None), 1)
    loads = types.atoms @ types.counts / num_atoms, types.pairs @ types.counts / num_pairs
    assert packs.num_packs <= 1.02 * max(loads) + 1


def test_composition_deals_each_molecule_to_a_slot_of_its_type():
    num_atoms, num_pairs = np.array([3, 2, 3, 2]), np.array([3, 1, 3, 0])
    types, molecules = pair_types(num_atoms, num_pairs)
    packs = pack_rest(np.array([0, 1, 2, 2], dtype=np.int32), types, Room(5, 4, None), 1)
    composition = composition_of_types(packs, types, molecules)
    np.testing.assert_array_equal(np.diff(composition.class_starts), types.counts)
    assert composition.kinds.size == packs.num_packs
