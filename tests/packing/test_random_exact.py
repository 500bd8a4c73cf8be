"""Random packs: full, other ones in every epoch, and nobody favoured."""

from __future__ import annotations

import numpy as np
import pytest
import size_tables
from every_packer import instances, packs, quick, without_numba
from hypothesis import given
from hypothesis import strategies as st

from gnnpack.packing import PackPlan, PackShape, lpfhp, optimal, random_exact
from gnnpack.packing.optimal import fewest_packs
from gnnpack.packing.random_packs import RandomPacks
from gnnpack.packing.size_correlation import size_correlation

TABLES = {
    "qm9": (size_tables.QM9, 1),
    "500k": (size_tables.HYDRONET_500K, 3),
    "2.7M": (size_tables.HYDRONET_2_7M, 3),
    "4.5M": (size_tables.HYDRONET_4_5M, 3),
}


@pytest.fixture(scope="module")
def qm9():
    return size_tables.molecules(size_tables.QM9)[:20_000]


def patterns(plan):
    """The sizes in every pack, sorted."""
    return sorted(tuple(sorted(plan.num_atoms[list(pack)].tolist())) for pack in packs(plan))


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=8, unique=True).map(sorted),
    count=st.integers(1, 60),
    spare=st.integers(0, 60),
    most=st.one_of(st.none(), st.integers(1, 6)),
    key=st.integers(0, 2**63),
)
@quick
def test_drawn_packs_use_the_histogram_and_keep_the_shape(sizes, count, spare, most, key):
    sizes = np.array(sizes)
    counts = np.full(sizes.size, count)
    shape = PackShape(int(sizes[-1]) + spare, None, most)
    drawn = RandomPacks(sizes, counts, shape, 1).draw(key)
    np.testing.assert_array_equal(np.bincount(drawn.types, minlength=sizes.size), counts)
    held = np.add.reduceat(sizes[drawn.types], drawn.offsets[:-1])
    assert held.max() <= shape.num_atoms
    assert np.diff(drawn.offsets).min() > 0
    assert most is None or np.diff(drawn.offsets).max() <= most


@pytest.mark.parametrize(
    ("table", "num_atoms", "over"),
    [
        ("qm9", 36, 5e-4),
        ("qm9", 54, 1e-4),
        ("qm9", 128, 0),
        ("qm9", 256, 0),
        ("500k", 195, 1e-4),
        ("2.7M", 195, 1e-4),
        ("2.7M", 300, 1e-4),
        ("4.5M", 153, 1e-4),
        ("4.5M", 213, 1e-4),
    ],
)
def test_packs_above_the_proven_bound(table, num_atoms, over):
    sizes, counts = size_tables.histogram(*TABLES[table])
    shape = PackShape(num_atoms)
    bound = fewest_packs(sizes, counts, shape)[1][0]
    drawn = RandomPacks(sizes, counts, shape, bound).draw(5)
    assert drawn.offsets.size - 1 <= bound * (1 + over)


@given(instance=instances())
@quick
def test_every_epoch_is_a_sound_plan_of_the_same_number_of_packs(instance):
    num_atoms, _, shape = instance
    plan = random_exact(num_atoms, PackShape(shape.num_atoms, None, shape.num_molecules), seed=1)
    best = optimal(num_atoms, PackShape(shape.num_atoms, None, shape.num_molecules))
    assert best.num_packs <= plan.num_packs <= best.num_packs * 1.002
    for epoch in range(3):
        fresh = plan.epoch(7, epoch)
        fresh.validate()
        assert fresh.num_packs == plan.num_packs
        assert fresh.shape == plan.shape
        assert packs(fresh) == packs(plan.epoch(7, epoch))


def test_epochs_have_other_patterns(qm9):
    plan = random_exact(qm9, PackShape(72))
    assert plan.redraws
    seen = [patterns(plan.epoch(0, epoch)) for epoch in range(3)] + [patterns(plan.epoch(1, 0))]
    for place, one in enumerate(seen):
        for other in seen[:place]:
            assert one != other


def test_a_saved_plan_draws_the_same_epochs(qm9, tmp_path):
    plan = random_exact(qm9, PackShape(72), seed=3)
    plan.save(tmp_path / "plan.npz")
    loaded = PackPlan.load(tmp_path / "plan.npz")
    assert loaded.redraws
    assert packs(loaded.epoch(3, 5)) == packs(plan.epoch(3, 5))


def test_every_molecule_meets_other_partners_in_other_epochs():
    num_atoms = size_tables.molecules(size_tables.QM9)[:300]
    plan = random_exact(num_atoms, PackShape(72))
    num_epochs = 30
    met = np.zeros((300, 300), dtype=np.int64)
    for epoch in range(num_epochs):
        for pack in packs(plan.epoch(0, epoch)):
            met[np.ix_(pack, pack)] += 1
    np.fill_diagonal(met, 0)
    partners = (met > 0).sum(axis=1)
    meetings = met.sum(axis=1)
    # 300 molecules to meet, about 3 an epoch: by chance alone 14 % of meetings are repeats. The
    # only molecule of its size has fewer patterns to be in.
    assert partners.sum() >= 0.75 * meetings.sum()
    assert (partners >= 0.5 * meetings).all()


def test_no_size_keeps_larger_company_than_chance_allows():
    # How many share a pack with a molecule, by its size: what a loss averaged in packs would
    # weight it by. LPFHP favours sizes by 2.57 at this shape.
    num_atoms = size_tables.molecules(size_tables.QM9)
    often = np.bincount(num_atoms) >= 100

    def weight_range(plan):
        share = np.repeat(1.0 / plan.molecules_per_pack, plan.molecules_per_pack)
        sizes = plan.num_atoms[plan.molecules]
        total, number = np.bincount(sizes, share), np.bincount(sizes)
        mean = total[often] / number[often]
        return mean.max() / mean.min()

    assert weight_range(lpfhp(num_atoms, PackShape(256))) > 2.0
    plan = random_exact(num_atoms, PackShape(256))
    assert weight_range(plan.epoch(0, 0)) < 1.1


@pytest.mark.parametrize(
    ("table", "num_atoms", "limit"),
    [("qm9", 128, 0.05), ("qm9", 256, 0.05), ("500k", 384, 0.12)],
)
def test_partners_are_nearly_as_alike_as_by_chance(table, num_atoms, limit):
    molecules = size_tables.molecules(*TABLES[table])
    plan = random_exact(molecules, PackShape(num_atoms))
    for epoch in range(2):
        assert abs(plan.epoch(0, epoch).size_correlation) < limit


def test_where_chance_costs_too_much_the_plan_is_the_best_one(qm9):
    # Packs of 40 atoms cannot be full: few patterns waste as little as the best plan does.
    plan = random_exact(qm9, PackShape(40), max_extra=0.0)
    assert not plan.redraws
    assert plan.num_packs == optimal(qm9, PackShape(40)).num_packs
    dearer = random_exact(qm9, PackShape(40))
    assert dearer.redraws
    assert plan.num_packs < dearer.num_packs <= plan.num_packs * 1.001
    assert dearer.options == {"max_extra": 0.002}
    assert patterns(dearer.epoch(0, 0)) != patterns(dearer.epoch(0, 1))


def test_more_sizes_than_a_table_holds_are_left_to_the_best_plan():
    num_atoms = np.arange(1, 3001)
    assert RandomPacks(num_atoms, np.ones_like(num_atoms), PackShape(9000), 1).draw(0) is None


def test_sizes_of_a_common_factor_need_not_divide_the_shape():
    num_atoms = np.repeat([9, 12, 15], 200)
    plan = random_exact(num_atoms, PackShape(46))
    plan.epoch(0, 0).validate()
    assert plan.atoms_per_pack.max() <= 45


@pytest.mark.parametrize("max_extra", [-0.1, float("nan"), float("inf"), None])
def test_extra_that_is_no_share(max_extra):
    with pytest.raises(ValueError, match=f"max_extra={max_extra}.*0.002"):
        random_exact([1, 2], PackShape(3), max_extra=max_extra)


def test_same_epoch_without_numba(qm9, monkeypatch):
    plan = random_exact(qm9[:3000], PackShape(54), seed=2)
    assert plan.redraws
    epoch = plan.epoch(4, 1)
    without_numba(monkeypatch)
    plain = random_exact(qm9[:3000], PackShape(54), seed=2)
    np.testing.assert_array_equal(plain.molecules, plan.molecules)
    np.testing.assert_array_equal(plain.epoch(4, 1).molecules, epoch.molecules)


@given(
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=9),
    sizes=st.lists(st.integers(1, 9), min_size=45, max_size=45),
)
@quick
def test_size_correlation_is_that_of_all_pairs_of_partners(lengths, sizes):
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    sizes = np.array(sizes[: offsets[-1]])
    found = size_correlation(sizes, offsets)
    apart = sizes - sizes.mean() if sizes.size else sizes
    pairs = [
        apart[i] * apart[j]
        for start, stop in zip(offsets[:-1], offsets[1:])
        for i in range(start, stop)
        for j in range(start, stop)
        if i != j
    ]
    if not pairs or (sizes == sizes[0]).all():
        assert found is None
    else:
        assert found == pytest.approx(np.mean(pairs) / (apart**2).mean(), abs=1e-9)


def test_rare_sizes_come_at_any_time_of_an_epoch():
    # Drawn without replacement, rare sizes are used up early; packs must not keep that order.
    num_atoms = size_tables.molecules(size_tables.QM9)
    rare = (num_atoms <= 8) | (num_atoms == 27)
    plan = random_exact(num_atoms, PackShape(54))
    places = []
    for epoch in range(60):
        fresh = plan.epoch(0, epoch)
        pack_of = np.repeat(np.arange(fresh.num_packs), fresh.molecules_per_pack)
        places.append(pack_of[rare[fresh.molecules]] / fresh.num_packs)
    found = np.concatenate(places)
    # Five standard deviations of a mean of even numbers in [0, 1).
    assert abs(found.mean() - 0.5) < 5 * np.sqrt(1 / 12 / found.size)


def test_nearly_every_epoch_finds_a_composition_of_its_own():
    num_atoms = size_tables.molecules(size_tables.QM9)[:10_000]
    plan = random_exact(num_atoms, PackShape(54))
    seen = [tuple(patterns(plan.epoch(0, epoch))) for epoch in range(30)]
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(("num_atoms", "most"), [(72, 4), (128, 7), (256, 14)])
def test_a_limit_on_molecules_that_binds_is_drawn_from_as_well(qm9, num_atoms, most):
    plan = random_exact(qm9, PackShape(num_atoms, None, most))
    assert plan.redraws
    assert plan.num_packs <= optimal(qm9, PackShape(num_atoms, None, most)).num_packs + 3
    fresh = plan.epoch(0, 1)
    fresh.validate()
    assert patterns(fresh) != patterns(plan.epoch(0, 2))


def test_a_shard_of_empty_packs_has_epochs():
    plan = random_exact([12, 30, 30, 30, 30], PackShape(80)).epoch(0, 0)
    shards = [plan.shard(rank, 3, 3).epoch(1, 1) for rank in range(3)]
    assert sum(shard.num_molecules for shard in shards) == 5
    assert {shard.num_packs for shard in shards} == {1}
