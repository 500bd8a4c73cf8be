from __future__ import annotations

import doctest
import sys
from pathlib import Path

import numpy as np
import pytest

from gnnpack.datasets import Molecules, WaterClusters, water_compiled
from gnnpack.datasets.size_counts import size_counts
from gnnpack.datasets.water_energy import water_energy
from gnnpack.datasets.water_statistics import water_statistics
from gnnpack.store import open_store

PAGE = Path(__file__).parents[2] / "docs" / "water_clusters.md"


@pytest.fixture(scope="module")
def clusters() -> Molecules:
    return WaterClusters(600, subset="large", seed=3).clusters(range(600))


def each(molecules: Molecules):
    for first, last in zip(molecules.offsets, molecules.offsets[1:]):
        yield molecules.pos[first:last].astype(np.float64)


def same(one: Molecules, other: Molecules) -> bool:
    columns = ("z", "pos", "offsets", "ids", "forces")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns) and (
        np.array_equal(one.targets["energy"], other.targets["energy"])
    )


def distances(pos: np.ndarray) -> np.ndarray:
    """Between atoms of different waters; inf within one."""
    apart = np.sqrt(((pos[:, None] - pos) ** 2).sum(axis=-1))
    water = np.arange(len(pos)) // 3
    return np.where(water[:, None] == water, np.inf, apart)


# --- a cluster is its number's alone ---


def test_a_cluster_depends_on_its_number_alone(clusters):
    dataset = WaterClusters(40, subset="large", seed=3)
    (chunk,) = dataset.read()
    assert same(chunk, dataset.clusters(range(40)))
    fewer = clusters.offsets[40]
    assert np.array_equal(chunk.pos, clusters.pos[:fewer])
    assert np.array_equal(chunk.forces, clusters.forces[:fewer])
    assert np.array_equal(chunk.targets["energy"], clusters.targets["energy"][:40])
    # In any order and company.
    some = [599, 3, 170]
    for number, pos in zip(some, each(dataset.clusters(some))):
        assert np.array_equal(pos, list(each(clusters))[number])


def test_threads_change_nothing(clusters):
    dataset = WaterClusters(600, subset="large", seed=3)
    assert same(dataset.clusters(range(600), num_threads=1), clusters)
    assert same(dataset.clusters(range(600), num_threads=3), clusters)


def test_chunks_change_nothing(monkeypatch):
    options = {"num_molecules": 25, "sizes": [2, 4]}
    (whole,) = WaterClusters(**options).chunks()
    monkeypatch.setattr("gnnpack.datasets.water_clusters._CHUNK", 7)
    chunks = list(WaterClusters(**options).chunks())
    assert [chunk.num_molecules for chunk in chunks] == [7, 7, 7, 4]
    assert np.array_equal(np.concatenate([chunk.pos for chunk in chunks]), whole.pos)
    assert np.concatenate([chunk.ids for chunk in chunks]).tolist() == list(range(25))


def test_seeds_and_numbers_differ():
    pos = [
        WaterClusters(3, sizes=[5, 5], seed=seed).clusters(range(3)).pos.reshape(3, 15, 3)
        for seed in (0, 1)
    ]
    lists = [cluster.ravel().tolist() for seed in pos for cluster in seed]
    assert len({tuple(values) for values in lists}) == 6


def test_plain_python_makes_the_same_clusters(monkeypatch, caplog):
    dataset = WaterClusters(2, sizes=[3, 4])
    fast = dataset.clusters(range(2))
    monkeypatch.setitem(sys.modules, "numba", None)
    water_compiled.compiled.cache_clear()
    try:
        slow = dataset.clusters(range(2), num_threads=1)
    finally:
        water_compiled.compiled.cache_clear()
    assert "numba is not installed" in caplog.text
    assert np.array_equal(slow.offsets, fast.offsets)
    # Sines of another library may differ in their last bit.
    assert slow.pos == pytest.approx(fast.pos, abs=1e-6)
    assert slow.targets["energy"] == pytest.approx(fast.targets["energy"], abs=1e-6)


# --- they are like real ones ---


def test_waters_are_whole_and_none_lies_on_another(clusters):
    for pos in each(clusters):
        apart = distances(pos)
        assert apart[::3, ::3].min() > 2.4
        assert apart[::3].min() > 1.5
        assert apart.min() > 1.4
        arms = pos.reshape(-1, 3, 3)[:, 1:] - pos.reshape(-1, 3, 3)[:, :1]
        lengths = np.sqrt((arms**2).sum(axis=-1))
        assert lengths.min() > 0.88
        assert lengths.max() < 1.08
        assert pos[::3].mean(axis=0) == pytest.approx(0.0, abs=1e-5)


def test_hydrogen_bonds_hold_clusters_together(clusters):
    """O-H...O below 2.3 Å: nearly no water without any, nearly all clusters in one piece."""
    whole, alone = 0, 0
    for pos in each(clusters):
        apart = distances(pos)
        bonds = np.delete(apart[::3], np.s_[::3], axis=1) < 2.3
        linked = bonds.reshape(len(bonds), -1, 2).any(axis=2)
        linked |= linked.T
        alone += int((~linked.any(axis=1)).sum())
        steps = np.linalg.matrix_power(linked.astype(float) + np.eye(len(linked)), len(linked))
        whole += int((steps > 0).all())
    assert whole > 0.97 * clusters.num_molecules
    assert alone < 0.001 * len(clusters.z) / 3


def test_statistics_are_those_of_real_clusters(clusters):
    found = water_statistics(clusters)
    assert 2.75 < found.oxygen_distance < 2.87
    assert 2.8 < found.bonded_oxygens < 3.6
    assert 0.945 < found.bond_length < 0.975
    assert 104.0 < found.angle < 108.0
    assert 33.0 < found.neighbours < 43.0
    assert -0.40 < found.energy < -0.32


def test_energies_are_bound_and_vary_with_structure():
    clusters = WaterClusters(200, sizes=[20, 20]).clusters(range(200))
    energy = clusters.targets["energy"] / 20
    assert energy.min() > -0.46
    assert energy.max() < -0.25
    assert 0.01 < energy.std() < 0.03


def test_labels_are_those_of_the_stored_positions(clusters):
    for number, pos in enumerate(each(clusters)):
        first, last = clusters.offsets[number : number + 2]
        energy, forces = water_energy(pos)
        assert clusters.targets["energy"][number] == energy
        assert np.array_equal(clusters.forces[first:last], forces.astype(np.float32))
        if number == 50:
            return


def test_atoms_are_waters_one_after_the_other(clusters):
    assert clusters.z.reshape(-1, 3).tolist() == [[8, 1, 1]] * (len(clusters.z) // 3)


# --- sizes ---


@pytest.mark.parametrize(
    "subset, published",
    [("small", "hydronet_500k"), ("medium", "hydronet_2.7m"), ("large", "hydronet_4.5m")],
)
def test_a_whole_subset_has_the_published_sizes(subset, published):
    dataset = WaterClusters(subset=subset)
    atoms, counts = size_counts(published)
    assert dataset.expected_molecules == counts.sum()
    assert dataset.expected_atoms == atoms @ counts
    if subset == "small":
        waters = dataset._sizes.of(np.arange(counts.sum()))
        assert np.bincount(waters)[atoms // 3].tolist() == counts.tolist()
        # What comes after begins anew; a prefix is a fair sample.
        assert np.array_equal(dataset._sizes.of(np.arange(9) + counts.sum()), waters[:9])
        mean = (atoms @ counts) / counts.sum() / 3
        assert waters[:5000].mean() == pytest.approx(mean, abs=5 * waters.std() / 5000**0.5)


def test_other_sizes():
    ranged = WaterClusters(500, sizes=[1, 4])
    waters = ranged._sizes.of(np.arange(4000))
    assert np.bincount(waters)[1:] == pytest.approx(1000, abs=150)
    listed = WaterClusters(500, sizes=[0.0, 0.25, 0.75])
    assert np.bincount(listed._sizes.of(np.arange(4000)))[2:] == pytest.approx(
        [1000, 3000], abs=150
    )
    assert ranged.expected_atoms is None
    # The smallest and the largest that can be made.
    assert WaterClusters(1, sizes=[1, 1]).clusters([0]).num_atoms.tolist() == [3]
    assert WaterClusters(1, sizes=[128, 128]).clusters([0]).num_atoms.tolist() == [384]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_molecules": 0}, "num_molecules is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"subset": "tiny"}, "'tiny'; choose one of small, medium, large"),
        ({"sizes": [3, 5]}, "num_molecules is null.*say how many"),
        ({"num_molecules": 5, "sizes": "small"}, "dataset.subset=small, medium or large"),
        ({"num_molecules": 5, "sizes": [0, 4]}, "1 <= smallest <= largest"),
        ({"num_molecules": 5, "sizes": [3, 129]}, "clusters of 129 waters, but at most 128"),
        ({"num_molecules": 5, "sizes": [0.5, 0.2, 0.2]}, "sums to 0.9"),
        ({"target": "forces"}, "Available: energy"),
        ({"split": {"trian": 1}}, "unknown key trian"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        WaterClusters(**options)


# --- as a data set ---


def test_store_names_tell_parameters_apart():
    options = [{}, {"seed": 1}, {"subset": "large"}, {"sizes": [3, 9]}, {"num_molecules": 11}]
    names = {WaterClusters(**{"num_molecules": 10, **option}).store_name for option in options}
    assert len(names) == 5
    assert WaterClusters(10, references="fitted").store_name in names
    assert WaterClusters(10).source_label == "made, q-TIP4P/F, seed 0"


def test_its_store(tmp_path):
    dataset = WaterClusters(30, sizes=[2, 5])
    store = open_store(dataset, tmp_path)
    (made,) = dataset.chunks()
    assert np.array_equal(store.pos, made.pos)
    assert np.array_equal(store.target("energy"), made.targets["energy"])
    assert len(dataset.make_split(store.ids).val) == 3


def test_the_example_on_the_page():
    assert doctest.testfile(str(PAGE), module_relative=False).attempted > 2
    assert not doctest.testfile(str(PAGE), module_relative=False).failed
