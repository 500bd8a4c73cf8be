"""`gnnpack data describe`: its figures of a data set against loops over its store."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gnnpack.store import Store

MADE = ("dataset=synthetic", "dataset.num_molecules=60")


def test_json_agrees_with_loops_over_the_store(gnnpack, folder, capsys):
    gnnpack("data", "describe", *MADE, "cutoff=3", "--json", "--no-figures")
    found = json.loads(capsys.readouterr().out)
    store = Store(found["store"])
    molecules = [
        (store.z[start:stop], store.pos[start:stop].astype(np.float64))
        for start, stop in zip(store.offsets, store.offsets[1:])
    ]
    sizes = [len(z) for z, _ in molecules]
    assert found["num_molecules"] == 60
    assert found["num_atoms"] == sum(sizes)
    assert found["atoms_in_a_molecule"]["largest"] == max(sizes)
    assert found["elements"]["C"]["atoms"] == sum(int((z == 6).sum()) for z, _ in molecules)
    assert found["elements"]["H"]["molecules"] == sum(bool((z == 1).any()) for z, _ in molecules)
    assert found["elements"]["F"]["molecules"] == sum(bool((z == 9).any()) for z, _ in molecules)
    within = [
        int((np.linalg.norm(pos[:, None] - pos[None], axis=-1) < 3).sum()) - len(pos)
        for _, pos in molecules
    ]
    assert found["neighbours_of_an_atom"] == pytest.approx(sum(within) / sum(sizes))
    assert found["most_pairs_in_a_molecule"] == max(within) // 2
    energies = store.target("energy")
    assert found["targets"]["energy"]["total"]["mean"] == pytest.approx(energies.mean())
    shares = energies / np.array(sizes)
    assert found["targets"]["energy"]["an_atom"]["deviation"] == pytest.approx(shares.std())
    assert "a_molecule" in found["targets"]["dipole"]
    references = store.reference_energies("energy")
    rest = [(e - references[z].sum()) / len(z) for e, (z, _) in zip(energies, molecules)]
    assert found["after_references"]["mean"] == pytest.approx(np.mean(rest))
    assert found["split"] == {"train": 48, "val": 6, "test": 6}
    assert found["undetermined_elements"] == []
    assert found["suggested"]["num_atoms"] >= max(sizes)


def test_the_table_and_the_figures(gnnpack, folder, capsys):
    gnnpack("data", "describe", *MADE)
    said = capsys.readouterr().out
    for word in ("molecules", "elements", "neighbours", "references", "split", "suggested"):
        assert f"\n{word}" in f"\n{said}"
    drawn = sorted(path.name for path in folder.glob("outputs/data/synthetic-*/*"))
    assert drawn == ["elements.png", "energies.png", "neighbours.png", "sizes.png"]


def test_a_target_that_is_a_mean_and_references_that_cannot_be_fitted(gnnpack, folder, capsys):
    few = ("dataset.split.train=1", "dataset.split.val=1", "--no-figures")
    gnnpack("data", "describe", *MADE, "dataset.references=fitted", *few)
    assert "have no atom of the elements" in capsys.readouterr().out
    gnnpack("data", "describe", *MADE, "dataset.target=dipole", "dataset.references=none", *few)
    assert "references   none; dipole then a molecule" in capsys.readouterr().out


def test_what_is_not_there(gnnpack):
    with pytest.raises(SystemExit, match="no option --jsn"):
        gnnpack("data", "describe", "--jsn")
    with pytest.raises(SystemExit, match=r"dataset\.path=FILE"):
        gnnpack("data", "describe", "dataset=structures")
