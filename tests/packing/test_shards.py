"""With shards an epoch reads one part of the data after the other, and is an epoch all the same."""

from __future__ import annotations

import numpy as np
import pytest

from gnnpack.packing import PackPlan, PackShape, streaming

SHARD, MOLECULES, SHAPE = 1000, 20_000, PackShape(40)
SIZES = np.random.RandomState(0).randint(3, 30, MOLECULES)


def make(**options) -> PackPlan:
    return streaming(SIZES, SHAPE, shuffle=True, **options)


def shards_met(plan: PackPlan) -> list[int]:
    """How many shards the packs of each fiftieth of an epoch read from."""
    parts = np.array_split(plan.molecules // SHARD, 50)
    return [len(np.unique(part)) for part in parts]


@pytest.mark.parametrize("epoch", [None, 0, 1, 7])
def test_a_part_of_an_epoch_reads_from_few_shards(epoch):
    plan = make(shard=SHARD)
    now = plan if epoch is None else plan.epoch(3, epoch)
    now.validate()
    assert now.num_packs == plan.num_packs
    # A fiftieth is 400 molecules, less than half a shard; rare sizes run ahead or behind.
    assert np.median(shards_met(now)) <= 3
    assert max(shards_met(now)) <= 8
    free = make()
    assert min(shards_met(free if epoch is None else free.epoch(3, epoch))) == MOLECULES // SHARD


def test_epochs_differ_in_order_of_shards_and_in_partners():
    plan = make(shard=SHARD)
    one, other = plan.epoch(3, 0), plan.epoch(3, 1)
    again = plan.epoch(3, 0)
    assert np.array_equal(one.molecules, again.molecules)
    first = [np.bincount(p.molecules[:400] // SHARD).argmax() for p in (one, other)]
    assert first[0] != first[1]

    def partners(p: PackPlan) -> set[tuple[int, ...]]:
        ends = p.offsets
        packs = zip(ends[:-1], ends[1:])
        return {tuple(sorted(p.molecules[start:stop].tolist())) for start, stop in packs}

    assert len(partners(one) & partners(other)) < 0.05 * one.num_packs


def test_packs_are_as_full_as_without():
    assert make(shard=SHARD).num_packs <= 1.005 * make().num_packs


@pytest.mark.parametrize("shard", [0, -5, True])
def test_a_wrong_number_is_refused(shard):
    with pytest.raises(ValueError, match=f"shard={shard}"):
        make(shard=shard)


def test_a_saved_plan_keeps_its_shards(tmp_path):
    plan = make(shard=SHARD)
    plan.save(tmp_path / "plan.npz")
    loaded = PackPlan.load(tmp_path / "plan.npz")
    assert np.array_equal(loaded.epoch(3, 2).molecules, plan.epoch(3, 2).molecules)
