from __future__ import annotations

import numpy as np
import pytest

from gnnpack.datasets import Molecules, Synthetic
from gnnpack.datasets.synthetic_energy import ATOM_ENERGIES, CUTOFF, dipole, energy
from gnnpack.datasets.synthetic_sizes import size_probabilities


def joined(dataset: Synthetic) -> Molecules:
    chunks = list(dataset.read())
    sizes = np.concatenate([chunk.num_atoms for chunk in chunks])
    return Molecules(
        z=np.concatenate([chunk.z for chunk in chunks]),
        pos=np.concatenate([chunk.pos for chunk in chunks]),
        offsets=np.concatenate(([0], np.cumsum(sizes))),
        ids=np.concatenate([chunk.ids for chunk in chunks]),
        targets={
            name: np.concatenate([chunk.targets[name] for chunk in chunks])
            for name in dataset.target_infos
        },
    )


@pytest.fixture(scope="module")
def molecules() -> Molecules:
    return joined(Synthetic(600, seed=3))


def each(molecules: Molecules):
    for first, last in zip(molecules.offsets, molecules.offsets[1:]):
        yield molecules.z[first:last], molecules.pos[first:last]


def test_molecule_depends_on_its_number_alone(molecules):
    fewer = joined(Synthetic(300, seed=3))
    atoms = fewer.offsets[-1]
    assert fewer.z.tolist() == molecules.z[:atoms].tolist()
    assert np.array_equal(fewer.pos, molecules.pos[:atoms])
    for name, values in fewer.targets.items():
        assert np.array_equal(values, molecules.targets[name][:300])
    assert not np.array_equal(joined(Synthetic(300, seed=4)).z[:100], molecules.z[:100])


def test_molecules_are_like_real_ones(molecules):
    neighbours = []
    for z, pos in each(molecules):
        assert z[0] != 1  # at least one heavy atom
        distance = np.sqrt(((pos[:, None].astype(float) - pos) ** 2).sum(-1))
        np.fill_diagonal(distance, np.inf)
        assert distance.min() > 0.9
        neighbours.append((distance < 1.9).sum(1).mean())
        np.fill_diagonal(distance, 0.0)
        assert distance.max() < 12.0
    assert 1.8 < np.mean(neighbours) < 2.6
    assert set(np.unique(molecules.z)) == {1, 6, 7, 8, 9}
    assert 17.5 < molecules.num_atoms.mean() < 18.5


def test_energy_by_hand(molecules):
    """The formula of synthetic_energy's head, one pair at a time."""
    depth = {1: 0.25, 6: 0.60, 7: 0.50, 8: 0.45, 9: 0.35}
    radius = {1: 0.55, 6: 0.85, 7: 0.80, 8: 0.75, 9: 0.70}
    for number, (z, pos) in enumerate(each(molecules)):
        total = sum(ATOM_ENERGIES[int(kind)] for kind in z)
        for i in range(len(z)):
            for j in range(i):
                a, b = int(z[i]), int(z[j])
                r = np.linalg.norm(pos[i].astype(float) - pos[j].astype(float))
                if r < CUTOFF:
                    well = (1 - np.exp(-1.2 * (r - radius[a] - radius[b]))) ** 2 - 1
                    smooth = (np.cos(np.pi * r / CUTOFF) + 1) / 2
                    total += np.sqrt(depth[a] * depth[b]) * well * smooth
        assert molecules.targets["energy"][number] == pytest.approx(total, rel=1e-12)
        if number == 5:
            return


def test_targets_do_not_see_the_frame():
    random = np.random.RandomState(0)
    z = np.array([[6, 8, 1, 1, 0, 0]], dtype=np.uint8)
    pos = random.uniform(-1.5, 1.5, (1, 6, 3))
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    moved = (pos @ turn + 2.0).astype(np.float32)
    for target in (energy, dipole):
        assert target(z, moved) == pytest.approx(target(z, pos.astype(np.float32)), abs=1e-4)


def test_sizes():
    assert size_probabilities("qm9") @ np.arange(30) == pytest.approx(2_359_210 / 130_831)
    assert size_probabilities("qm9")[28] == 0.0
    assert set(joined(Synthetic(200, sizes=[2, 4])).num_atoms.tolist()) == {2, 3, 4}
    assert set(joined(Synthetic(200, sizes=[0.0, 0.5, 0.5])).num_atoms.tolist()) == {2, 3}
    assert size_probabilities([1, 1]).tolist() == [0.0, 1.0]
    assert joined(Synthetic(40, sizes=[80, 90])).num_atoms.min() >= 80


@pytest.mark.parametrize(
    "options, message",
    [
        ({"num_molecules": 0}, "num_molecules is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"sizes": "qm7"}, "named distributions are qm9, hydronet_500k"),
        ({"sizes": [0, 4]}, "1 <= smallest <= largest"),
        ({"sizes": [0.5, 0.2, 0.2]}, "sums to 0.9"),
        ({"sizes": [1.5, -0.5, 0.0]}, "must not be negative"),
        ({"target": "U0"}, "Available: energy, dipole"),
        ({"split": {"trian": 1}}, "unknown key trian"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        Synthetic(**options)


def test_store_names_tell_parameters_apart():
    names = {
        Synthetic(10).store_name,
        Synthetic(11).store_name,
        Synthetic(10, seed=1).store_name,
        Synthetic(10, sizes=[3, 9]).store_name,
    }
    assert len(names) == 4
    assert Synthetic(10, target="dipole").store_name == Synthetic(10).store_name
    assert Synthetic(10).source_label == "made, seed 0"


def test_split_seed_of_the_data_set_wins():
    ids = np.arange(50)
    own = Synthetic(50, split={"train": 30, "val": 10, "seed": 5})
    free = Synthetic(50, split={"train": 30, "val": 10})
    assert np.array_equal(own.make_split(ids, 1).train, own.make_split(ids, 2).train)
    assert np.array_equal(own.make_split(ids, 1).train, free.make_split(ids, 5).train)
    assert not np.array_equal(free.make_split(ids, 1).train, free.make_split(ids, 2).train)
