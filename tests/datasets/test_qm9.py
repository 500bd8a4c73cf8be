from __future__ import annotations

import csv
import io
import sys
import tarfile

import numpy as np
import pytest

from gnnpack.datasets import QM9, MissingSource, qm9_csv, qm9_xyz
from gnnpack.datasets.qm9_properties import REFERENCE_ENERGIES, TARGETS
from gnnpack.units import HARTREE_TO_EV

WATER = (
    "3\n"
    "gdb 3\t799.58812\t437.90386\t282.94545\t1.8511\t6.31\t-0.2928\t0.0687\t0.3615\t19.0002\t"
    "0.021375\t-76.404702\t-76.401867\t-76.400922\t-76.422349\t6.002\t\n"
    "O\t-0.0343604951\t 0.9775395708\t 0.0076015923\t-0.589706\n"
    "H\t 0.0647664923\t 2.1*^-2\t 0.0015346341\t 0.294853\n"
    "H\t 0.8717903737\t 1.3007924048\t 6.931*^-4\t 0.294853\n"
    "1671.4222\t3803.6305\t3907.698\nO\tO\nInChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2\n"
)
HYDROGEN = (
    "1\ngdb 5\t1.\t1.\t1.\t0.\t1.\t-0.25\t0.25\t0.5\t2.\t0.\t-0.5\t-0.4\t-0.3\t-0.6\t2.981\n"
    "H\t0.\t0.\t1.*^0\t0.\n1.\nH\tH\nx\ty\n"
)


class TinyQM9(QM9):
    """QM9 without the published counts and checksums."""

    expected_molecules = None
    expected_atoms = None
    expected_uncharacterized = None
    published_checksums = {}  # noqa: RUF012


@pytest.fixture
def raw_dir(tmp_path):
    """The original archive, with molecules 3 and 5; 5 is uncharacterized."""
    write_archive(tmp_path, {"dsgdb9nsd_000003.xyz": WATER, "dsgdb9nsd_000005.xyz": HYDROGEN})
    (tmp_path / qm9_xyz.UNCHARACTERIZED).write_text("=====\n index smiles\n  5  H H\n")
    return tmp_path


def write_archive(folder, members):
    with tarfile.open(folder / qm9_xyz.ARCHIVE, "w:bz2") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder like qm9pack's data, with the same water."""
    folder = tmp_path / "qm9pack"
    folder.mkdir()
    values = WATER.splitlines()[1].split()[5:]
    header = ["XYZ_file", "Index", "Elements", "XYZ_Ang", *qm9_csv.COLUMNS.values()]
    xyz = "[[0.,1.,2.],[3.,4.e0,5.],[-6.,.7,8]]"
    rows = {"qm9_part1.csv": [["x", "3", "['O','H','H']", xyz, *values]]}
    for name in qm9_csv.PART_FILES:
        with open(folder / name, "w", newline="") as file:
            csv.writer(file).writerows([header, *rows.get(name, [])])
    (folder / qm9_csv.POLARIZABILITY_FILE).write_text("XYZ_file\n")
    monkeypatch.setattr(qm9_csv, "find_folder", lambda: str(folder))
    return folder


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setattr(qm9_csv, "find_folder", lambda: None)


def test_archive(raw_dir, no_package):
    dataset = TinyQM9(str(raw_dir))
    assert dataset.source_label == qm9_xyz.ARCHIVE
    (molecules,) = dataset.read()
    assert molecules.ids.tolist() == [3]
    assert molecules.z.tolist() == [8, 1, 1]
    assert molecules.pos[1, 1] == np.float32(2.1e-2)
    assert molecules.pos[2, 2] == np.float32(6.931e-4)
    assert molecules.targets["mu"].tolist() == [1.8511]
    assert molecules.targets["U0"].tolist() == [-76.404702 * HARTREE_TO_EV]
    assert molecules.targets["cv"].tolist() == [6.002]


def test_package_and_archive_agree(raw_dir, package):
    dataset = TinyQM9(str(raw_dir))
    assert [source.name for source in dataset.sources()] == list(qm9_csv.FILES)
    (from_package,) = dataset.read()
    (from_archive,) = TinyQM9(str(raw_dir), source="xyz").read()
    assert from_package.ids.tolist() == from_archive.ids.tolist()
    assert from_package.pos[:, 0].tolist() == [0.0, 3.0, -6.0]
    assert from_package.pos[2].tolist() == [-6.0, np.float32(0.7), 8.0]
    for name in TARGETS:
        assert from_package.targets[name].tolist() == from_archive.targets[name].tolist()


def test_no_source_names_three_cures(tmp_path, no_package):
    with pytest.raises(MissingSource, match="pip install qm9pack") as caught:
        TinyQM9(str(tmp_path)).sources()
    assert str(tmp_path) in str(caught.value)
    assert "dataset=synthetic" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_half_an_archive_is_none(raw_dir, no_package):
    (raw_dir / qm9_xyz.UNCHARACTERIZED).unlink()
    with pytest.raises(MissingSource):
        TinyQM9(str(raw_dir)).sources()


@pytest.mark.parametrize(
    "text, message",
    [
        (WATER.replace("gdb 3", "xyz 3"), "000003.xyz is damaged"),
        (WATER.replace("3\n", "4\n", 1), "000003.xyz is damaged"),
        (WATER.replace("\t6.002", ""), "000003.xyz is damaged"),
        (WATER.replace("6.931*^-4", "six"), "QM9 molecule 3 has 'six' among its coordinates"),
        (WATER.replace("6.931*^-4", "nan"), "Molecule 3 has pos"),
        (WATER.replace("-76.404702", "nan"), "Molecule 3 has U0 = nan"),
        (WATER.replace("O\t-0.03", "Xe\t-0.03"), "QM9 molecule 3 has the element 'Xe'"),
        ("", "000003.xyz is damaged"),
    ],
)
def test_damaged_members(raw_dir, no_package, text, message):
    write_archive(raw_dir, {"dsgdb9nsd_000003.xyz": text})
    with pytest.raises(ValueError, match=message):
        list(TinyQM9(str(raw_dir)).read())


def test_truncated_archive(raw_dir, no_package):
    path = raw_dir / qm9_xyz.ARCHIVE
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ValueError, match="cannot be read to its end"):
        list(TinyQM9(str(raw_dir)).read())


def test_uncharacterized_count(tmp_path):
    path = tmp_path / "uncharacterized.txt"
    path.write_text("header\n 1 C\n 22 N N\n\n2 compounds\n")
    assert qm9_xyz.read_uncharacterized(str(path), None) == {1, 22}
    assert qm9_xyz.read_uncharacterized(str(path), 2) == {1, 22}
    with pytest.raises(ValueError, match="lists 2 molecules where 3054"):
        qm9_xyz.read_uncharacterized(str(path))
    path.write_text("header\n 1 C\n\n2 compounds\n")
    with pytest.raises(ValueError, match="lists 1 molecules where 2"):
        qm9_xyz.read_uncharacterized(str(path), None)


def test_wrong_count_and_checksum(raw_dir, package):
    with pytest.raises(ValueError, match=r"read 1 molecules where 130,831"):
        list(QM9(str(raw_dir)).read())
    with pytest.raises(ValueError, match=r"qm9_part1.csv has the sha256 .* 19f0a5d59546"):
        QM9(str(raw_dir)).checksums()
    with pytest.raises(ValueError, match=r"dsgdb9nsd.xyz.tar.bz2 has the md5"):
        QM9(str(raw_dir), source="xyz").checksums()


def test_damaged_csv(raw_dir, package):
    part = package / "qm9_part1.csv"
    whole = part.read_text()
    part.write_text(whole[:-30])
    with pytest.raises(ValueError, match=r"qm9_part1.csv, line 2"):
        list(TinyQM9(str(raw_dir)).read())
    part.write_text(whole.replace("[-6.,.7,8]", "[-6.,.7]"))
    with pytest.raises(ValueError, match="QM9 molecule 3 has 3 atoms but 8 coordinates"):
        list(TinyQM9(str(raw_dir)).read())
    part.write_text(whole.replace("XYZ_Ang", "XYZ"))
    with pytest.raises(ValueError, match="no column XYZ_Ang"):
        list(TinyQM9(str(raw_dir)).read())


def test_unknown_options():
    with pytest.raises(ValueError, match=r"'u0'.*Available: mu, alpha"):
        QM9("raw", target="u0")
    with pytest.raises(ValueError, match="source is 'sdf'"):
        QM9("raw", source="sdf")


def test_references_are_the_published_ones():
    # PyG's values in eV, made with CODATA 2014's 27.21138602.
    assert REFERENCE_ENERGIES["U0"][6] == pytest.approx(-1029.86312267, rel=1e-8)
    assert REFERENCE_ENERGIES["G"][9] == pytest.approx(-2713.88796536, rel=1e-8)
    assert REFERENCE_ENERGIES["cv"][1] == 2.981
    assert set(REFERENCE_ENERGIES) < set(TARGETS)


@pytest.mark.slow
@pytest.mark.skipif(qm9_csv.find_folder() is None, reason="qm9pack is not installed")
def test_all_of_qm9(tmp_path):
    dataset = QM9(str(tmp_path))
    dataset.checksums()
    chunks = list(dataset.read())
    sizes = np.concatenate([chunk.num_atoms for chunk in chunks])
    ids = np.concatenate([chunk.ids for chunk in chunks])
    assert (len(sizes), sizes.sum(), sizes.min(), sizes.max()) == (130_831, 2_359_210, 3, 29)
    assert (ids.min(), ids.max(), len(np.unique(ids))) == (1, 133_885, 130_831)
    methane = chunks[0]
    assert methane.z[:5].tolist() == [6, 1, 1, 1, 1]
    assert (
        methane.pos[0].tolist() == np.float32([-0.0126981359, 1.0858041578, 0.0080009958]).tolist()
    )
    expected = {"mu": 0.0, "alpha": 13.21, "gap": 13.7363, "U0": -1101.487799, "cv": 6.469}
    for name, value in expected.items():
        assert methane.targets[name][0] == pytest.approx(value, rel=1e-6)


def test_looking_for_qm9pack_does_not_import_it():
    # Importing it would drag in pandas and pkg_resources.
    qm9_csv.find_folder()
    assert "qm9pack" not in sys.modules
