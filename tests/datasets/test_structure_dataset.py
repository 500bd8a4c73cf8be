"""`Structures`: what it asks for, what it refuses, what it leaves out and says so."""

from __future__ import annotations

import os

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st
from structure_files import assert_same, joined, make_atoms

from gnnpack.datasets import MissingSource, Structures, TargetInfo
from gnnpack.datasets.structure_copies import Copies, fingerprint
from gnnpack.datasets.structure_units import force_unit, length_unit, target_unit
from gnnpack.store import open_store
from gnnpack.units import HARTREE_TO_EV

EV = {"energy": {"unit": "eV"}}
WATER = "3\nenergy={}\nO 0 0 0\nH 0 0 {}\nH 0 1 0\n"


def write_text(path, *frames: str) -> str:
    path.write_text("".join(frames))
    return str(path)


def water(number: int) -> str:
    return WATER.format(number, 0.9 + 0.01 * number)


@pytest.mark.parametrize(
    "unit, name, factor",
    [
        ("eV", "eV", 1),
        ("hartree", "eV", 27.211386245988),
        ("kcal/mol", "eV", 0.0433641042),
        ("kJ/mol", "eV", 0.0103642697),
        ("Ry", "eV", 13.605693122994),
        ("debye", "D", 1),
        ("e*bohr", "D", 2.541746473),
        ("Ang^3", "a0^3", 6.748334509),
        (1, "1", 1),
    ],
)
def test_units(unit, name, factor):
    assert target_unit(unit, "unit").name == name
    assert target_unit(unit, "unit").factor == pytest.approx(factor, rel=1e-8)


def test_units_of_forces_and_lengths():
    assert force_unit("Ha/bohr", "u") == pytest.approx(51.422067476, rel=1e-9)
    assert force_unit("kcal/mol/Ang", "u") == pytest.approx(0.0433641042, rel=1e-8)
    assert length_unit("bohr", "u") == pytest.approx(0.529177210903)
    for what, text in ((target_unit, "erg"), (force_unit, "eV"), (length_unit, "m")):
        with pytest.raises(ValueError, match=r"dataset\.x is .*; |dataset\.x is .*, a unit"):
            what(text, "dataset.x")


def test_a_unit_nobody_says_is_asked_for(tmp_path):
    path = write_text(tmp_path / "w.xyz", water(0))
    with pytest.raises(ValueError, match=r"w\.xyz does not say what unit its 'energy' is in.*unit"):
        Structures(path)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"targets": {}}, r"dataset\.targets is empty"),
        ({"targets": {"gap": {"unit": "eV"}}}, r"targets\.gap\.readout is None; say sum"),
        ({"targets": {"energy": {"units": "eV"}}}, r"has no setting 'units'"),
        ({"targets": {"a/b": {"unit": "eV"}}}, "name targets with letters"),
        ({"targets": {"energy": {"unit": "elephants"}}}, "a unit gnnpack does not know"),
        ({"targets": {"energy": "E"}}, r"write \{key: KEY"),
        ({"target": "gap"}, r"dataset\.target is 'gap', which structures does not have"),
        ({"on_error": "ignore"}, r"dataset\.on_error is 'ignore'; choose error or skip"),
        ({"on_duplicate": "x"}, r"dataset\.on_duplicate is 'x'; choose keep or drop or refuse"),
        ({"forces_unit": "eV"}, r"dataset\.forces_unit is 'eV'; write an energy over a length"),
        ({"references": "published"}, "needs dataset.reference_energies"),
        ({"reference_energies": {"H": 1}}, r"write \{unit: Ha"),
        ({"reference_energies": {"unit": "eV", "Hx": 1}}, "'Hx', which is no element"),
        ({"reference_energies": {"unit": "D", "H": 1}}, "no unit of energy"),
        ({"reference_energies": {"unit": "eV", "H": 1}, "references": "none"}, "takes none"),
    ],
)
def test_settings_that_cannot_be(settings, message, tmp_path):
    path = write_text(tmp_path / "w.xyz", water(0))
    with pytest.raises(ValueError, match=message):
        Structures(path, **{"targets": EV, **settings})


def test_targets_by_name_with_units_and_readouts(tmp_path):
    path = str(tmp_path / "w.xyz")
    made = make_atoms(4)
    write(path, made, format="extxyz")
    targets = {"U": {"key": "energy", "unit": "Ha", "readout": "sum"}}
    targets["gap"] = {"unit": "meV", "readout": "mean"}
    dataset = Structures(path, target="gap", targets=targets, length_unit="bohr")
    assert dataset.target_infos == {"U": TargetInfo("eV", "sum"), "gap": TargetInfo("eV", "mean")}
    assert dataset.references == "none"
    _, pos, _, found, forces = joined(dataset.chunks())
    wanted = [atoms.calc.results["energy"] * HARTREE_TO_EV for atoms in made]
    np.testing.assert_allclose(found["U"], wanted, rtol=1e-12)
    np.testing.assert_allclose(found["gap"], [1e-3 * atoms.info["gap"] for atoms in made])
    wanted = np.concatenate([atoms.positions for atoms in made]) * 0.529177210903
    np.testing.assert_allclose(pos, wanted, rtol=1e-6)
    # Without a unit of their own, forces are in the energy's over the length's.
    wanted = np.concatenate([a.calc.results["forces"] for a in made]) * force_unit("Ha/bohr", "")
    np.testing.assert_allclose(forces, wanted, rtol=1e-6)
    with pytest.raises(ValueError, match="gap is a mean over atoms"):
        Structures(path, target="gap", targets=targets, references="fitted")


def test_many_files_are_numbered_through_in_their_order(tmp_path):
    made = make_atoms(10)
    for folder in ("b", "a"):
        (tmp_path / folder).mkdir()
    write(str(tmp_path / "a" / "w.xyz"), made[:4], format="extxyz")
    write(str(tmp_path / "b" / "w.xyz"), made[4:], format="extxyz")
    dataset = Structures(str(tmp_path / "*" / "w.xyz"), targets=EV)
    assert_same(dataset.chunks(), made)
    names = [source.name for source in dataset.sources()]
    assert names == [os.path.join("a", "w.xyz"), os.path.join("b", "w.xyz")]
    store = open_store(dataset, tmp_path / "store")
    assert store.num_molecules == 10
    assert open_store(dataset, tmp_path / "store").fingerprint == store.fingerprint


def test_chunks_do_not_show_in_what_is_read(tmp_path, monkeypatch):
    made = make_atoms(23)
    write(str(tmp_path / "w.xyz"), made, format="extxyz")
    dataset = Structures(str(tmp_path / "w.xyz"), targets=EV)
    monkeypatch.setattr("gnnpack.datasets.structure_reading.CHUNK_MOLECULES", 4)
    chunks = list(dataset.chunks())
    assert [chunk.num_molecules for chunk in chunks] == [4, 4, 4, 4, 4, 3]
    assert_same(chunks, made)
    monkeypatch.setattr("gnnpack.datasets.structure_reading.CHUNK_ATOMS", 5)
    chunks = list(dataset.chunks())
    assert_same(chunks, made)
    # A chunk ends with the molecule that fills it.
    assert max(len(chunk.z) for chunk in chunks) < 5 + max(map(len, made))


def test_a_store_opens_when_its_files_are_away(tmp_path):
    made = make_atoms(3)
    path = str(tmp_path / "w.xyz")
    write(path, made, format="extxyz")
    store = open_store(Structures(path, targets=EV), tmp_path / "store")
    os.remove(path)
    again = open_store(Structures(path, targets=EV), tmp_path / "store")
    assert again.fingerprint == store.fingerprint
    with pytest.raises(MissingSource, match="names no file"):
        open_store(Structures(path, targets={"energy": {"unit": "Ha"}}), tmp_path / "store")


def test_no_file_is_told(tmp_path):
    with pytest.raises(MissingSource, match=r"needs a file: dataset\.path=FILE"):
        Structures().sources()
    with pytest.raises(MissingSource, match=r"names no file"):
        Structures(str(tmp_path / "*.xyz")).sources()
    with pytest.raises(ValueError, match=r"a folder; name files, such as dataset\.path='.*\*\.xyz"):
        Structures(str(tmp_path))


def test_a_store_has_a_name_of_its_own_for_all_that_shapes_it(tmp_path):
    path = write_text(tmp_path / "w x.xyz", water(0))
    base = {"path": path, "targets": EV}
    others = [
        {},
        {"path": str(tmp_path / "*.xyz")},
        {"targets": {"energy": {"unit": "Ha"}}},
        {"targets": {"energy": {"unit": "eV", "key": "E"}}},
        {"forces": None},
        {"forces": None, "length_unit": "bohr"},
        {"on_error": "skip"},
        {"on_duplicate": "drop"},
        {"name": "mine"},
    ]
    names = [Structures(**{**base, **other}).store_name for other in others]
    assert len(set(names)) == len(names)
    assert names[0].startswith("w_x-")
    assert names[-1].startswith("mine-")
    # What does not shape the molecules does not ask for another store.
    same = Structures(**base, split={"train": 0.5, "val": 0.5}, references="none", report_dir="r")
    assert same.store_name == names[0]


BAD = [
    ("3\nenergy=1\nO 0 0 0\nH 0 0 1\n", "only 2 of its 3 atoms"),
    ("1\nenergy=nan\nO 0 0 0\n", "its energy is nan, which is not a finite number"),
    ("1\nenergy=low\nO 0 0 0\n", "its energy is 'low', which is no number"),
    ("1\nE=1\nO 0 0 0\n", "it has no 'energy', only E"),
    ("1\n\nO 0 0 0\n", "it has no 'energy', only no values at all"),
    ("1\nenergy=1\nO 0 0 inf\n", "the positions of its atom 0 are"),
    ("1\nenergy=1\nO 0 0 1e39\n", "the positions of its atom 0 are"),
    ("1\nenergy=1\nX 0 0 0\n", "its atom 0 has the atomic number 0"),
    ("0\nenergy=1\n", "it has no atoms"),
    ('1\nenergy=1 Lattice="9 0 0 0 9 0 0 0 9"\nO 0 0 0\n', "it is periodic"),
]


@pytest.mark.parametrize("bad, reason", BAD)
def test_a_bad_frame_is_named_with_file_frame_and_line(bad, reason, tmp_path):
    path = write_text(tmp_path / "w.xyz", water(0), bad, water(1))
    with pytest.raises(ValueError, match=rf"w\.xyz, frame 1, line \d+: .*{reason}.*on_error=skip"):
        list(Structures(path, targets=EV).chunks())


def test_bad_frames_are_skipped_counted_and_listed(tmp_path, caplog):
    frames = [text for number, (bad, _) in enumerate(BAD) for text in (water(number), bad)]
    path = write_text(tmp_path / "w.xyz", *frames)
    dataset = Structures(path, targets=EV, on_error="skip", report_dir=str(tmp_path / "store"))
    ids, targets = joined(dataset.chunks())[2:4]
    # Frames keep their numbers whoever is skipped before.
    assert ids.tolist() == list(range(0, 2 * len(BAD), 2))
    assert targets["energy"].tolist() == list(range(len(BAD)))
    assert f"{len(BAD)} of {2 * len(BAD)} frames were skipped" in caplog.text
    assert caplog.text.count("w.xyz, frame") == 5
    with open(dataset.skipped_path, encoding="utf-8") as file:
        listed = file.read().splitlines()
    assert len(listed) == len(BAD)
    for number, (line, (_, reason)) in enumerate(zip(listed, BAD)):
        assert f"frame {2 * number + 1}, line" in line
        assert reason in line
    # The list is that of the last reading.
    write_text(tmp_path / "w.xyz", water(0))
    list(dataset.chunks())
    assert not os.path.exists(dataset.skipped_path)


def test_forces_are_of_all_or_of_none(tmp_path):
    first, second = make_atoms(2)
    second.calc.results.pop("forces")
    path = str(tmp_path / "w.xyz")
    write(path, [first, second], format="extxyz")
    with pytest.raises(ValueError, match=r"frame 1, line \d+: it has no 'forces'; .*forces=null"):
        list(Structures(path, targets=EV).chunks())
    assert joined(Structures(path, targets=EV, forces=None).chunks())[4] is None
    write(path, [second, first], format="extxyz")
    with pytest.raises(ValueError, match="it has 'forces', but those before it have none"):
        list(Structures(path, targets=EV).chunks())
    with pytest.raises(ValueError, match=r"frame 0, line 1: it has no 'forces'"):
        list(Structures(path, targets=EV, forces="forces").chunks())


def test_duplicates_are_told_dropped_or_refused(tmp_path, caplog):
    turned = "3\nenergy=7\nH 0 1 0\nO 0 0 0\nH 0 0 0.9001\n"
    path = write_text(tmp_path / "w.xyz", water(0), water(1), turned, water(1))
    kept = Structures(path, targets=EV)
    assert joined(kept.chunks())[2].tolist() == [0, 1, 2, 3]
    assert "2 of 4 frames repeat an earlier one" in caplog.text
    dropped = Structures(path, targets=EV, on_duplicate="drop", report_dir=str(tmp_path))
    assert joined(dropped.chunks())[2].tolist() == [0, 1]
    with open(dropped.skipped_path, encoding="utf-8") as file:
        assert "it repeats molecule 1" in file.read()
    with pytest.raises(ValueError, match=r"frame 2, line 11: it repeats molecule 0, atom for atom"):
        list(Structures(path, targets=EV, on_duplicate="refuse").chunks())


@given(st.lists(st.integers(0, 30), max_size=80), st.data())
@settings(max_examples=100, deadline=None)
def test_first_owners_as_a_dictionary_would_find_them(prints, data):
    seen: dict[int, int] = {}
    wanted = []
    for number, mark in enumerate(prints):
        wanted.append(seen.get(mark, -1))
        seen.setdefault(mark, number)
    copies, found, start = Copies(), [], 0
    while start < len(prints):
        stop = data.draw(st.integers(start + 1, len(prints)))
        some = np.array(prints[start:stop], dtype=np.uint64)
        found += copies.first_owners(some, np.arange(start, stop)).tolist()
        start = stop
    assert found == wanted


def test_fingerprints_tell_elements_and_places_apart():
    numbers, positions = np.array([8, 1, 1]), np.random.RandomState(0).rand(3, 3)
    mark = fingerprint(numbers, positions)
    order = [2, 0, 1]
    assert fingerprint(numbers[order], positions[order]) == mark
    assert fingerprint(np.array([8, 1, 2]), positions) != mark
    assert fingerprint(numbers, positions + 0.002) != mark
    assert fingerprint(numbers[order], positions) != mark


def test_given_references_are_subtracted_and_must_be_of_every_element(tmp_path):
    path = write_text(tmp_path / "w.xyz", *map(water, range(5)))
    given = {"unit": "Ha", "H": -0.5, "O": -75.0}
    dataset = Structures(path, targets=EV, reference_energies=given)
    assert dataset.references == "published"
    assert dataset.reference_energies["energy"][8] == pytest.approx(-75 * HARTREE_TO_EV)
    store = open_store(dataset, tmp_path / "store")
    assert store.reference_energies("energy")[1] == pytest.approx(-0.5 * HARTREE_TO_EV)
    given.pop("O")
    short = Structures(path, targets=EV, reference_energies=given, on_error="skip")
    with pytest.raises(ValueError, match=r"atomic number 8, which dataset\.reference_energies"):
        list(short.chunks())


def test_nothing_left_is_refused(tmp_path):
    path = write_text(tmp_path / "w.xyz", BAD[1][0])
    with pytest.raises(ValueError, match="hold no molecules"):
        open_store(Structures(path, targets=EV, on_error="skip"), tmp_path / "store")


def test_mixed_elements_and_single_atoms(tmp_path):
    made = [Atoms("Og"), Atoms("HHe", [(0, 0, 0), (0, 0, 1)]), Atoms("U")]
    for number, atoms in enumerate(made):
        atoms.info["energy"] = float(number)
    write(str(tmp_path / "w.xyz"), made, format="extxyz")
    dataset = Structures(str(tmp_path / "w.xyz"), targets=EV)
    store = open_store(dataset, tmp_path / "store")
    assert store.z.tolist() == [118, 1, 2, 92]
    assert store.num_pairs(6.0).tolist() == [0, 1, 0]
