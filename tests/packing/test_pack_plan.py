"""Epochs, shards and padding of a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import size_tables
from every_packer import PACKERS, instances, make_plan, packs, quick
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.packing import PackShape, lpfhp, next_fit, packer_name

every_packer = pytest.mark.parametrize("packer", PACKERS, ids=packer_name)


@pytest.fixture(scope="module")
def qm9_sample():
    return size_tables.molecules(size_tables.QM9)[:2000]


@every_packer
@given(instance=instances(), seed=st.integers(0, 2**40), epoch=st.integers(0, 9))
@quick
def test_epoch_is_a_whole_plan_of_as_many_packs(packer, instance, seed, epoch):
    plan = make_plan(packer, instance)
    anew = plan.epoch(seed, epoch)
    anew.validate()
    assert anew.num_packs == plan.num_packs
    assert packs(plan.epoch(seed, epoch)) == packs(anew)
    if plan.redraws:
        return
    assert sorted(anew.atoms_per_pack.tolist()) == sorted(plan.atoms_per_pack.tolist())
    if plan.shape.num_pairs is not None:
        assert sorted(anew.pairs_per_pack.tolist()) == sorted(plan.pairs_per_pack.tolist())


def test_epochs_and_seeds_differ_in_order_and_in_partners(qm9_sample):
    plan = lpfhp(qm9_sample, PackShape(36))
    epochs = [plan.epoch(0, 0), plan.epoch(0, 1), plan.epoch(1, 0), plan]
    partners = [{frozenset(pack) for pack in packs(one)} for one in epochs]
    for i, one in enumerate(epochs):
        for j in range(i):
            assert one.atoms_per_pack.tolist() != epochs[j].atoms_per_pack.tolist()
            together = {p for p in partners[i] & partners[j] if len(p) > 1}
            assert len(together) < 0.05 * plan.num_packs


def test_exchange_is_uniform():
    # Four equal molecules in two packs: each of the three pairings in a third of the epochs.
    plan = lpfhp([1, 1, 1, 1], PackShape(2))
    partner_of_0 = []
    for epoch in range(600):
        (pack,) = [p for p in packs(plan.epoch(0, epoch)) if 0 in p]
        partner_of_0.append(next(m for m in pack if m != 0))
    times = np.bincount(partner_of_0, minlength=4)[1:]
    # Five standard deviations of a count with p = 1/3.
    assert np.abs(times - 200).max() < 5 * np.sqrt(600 * 2 / 9)


def test_order_of_packs_is_uniform():
    plan = lpfhp([1, 2, 3], PackShape(3, None, 1))
    first = [int(plan.epoch(0, epoch).molecules[0]) for epoch in range(600)]
    assert np.abs(np.bincount(first) - 200).max() < 5 * np.sqrt(600 * 2 / 9)


@pytest.mark.parametrize("arguments", [(-1, 0), (0, -1), (True, 0)])
def test_epoch_refuses_negative_numbers(arguments):
    with pytest.raises(ValueError, match=r"must be an integer of at least 0"):
        lpfhp([1], PackShape(1)).epoch(*arguments)


@given(instance=instances(), packs_per_update=st.sampled_from([4, 8, 12]))
@quick
def test_ranks_cut_each_update_among_them(instance, packs_per_update):
    plan = make_plan(lpfhp, instance)
    num_updates = -(-plan.num_packs // packs_per_update)
    whole = packs(plan.pad_to(num_updates * packs_per_update))
    for world_size in (1, 2, 4):
        share = packs_per_update // world_size
        shards = [packs(plan.shard(r, world_size, packs_per_update)) for r in range(world_size)]
        for update in range(num_updates):
            joined = [p for s in shards for p in s[update * share : (update + 1) * share]]
            assert joined == whole[update * packs_per_update : (update + 1) * packs_per_update]
        assert all(len(shard) == num_updates * share for shard in shards)


def test_shard_keeps_figures_of_its_own_packs(qm9_sample):
    plan = lpfhp(qm9_sample, PackShape(36)).epoch(0, 0)
    shards = [plan.shard(rank, 4, 16) for rank in range(4)]
    assert sum(shard.num_molecules for shard in shards) == plan.num_molecules
    assert sum(int(shard.atoms_per_pack.sum()) for shard in shards) == qm9_sample.sum()
    shards[0].validate(complete=False)
    with pytest.raises(ValueError, match="is in 0 packs"):
        shards[0].validate()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((0, 3, 8), "packs_per_update=8 is not a positive multiple of world_size=3; raise it to 9"),
        ((0, 2, 0), "raise it to 2"),
        ((2, 2, 4), r"rank=2 is not in \[0, world_size=2\)"),
        ((-1, 2, 4), "rank=-1"),
        ((0, 0, 4), "world_size=0"),
    ],
)
def test_shard_refuses(arguments, words):
    with pytest.raises(ValueError, match=words):
        lpfhp([1, 1], PackShape(1)).shard(*arguments)


def test_pad_to_adds_empty_packs_at_the_end():
    plan = lpfhp([2, 2], PackShape(2))
    padded = plan.pad_to(5)
    padded.validate()
    assert padded.molecules_per_pack.tolist() == [1, 1, 0, 0, 0]
    assert padded.atoms_per_pack.tolist() == [2, 2, 0, 0, 0]
    assert padded.atom_efficiency == pytest.approx(4 / 10)
    assert padded.epoch(0, 0).num_packs == 5
    with pytest.raises(ValueError, match="cannot pad 5 packs to num_packs=4"):
        padded.pad_to(4)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"molecules": np.array([0, 0, 2])}, "molecule 0 is in 2 packs"),
        ({"molecules": np.array([0, 1, 9])}, r"molecules\[2\] = 9 names none of the 3"),
        ({"molecules": np.array([0, 1, -1])}, r"molecules\[2\] = -1"),
        ({"offsets": np.array([0, 2])}, "from 0 to 2"),
        ({"offsets": np.array([0, 3, 1, 3])}, "must rise"),
        ({"offsets": np.array([], dtype=np.int64)}, "offsets is empty"),
        ({"shape": PackShape(4, None, 2)}, "pack 0 holds 5 atoms, over PackShape"),
        ({"shape": PackShape(5, None, 1)}, "pack 0 holds 2 molecules"),
        ({"shape": PackShape(5, 3, 2), "num_pairs": np.array([2, 2, 2])}, "pack 0 holds 4 pairs"),
        ({"num_pairs": np.array([2, 2])}, "num_pairs has 2 entries"),
        ({"lower_bound": 3}, "2 packs are fewer than the bound 3"),
    ],
)
def test_validate_names_the_fault(change, words):
    plan = next_fit(np.array([3, 2, 4]), PackShape(5))
    plan.validate()
    with pytest.raises(ValueError, match=words):
        replace(plan, **change).validate()
