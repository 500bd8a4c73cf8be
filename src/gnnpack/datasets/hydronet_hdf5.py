"""HydroNet as the SciML benchmark suite publishes it: all clusters in one HDF5 file.

pos (n, largest, 3) float32 Å, z (n, largest) uint8, size (n, 1) uint8 atoms, y (n, 1) float32
kcal/mol; further columns (x, idx, name) are not needed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, Mapping

import numpy as np

from gnnpack.datasets.hydronet_clusters import ATOMS_OF_WATER, Wanted, first_ids, to_molecules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gnnpack.datasets.molecules import Molecules

FILE = "min_data.hdf5"
BLOCK_CLUSTERS = 4096
PART_CLUSTERS = 1 << 18


def read_ids(path: str, counts: Mapping[int, int]) -> NDArray[np.int64]:
    """The id of every row, (n,) int64, by size and then by row; -1 for sizes not in ``counts``.

    ValueError when the file does not hold ``counts`` clusters of each number of waters.
    """
    with _open(path) as file:
        sizes = np.asarray(file["size"]).reshape(-1).astype(np.int64)
    ids = np.full(len(sizes), -1, dtype=np.int64)
    for num_waters, first in first_ids(counts).items():
        rows = np.flatnonzero(sizes == ATOMS_OF_WATER * num_waters)
        if len(rows) != counts[num_waters]:
            raise ValueError(
                f"{path} holds {len(rows):,} clusters of {num_waters} waters where "
                f"{counts[num_waters]:,} are published. It is damaged or holds another selection; "
                f"gnnpack reads {FILE}."
            )
        ids[rows] = np.arange(first, first + len(rows))
    return ids


def read_hdf5(
    path: str, ids: NDArray[np.int64], first: int, last: int, wanted: NDArray[np.int64] | None
) -> Iterator[Molecules]:
    """Rows ``first`` to ``last`` - 1, those with an id and, unless None, among ``wanted``.

    ids (n,) as of `read_ids`, wanted ascending. ValueError when the file is damaged.
    """
    with _open(path) as file:
        for start in range(first, last, BLOCK_CLUSTERS):
            stop = min(start + BLOCK_CLUSTERS, last)
            try:
                block = {name: file[name][start:stop] for name in ("pos", "z", "y", "size")}
            except OSError as error:
                raise ValueError(f"{path}, row {start}: {error}. Fetch it again.") from error
            block["ids"] = ids[start:stop]
            block["size"] = block["size"].reshape(-1).astype(np.int64)
            yield from _by_size(path, block, wanted)


def _by_size(
    path: str, block: dict[str, NDArray[Any]], wanted: NDArray[np.int64] | None
) -> Iterator[Molecules]:
    """Runs of rows of one size, so that the order of the file stays."""
    sizes = block["size"]
    edges = [0, *(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(sizes)]
    for start, stop in zip(edges, edges[1:]):
        num_atoms = int(sizes[start])
        if block["ids"][start] < 0:
            continue
        molecules = to_molecules(
            block["z"][start:stop, :num_atoms].astype(np.uint8),
            block["pos"][start:stop, :num_atoms].astype(np.float32),
            block["y"][start:stop].reshape(-1).astype(np.float64),
            block["ids"][start:stop],
            Wanted(num_atoms // ATOMS_OF_WATER, 0, 0, wanted),
            path,
        )
        if molecules is not None:
            yield molecules


@contextmanager
def _open(path: str) -> Iterator[Any]:
    try:
        import h5py
    except ImportError:
        raise ValueError(
            f"Reading {path} needs h5py: pip install h5py. Or choose dataset.source=xyz or npz."
        ) from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is no whole HDF5 file: {error}. Fetch it again.") from error
    with file:
        missing = [name for name in ("pos", "z", "y", "size") if name not in file]
        if missing:
            raise ValueError(
                f"{path} has no column {', '.join(missing)}, only {', '.join(file)}. gnnpack reads "
                f"{FILE} of the SciML benchmark suite."
            )
        yield file
