"""Frames of ASE's data bases, and of every other format that ASE reads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Iterator, Mapping

import numpy as np

from gnnpack.datasets.structure_frames import Frame

if TYPE_CHECKING:
    from gnnpack.datasets.structure_frames import BadFrame

PAGE = 1024
# What ASE's readers and calculators give in its own units.
ASE_UNITS = {
    "energy": "eV",
    "free_energy": "eV",
    "forces": "eV/Ang",
    "dipole": "e*Ang",
}


def read_database(path: str) -> Iterator[Frame | BadFrame]:
    """All rows of an ASE data base by their id; ValueError when it cannot be read to its end.

    Values are those of the calculator, the key-value pairs, and ``data``.
    """
    number = -1
    try:
        for number, row in enumerate(_rows(path)):
            values = {**row.data, **row.key_value_pairs}
            for key in ASE_UNITS:
                if key in row and key not in values:
                    values[key] = row[key]
            yield Frame(
                number,
                None,
                np.asarray(row.numbers, dtype=np.int64),
                np.asarray(row.positions, dtype=np.float64),
                bool(np.any(row.pbc)),
                values,
                values,
            )
    # ASE and its back ends raise whatever their parsing raises.
    except Exception as error:
        raise _unreadable(path, number, error) from error


def database_units(path: str) -> Mapping[str, str]:
    """Units by key as SchNetPack writes them into a data base; empty where there are none."""
    if not os.path.isfile(path):
        return {}
    try:
        with _connect(path) as database:
            units = dict(database.metadata).get("_property_unit_dict")
    except Exception as error:
        raise _unreadable(path, -1, error) from error
    return {str(key): str(unit) for key, unit in units.items()} if units else {}


def read_any(path: str) -> Iterator[Frame | BadFrame]:
    """All frames of a file that ASE reads; ValueError when it cannot be read to its end."""
    from ase.io import iread

    number = -1
    try:
        for number, atoms in enumerate(iread(path, index=":")):
            results = {} if atoms.calc is None else dict(atoms.calc.results)
            yield Frame(
                number,
                None,
                atoms.numbers.astype(np.int64),
                atoms.positions,
                bool(atoms.pbc.any()),
                {**atoms.info, **results},
                {**atoms.arrays, **results},
            )
    # ASE's readers raise whatever their parsing raises.
    except Exception as error:
        raise _unreadable(path, number, error) from error


def _rows(path: str) -> Iterator[Any]:
    with _connect(path) as database:
        if type(database).__name__ != "SQLite3Database":
            yield from database.select()
            return
        # ASE fetches all that a selection finds at once, so a page after the other is asked for.
        last = 0
        while True:
            page = list(database.select(f"id>{last}", sort="id", limit=PAGE))
            if not page:
                return
            yield from page
            last = page[-1].id


def _connect(path: str) -> Any:
    import ase.db

    # Nothing is written, so nothing need be locked, nor could it in a read-only folder.
    database: Any = ase.db
    return database.connect(path, use_lock_file=False)


def _unreadable(path: str, number: int, error: Exception) -> ValueError:
    after = "" if number < 0 else f" past frame {number}"
    return ValueError(
        f"{path} cannot be read{after} ({type(error).__name__}: {error}). Give a file that ASE "
        "reads, with its usual file ending, or say which it is with dataset.format."
    )
