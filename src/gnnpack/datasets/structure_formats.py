"""Which file formats there are, what their energies and forces are called, and their units."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple, Sequence

from gnnpack.datasets import structure_arrays, structure_ase
from gnnpack.datasets.structure_extxyz import OPENERS, read_extxyz

if TYPE_CHECKING:
    from gnnpack.datasets.structure_frames import BadFrame, Frame


class Format(NamedTuple):
    """How a kind of file is read.

    ``read(path, keys, optional)`` gives frames; ``keys`` and ``optional`` are what is wanted of
    them, for readers that can leave out the rest. ``unit_of(path, key)``: the unit the format
    itself fixes, or None. ``nan_is_absent``: a value that is no number was not computed.
    """

    name: str
    read: Callable[[str, Sequence[str], Sequence[str]], Iterator[Frame | BadFrame]]
    energy: str
    forces: str
    unit_of: Callable[[str, str], str | None]
    nan_is_absent: bool = False


EXTXYZ = Format(
    "extxyz", lambda path, *_: read_extxyz(path), "energy", "forces", lambda path, key: None
)
DATABASE = Format(
    "db",
    lambda path, *_: structure_ase.read_database(path),
    "energy",
    "forces",
    lambda path, key: _database_unit(path, key),
)
ASE = Format(
    "ase",
    lambda path, *_: structure_ase.read_any(path),
    "energy",
    "forces",
    lambda path, key: structure_ase.ASE_UNITS.get(key),
)
ANI1X = Format(
    "ani1x",
    structure_arrays.read_ani1x,
    structure_arrays.ANI1X_ENERGY,
    structure_arrays.ANI1X_FORCES,
    lambda path, key: structure_arrays.ani1x_units(key),
    nan_is_absent=True,
)
RMD17 = Format(
    "rmd17",
    lambda path, *_: structure_arrays.read_rmd17(path),
    "energies",
    "forces",
    lambda path, key: structure_arrays.RMD17_UNITS.get(key),
)
FORMATS = {kind.name: kind for kind in (EXTXYZ, DATABASE, ANI1X, RMD17, ASE)}
_BY_ENDING = {
    ".xyz": EXTXYZ,
    ".extxyz": EXTXYZ,
    ".db": DATABASE,
    ".json": DATABASE,
    ".h5": ANI1X,
    ".hdf5": ANI1X,
    ".npz": RMD17,
}


def find_format(name: str, path: str) -> Format:
    """The format of this name; for 'auto' the one of the path's ending, else what ASE makes of it.

    ValueError for a name that is none.

    >>> find_format("auto", "water.xyz.gz").name
    'extxyz'
    """
    if name != "auto":
        if name not in FORMATS:
            raise ValueError(
                f"dataset.format is {name!r}; choose one of {', '.join(('auto', *FORMATS))}."
            )
        return FORMATS[name]
    stem, ending = os.path.splitext(path)
    if ending in OPENERS:
        ending = os.path.splitext(stem)[1]
    return _BY_ENDING.get(ending.lower(), ASE)


def find_files(pattern: str) -> list[str]:
    """The files a path or a pattern names, sorted; none where there are none.

    ValueError for a folder.
    """
    if os.path.isfile(pattern):
        return [pattern]
    if os.path.isdir(pattern):
        raise ValueError(
            f"dataset.path is {pattern}, a folder; name files, such as dataset.path='"
            f"{os.path.join(pattern, '*.xyz')}'."
        )
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))


def _database_unit(path: str, key: str) -> str | None:
    said = structure_ase.database_units(path).get(key)
    return structure_ase.ASE_UNITS.get(key) if said is None else said
