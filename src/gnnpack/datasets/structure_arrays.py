"""Frames of array files: HDF5 in the layout of ANI-1x, .npz in that of rMD17.

Sources: J. Smith et al., Scientific Data 7, 134 (2020), a group a formula; A. Christensen and
O. A. von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018 (2020), one molecule a file.
"""

from __future__ import annotations

import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

import numpy as np

from gnnpack.datasets.structure_frames import Frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_FRAMES = 1024
ANI1X_ENERGY, ANI1X_FORCES = "wb97x_dz.energy", "wb97x_dz.forces"
RMD17_UNITS = {"energies": "kcal/mol", "forces": "kcal/mol/Ang"}


def read_ani1x(path: str, keys: Sequence[str], optional: Sequence[str]) -> Iterator[Frame]:
    """Rows of every group, groups by name, with the columns ``keys`` and ``optional`` alone.

    A group has atomic_numbers (n,), coordinates (m, n, 3), and columns (m, ...). ValueError when
    the file is damaged, of another kind or lacks one of ``keys``.
    """
    number = 0
    with _hdf5(path) as file:
        groups = [name for name in file if hasattr(file[name], "keys")]
        groups = [name for name in groups if "coordinates" in file[name]]
        if not groups:
            raise ValueError(
                f"{path} has no group with coordinates and atomic_numbers, as ANI-1x has them; it "
                f"has {', '.join(list(file)[:10]) or 'nothing'}. Convert it to .extxyz with ASE."
            )
        for name in groups:
            for frame in _rows(f"{path}, group {name}", file[name], keys, optional):
                yield frame._replace(number=number)
                number += 1


def ani1x_units(key: str) -> str | None:
    """Hartree and Hartree/Å, for energies and forces at any level of theory."""
    return {"energy": "Ha", "forces": "Ha/Ang"}.get(key.rpartition(".")[2])


def read_rmd17(path: str) -> Iterator[Frame]:
    """All frames: nuclear_charges (n,), coords (m, n, 3), energies (m,), forces (m, n, 3).

    ValueError when the file is damaged or of another kind. The arrays are held in memory whole.
    """
    try:
        # numpy leaves a file that it opens itself open where it is damaged.
        with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no whole .npz file: {error}. Fetch it again.") from error
    missing = [key for key in ("nuclear_charges", "coords") if key not in arrays]
    if missing:
        raise ValueError(
            f"{path} has no {' and no '.join(missing)}, as rMD17 has them; it has "
            f"{', '.join(arrays)}. Rename its arrays, or convert it to .extxyz with ASE."
        )
    numbers, coords = arrays.pop("nuclear_charges"), arrays.pop("coords")
    _check_shapes(path, numbers, coords)
    columns = {key: array for key, array in arrays.items() if array.shape[:1] == coords.shape[:1]}
    yield from _frames(numbers, coords, columns)


def _rows(where: str, group: Any, keys: Sequence[str], optional: Sequence[str]) -> Iterator[Frame]:
    missing = [key for key in ("atomic_numbers", *keys) if key not in group]
    if missing:
        raise ValueError(
            f"{where} has no {' and no '.join(map(repr, missing))}, only {', '.join(group)}."
        )
    try:
        numbers, coords = np.asarray(group["atomic_numbers"]), group["coordinates"]
        _check_shapes(where, numbers, coords)
        columns = {key: group[key] for key in (*keys, *optional) if key in group}
        for start in range(0, len(coords), BLOCK_FRAMES):
            stop = start + BLOCK_FRAMES
            block = {key: column[start:stop] for key, column in columns.items()}
            yield from _frames(numbers, coords[start:stop], block)
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{where}: {error}. Fetch the file again.") from error


def _frames(
    numbers: NDArray[Any], coords: NDArray[Any], columns: Mapping[str, NDArray[Any]]
) -> Iterator[Frame]:
    elements, places = numbers.astype(np.int64), coords.astype(np.float64)
    for number, positions in enumerate(places):
        # A column that is shorter than the others is a missing value, not an error of numpy's.
        row = {key: column[number] for key, column in columns.items() if number < len(column)}
        yield Frame(number, None, elements, positions, False, row, row)


def _check_shapes(where: str, numbers: Any, coords: Any) -> None:
    if numbers.ndim != 1 or coords.shape[1:] != (len(numbers), 3):
        raise ValueError(
            f"{where}: {numbers.shape} atomic numbers do not go with coordinates of shape "
            f"{coords.shape}; (n,) and (m, n, 3) are expected."
        )


@contextmanager
def _hdf5(path: str) -> Iterator[Any]:
    try:
        import h5py
    except ImportError:
        raise ValueError(f"Reading {path} needs h5py: pip install h5py.") from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is no whole HDF5 file: {error}. Fetch it again.") from error
    with file:
        yield file
