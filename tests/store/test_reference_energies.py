from __future__ import annotations

import numpy as np
import pytest
from made_molecules import make_dataset

from gnnpack.datasets import Molecules
from gnnpack.store import fit_references, open_store, reference_sum, residual, targets


@pytest.fixture
def store(tmp_path):
    return open_store(make_dataset(tmp_path), tmp_path / "store")


def sum_by_hand(store, references):
    edges = zip(store.offsets, store.offsets[1:])
    return [sum(references[z] for z in store.z[first:last]) for first, last in edges]


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_reference_sum(store, monkeypatch, block):
    monkeypatch.setattr(targets, "_BLOCK_MOLECULES", block)
    references = np.arange(119) * 1.1
    sums = reference_sum(store.z, store.offsets, references)
    assert sums == pytest.approx(sum_by_hand(store, references), rel=1e-14)


def test_residual_is_total_less_references(store):
    references = store.reference_energies("energy")
    expected = store.target("energy") - sum_by_hand(store, references)
    assert residual(store, "energy", references) == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(residual(store, "gap", np.zeros(119)), store.target("gap"))


def test_fit_finds_exact_references(store):
    fitted = fit_references(store, "energy", np.arange(0, 60, 2))
    assert fitted[[1, 6, 8]] == pytest.approx([1.0, 6.0, 8.0])
    assert np.flatnonzero(fitted).tolist() == [1, 6, 8]
    assert np.abs(residual(store, "energy", fitted)).max() < 1e-10


def test_element_that_is_not_in_the_rows(store):
    only_hydrogen = [m for m in range(60) if set(store.z[slice(*store.offsets[m : m + 2])]) == {1}]
    with pytest.raises(ValueError, match=r"no atom of the elements \[6, 8\]"):
        fit_references(store, "energy", only_hydrogen)


def test_means_have_no_references(store):
    with pytest.raises(ValueError, match="gap is a mean over atoms"):
        fit_references(store, "gap", np.arange(60))
    with pytest.raises(ValueError, match="gap is a mean over atoms"):
        residual(store, "gap", np.ones(119))


def test_compositions_that_do_not_tell_elements_apart(tmp_path, caplog):
    dataset = make_dataset(tmp_path)
    water = np.tile(np.array([8, 1, 1], dtype=np.uint8), 6)
    sizes = np.array([3, 6, 9])
    dataset.molecules = Molecules(
        z=water,
        pos=np.zeros((18, 3), dtype=np.float32),
        offsets=np.concatenate(([0], np.cumsum(sizes))),
        ids=np.arange(3),
        targets={"energy": sizes * -25.0, "gap": np.zeros(3)},
    )
    dataset.chunks = lambda: iter([dataset.molecules])
    store = open_store(dataset, tmp_path / "store")
    fitted = fit_references(store, "energy", np.arange(3))
    assert "fix only 1 of 2 reference energies" in caplog.text
    assert fitted[8] + 2 * fitted[1] == pytest.approx(-75.0)
    assert np.abs(residual(store, "energy", fitted)).max() < 1e-10
