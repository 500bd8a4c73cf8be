from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from made_molecules import NUM_MOLECULES, make_dataset, part

from gnnpack.datasets import Synthetic
from gnnpack.store import NUM_ELEMENTS, Store, open_store


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path)


def test_everything_comes_back(tmp_path):
    dataset = make_dataset(tmp_path, forces=True)
    store = open_store(dataset, tmp_path / "store")
    molecules = dataset.molecules
    for name in ("z", "pos", "offsets", "ids", "forces"):
        column = getattr(store, name)
        assert np.array_equal(column, getattr(molecules, name))
        assert column.dtype == getattr(molecules, name).dtype
        assert not column.flags.writeable
    for name, values in molecules.targets.items():
        assert np.array_equal(store.target(name), values)
    assert np.array_equal(store.num_atoms, molecules.num_atoms)
    assert (store.num_molecules, store.total_atoms) == (NUM_MOLECULES, len(molecules.z))
    assert store.target_names == ("energy", "gap")
    assert store.target_info("gap") == ("eV", "mean")
    assert store.source_label == "made.raw"
    store.verify()


def test_reference_energies(dataset, tmp_path):
    store = open_store(dataset, tmp_path / "store")
    references = store.reference_energies("energy")
    assert references.shape == (NUM_ELEMENTS,)
    assert references[[1, 6, 8]].tolist() == [1.0, 6.0, 8.25]
    assert references.sum() == 15.25
    assert not store.reference_energies("gap").any()


def test_second_opening_reads_nothing(dataset, tmp_path):
    first = open_store(dataset, tmp_path / "store")
    second = open_store(dataset, tmp_path / "store")
    assert dataset.times_read == 1
    assert first.fingerprint == second.fingerprint
    assert first.forces is None


def test_columns_are_plain_npy_files(dataset, tmp_path):
    store = open_store(dataset, tmp_path / "store")
    assert np.array_equal(np.load(tmp_path / "store/made/target_gap.npy"), store.target("gap"))
    manifest = json.loads((tmp_path / "store/made/manifest.json").read_text())
    assert manifest["columns"]["pos"]["shape"] == [store.total_atoms, 3]
    assert manifest["targets"]["gap"] == {"unit": "eV", "readout": "mean"}
    assert manifest["reference_energies"]["energy"]["8"] == 8.25
    assert manifest["sources"][0]["name"] == "made.raw"
    assert manifest["created_by"].startswith("gnnpack ")


def test_fingerprint_changes_with_any_value(dataset, tmp_path):
    first = open_store(dataset, tmp_path / "a")
    dataset.molecules.targets["gap"][50] += 1e-12
    assert open_store(dataset, tmp_path / "b").fingerprint != first.fingerprint


def test_pickles_as_its_path(dataset, tmp_path):
    store = open_store(dataset, tmp_path / "store")
    content = pickle.dumps(store)
    assert len(content) < 300
    assert np.array_equal(pickle.loads(content).pos, store.pos)
    dataset.molecules.targets["gap"][0] += 1.0
    dataset.reader_version = 2
    open_store(dataset, tmp_path / "store")
    with pytest.raises(ValueError, match="was rebuilt with other data"):
        pickle.loads(content)


def test_unknown_target(dataset, tmp_path):
    store = open_store(dataset, tmp_path / "store")
    with pytest.raises(ValueError, match=r"no target 'U0'. Available: energy, gap"):
        store.target("U0")


def test_synthetic(tmp_path):
    dataset = Synthetic(300, sizes=[3, 9])
    store = open_store(dataset, tmp_path)
    assert store.path.endswith(dataset.store_name)
    assert store.num_molecules == 300
    assert Store(store.path).fingerprint == store.fingerprint


@pytest.mark.parametrize(
    "chunks, message",
    [
        (lambda m: [m, part(m, 3, 5)], "2 molecule ids occur twice, the first is 109"),
        (lambda m: [], "hold no molecules"),
    ],
)
def test_data_that_contradict_themselves(dataset, tmp_path, monkeypatch, chunks, message):
    monkeypatch.setattr(dataset, "chunks", lambda: iter(chunks(dataset.molecules)))
    with pytest.raises(ValueError, match=message):
        open_store(dataset, tmp_path / "store")
    assert [path.name for path in (tmp_path / "store").iterdir() if path.is_dir()] == []


def test_some_with_forces_and_some_without(dataset, tmp_path, monkeypatch):
    other = part(make_dataset(tmp_path, forces=True).molecules, 3, 5)
    monkeypatch.setattr(dataset, "chunks", lambda: iter([dataset.molecules, other]))
    with pytest.raises(ValueError, match="some molecules have forces and others have none"):
        open_store(dataset, tmp_path / "store")


def test_targets_not_declared(dataset, tmp_path):
    dataset.target_infos = {**dataset.target_infos, "charge": dataset.target_infos["gap"]}
    with pytest.raises(ValueError, match=r"declares .*charge"):
        open_store(dataset, tmp_path / "store")
