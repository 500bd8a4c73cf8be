"""Every format a user may bring, written by the test, read back, and damaged."""

from __future__ import annotations

import numpy as np
import pytest
from ase.db import connect
from ase.io import write
from structure_files import assert_same, joined, make_atoms

from gnnpack.datasets import Structures
from gnnpack.datasets.structure_formats import find_format
from gnnpack.units import ELECTRON_ANGSTROM_TO_DEBYE, HARTREE_TO_EV, KCAL_PER_MOL_TO_EV

EV = {"energy": {"unit": "eV"}}


@pytest.mark.parametrize(
    "path, name",
    [
        ("a.xyz", "extxyz"),
        ("a.XYZ.gz", "extxyz"),
        ("a/b.extxyz", "extxyz"),
        ("a.db", "db"),
        ("a.json", "db"),
        ("ani1x.h5", "ani1x"),
        ("rmd17_ethanol.npz", "rmd17"),
        ("run.traj", "ase"),
        ("OUTCAR", "ase"),
    ],
)
def test_a_file_s_ending_says_how_it_is_read(path, name):
    assert find_format("auto", path).name == name


def test_a_format_that_is_none():
    with pytest.raises(ValueError, match=r"dataset\.format is 'csv'; choose one of auto, extxyz"):
        find_format("csv", "a.xyz")


@pytest.mark.parametrize(
    "name, targets", [("w.xyz", EV), ("w.extxyz", EV), ("w.traj", None), ("w.db", None)]
)
def test_what_ase_writes(name, targets, tmp_path):
    made = make_atoms(30)
    write(str(tmp_path / name), made, **({"format": "extxyz"} if "xyz" in name else {}))
    assert_same(Structures(str(tmp_path / name), targets=targets).chunks(), made)


@pytest.mark.parametrize("name", ["w.db", "w.json"])
def test_a_data_base_gives_keys_data_and_its_rows_by_pages(name, tmp_path, monkeypatch):
    monkeypatch.setattr("gnnpack.datasets.structure_ase.PAGE", 4)
    made = make_atoms(11)
    database = connect(str(tmp_path / name))
    for atoms in made:
        database.write(atoms, gap=atoms.info["gap"], data={"u0": np.array([atoms.info["gap"] + 1])})
    targets = {
        "energy": None,
        "gap": {"unit": "Ha", "readout": "mean"},
        "U0": {"key": "u0", "unit": "eV", "readout": "sum"},
    }
    dataset = Structures(str(tmp_path / name), targets=targets)
    assert_same(dataset.chunks(), made)
    found = joined(dataset.chunks())[3]
    gaps = np.array([atoms.info["gap"] for atoms in made])
    np.testing.assert_allclose(found["gap"], gaps * HARTREE_TO_EV, rtol=1e-12)
    np.testing.assert_allclose(found["U0"], gaps + 1, rtol=1e-12)


def test_a_data_base_of_schnetpack_says_its_units(tmp_path):
    path = str(tmp_path / "s.db")
    database = connect(path)
    database.metadata = {
        "_property_unit_dict": {"energy": "kcal/mol", "forces": "kcal/mol/Ang", "mu": "e*Ang"},
        "_distance_unit": "Ang",
    }
    atoms = make_atoms(1)[0]
    forces = np.ones((len(atoms), 3))
    atoms.calc = None
    database.write(atoms, data={"energy": np.array([2.0]), "forces": forces, "mu": np.array([3.0])})
    targets = {"energy": None, "mu": {"readout": "mean"}}
    _, _, _, found, read = joined(Structures(path, targets=targets).chunks())
    assert found["energy"] == pytest.approx([2 * KCAL_PER_MOL_TO_EV], rel=1e-12)
    assert found["mu"] == pytest.approx([3 * ELECTRON_ANGSTROM_TO_DEBYE], rel=1e-12)
    np.testing.assert_allclose(read, KCAL_PER_MOL_TO_EV * forces, rtol=1e-6)


@pytest.mark.parametrize("name", ["w.db", "w.json", "w.traj"])
def test_a_damaged_file_of_ase_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(b"not what it says" * 100)
    with pytest.raises(ValueError, match=rf"{name} cannot be read"):
        list(Structures(str(tmp_path / name), targets=EV).chunks())


def write_ani1x(path, groups, **columns):
    """groups: name -> (numbers (n,), positions (m, n, 3)); columns: name -> group -> (m, ...)."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, (numbers, positions) in groups.items():
            group = file.create_group(name)
            group["atomic_numbers"] = np.array(numbers, dtype=np.uint8)
            group["coordinates"] = np.array(positions, dtype=np.float32)
            for column, values in columns.items():
                group[column.replace("__", ".")] = np.array(values[name])


def ani1x_groups():
    rng = np.random.RandomState(0)
    groups = {"C1H4": ([6, 1, 1, 1, 1], rng.rand(3, 5, 3)), "H2O1": ([8, 1, 1], rng.rand(4, 3, 3))}
    energies = {"C1H4": np.arange(3.0), "H2O1": 10 + np.arange(4.0)}
    forces = {"C1H4": rng.rand(3, 5, 3), "H2O1": rng.rand(4, 3, 3)}
    return groups, energies, forces


def test_hdf5_like_ani1x(tmp_path, monkeypatch):
    monkeypatch.setattr("gnnpack.datasets.structure_arrays.BLOCK_FRAMES", 2)
    groups, energies, forces = ani1x_groups()
    path = str(tmp_path / "ani1x.h5")
    write_ani1x(path, groups, wb97x_dz__energy=energies, wb97x_dz__forces=forces)
    z, pos, ids, found, read = joined(Structures(path).chunks())
    assert ids.tolist() == list(range(7))
    assert z.tolist() == [6, 1, 1, 1, 1] * 3 + [8, 1, 1] * 4
    wanted = np.concatenate([groups[name][1].reshape(-1, 3) for name in groups])
    np.testing.assert_array_equal(pos, wanted.astype(np.float32))
    np.testing.assert_allclose(found["energy"], np.array([0, 1, 2, 10, 11, 12, 13]) * HARTREE_TO_EV)
    wanted = np.concatenate([forces[name].reshape(-1, 3) for name in groups]) * HARTREE_TO_EV
    np.testing.assert_allclose(read, wanted, rtol=1e-6)


def test_what_ani1x_did_not_compute_is_left_out_and_counted(tmp_path, caplog):
    groups, energies, forces = ani1x_groups()
    energies["C1H4"][1] = np.nan
    forces["H2O1"][0] = np.nan
    path = str(tmp_path / "ani1x.h5")
    write_ani1x(path, groups, wb97x_dz__energy=energies, wb97x_dz__forces=forces)
    with caplog.at_level("INFO"):
        assert joined(Structures(path).chunks())[2].tolist() == [0, 2, 4, 5, 6]
    assert "2 of 7 frames have no value computed" in caplog.text
    # Another level of theory was computed for others; its ids are the same frames.
    assert joined(Structures(path, forces=None).chunks())[2].tolist() == [0, 2, 3, 4, 5, 6]


def test_hdf5_of_another_layout(tmp_path):
    groups, energies, _ = ani1x_groups()
    path = str(tmp_path / "other.h5")
    write_ani1x(path, groups, energy=energies)
    with pytest.raises(ValueError, match=r"group C1H4 has no 'wb97x_dz\.energy', only atomic_numb"):
        list(Structures(path).chunks())
    (tmp_path / "cut.h5").write_bytes((tmp_path / "other.h5").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"cut\.h5 is no whole HDF5 file"):
        list(Structures(str(tmp_path / "cut.h5")).chunks())
    write_ani1x(str(tmp_path / "none.h5"), {})
    with pytest.raises(ValueError, match=r"none\.h5 has no group with coordinates"):
        list(Structures(str(tmp_path / "none.h5")).chunks())
    groups["C1H4"] = ([6, 1], groups["C1H4"][1])
    write_ani1x(path, groups, wb97x_dz__energy=energies)
    with pytest.raises(ValueError, match=r"group C1H4: \(2,\) atomic numbers do not go with"):
        list(Structures(path).chunks())


def test_npz_like_rmd17(tmp_path):
    rng = np.random.RandomState(0)
    raw = {
        "nuclear_charges": np.array([6, 6, 8, 1]),
        "coords": rng.rand(5, 4, 3),
        "energies": -97000 + rng.rand(5),
        "forces": rng.rand(5, 4, 3),
        "old_indices": np.arange(5),
    }
    path = tmp_path / "rmd17_ethanol.npz"
    np.savez_compressed(path, **raw)
    z, pos, ids, found, forces = joined(Structures(str(path)).chunks())
    assert z.tolist() == [6, 6, 8, 1] * 5
    assert ids.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(pos, raw["coords"].reshape(-1, 3).astype(np.float32))
    np.testing.assert_allclose(found["energy"], raw["energies"] * KCAL_PER_MOL_TO_EV, rtol=1e-14)
    wanted = (raw["forces"] * KCAL_PER_MOL_TO_EV).reshape(-1, 3)
    np.testing.assert_allclose(forces, wanted, rtol=1e-6)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"rmd17_ethanol\.npz is no whole \.npz file"):
        list(Structures(str(path)).chunks())
    np.savez(path, z=raw["nuclear_charges"], R=raw["coords"])
    with pytest.raises(ValueError, match=r"has no nuclear_charges and no coords.*it has z, R"):
        list(Structures(str(path)).chunks())
    np.savez(path, **{**raw, "energies": raw["energies"][:3]})
    with pytest.raises(ValueError, match="frame 0: it has no 'energies'"):
        list(Structures(str(path)).chunks())
