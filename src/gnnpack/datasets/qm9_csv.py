"""QM9 from the CSV files of the PyPI package qm9pack."""

from __future__ import annotations

import csv
import importlib.util
import os
from typing import Iterator, Sequence

from gnnpack.datasets.molecules import Molecules
from gnnpack.datasets.qm9_properties import TARGETS, Record, to_molecules

PART_FILES = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
# Holds the polarizability tensor. Not read: a third of its trace, rounded to two decimals, is the
# published alpha of the part files for every molecule, and published figures use that one.
POLARIZABILITY_FILE = "qm9_polarizability.csv"

FILES = (*PART_FILES, POLARIZABILITY_FILE)
# Version 1.0.3 on PyPI.
CHECKSUMS = {
    "qm9_part1.csv": "sha256:19f0a5d595462d52cd82eef3370f3e9eb55a1f52cb14985657200349568deff3",
    "qm9_part2.csv": "sha256:2bca113fdc0b28a13563c80ed9b240e934f3da6c64c64fe74ddb4f0f36036e61",
    "qm9_part3.csv": "sha256:9c5efb5733d2af149db8d95d36ff198b4ffed12d9f7b344220a1e5877d5c6a43",
    POLARIZABILITY_FILE: "sha256:1729ebca7da76850ca1091c050933901c84b90edb30d06f34df1ebd47789d23a",
}

COLUMNS = {
    "mu": "Dipole_debye",
    "alpha": "Polarizability_bohr3",
    "homo": "HOMO_au",
    "lumo": "LUMO_au",
    "gap": "HOMO_LUMO_gap_au",
    "r2": "R2_bohr2",
    "zpve": "ZPVE_au",
    "U0": "InternalEnergy_0K_au",
    "U": "InternalEnergy_298K_au",
    "H": "Enthalphy_298K_au",
    "G": "GibbsFreeEnergy_298K_au",
    "cv": "Heatcapacity_Cv_cal_mol_K",
}
_BRACKETS = str.maketrans("", "", "[]'\" ")


def find_folder() -> str | None:
    """The installed package's data folder, or None; qm9pack itself is not imported.

    Importing it would load pandas and pkg_resources, which newer Pythons do not have.
    """
    found = importlib.util.find_spec("qm9pack")
    if found is None or found.origin is None:
        return None
    folder = os.path.join(os.path.dirname(found.origin), "data")
    return folder if os.path.isdir(folder) else None


def read_parts(paths: Sequence[str], chunk: int = 4096) -> Iterator[Molecules]:
    """Molecules of the part files in order, ``chunk`` at a time; ValueError for damaged rows."""
    for path in paths:
        records = []
        for record in _records(path):
            records.append(record)
            if len(records) == chunk:
                yield to_molecules(records)
                records = []
        if records:
            yield to_molecules(records)


def _records(path: str) -> Iterator[Record]:
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows, [])
        wanted = ["Index", "Elements", "XYZ_Ang", *(COLUMNS[name] for name in TARGETS)]
        missing = [name for name in wanted if name not in header]
        if missing:
            raise ValueError(
                f"{path} has no column {', '.join(missing)}; gnnpack reads qm9pack 1.0.3. "
                "Install it: pip install qm9pack==1.0.3"
            )
        index, elements, xyz = (header.index(name) for name in wanted[:3])
        values = [header.index(name) for name in wanted[3:]]
        for row in rows:
            if len(row) != len(header) or not row[index].isdigit():
                raise ValueError(
                    f"{path}, line {rows.line_num}: {len(row)} fields where the header has "
                    f"{len(header)}, or no molecule number; the file is damaged. Reinstall it: "
                    "pip install --force-reinstall qm9pack==1.0.3"
                )
            yield Record(
                int(row[index]),
                row[elements].translate(_BRACKETS).split(","),
                row[xyz].translate(_BRACKETS).split(","),
                [row[k] for k in values],
            )
