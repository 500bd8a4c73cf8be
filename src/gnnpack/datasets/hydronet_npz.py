"""HydroNet as PyTorch Geometric publishes it: one .npz a cluster size, positions in float16.

z (F, N) int8, pos (F, N, 3) float16 Å, y (F,) float32 kcal/mol, num_graphs (), uncompressed.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import IO, Any, Iterator

import numpy as np
from numpy.typing import NDArray

from gnnpack.datasets.hydronet_archives import DAMAGE, RawFile, open_raw
from gnnpack.datasets.hydronet_clusters import Wanted, check_count, to_molecules
from gnnpack.datasets.molecules import Molecules

BLOCK_CLUSTERS = 4096


def read_npz(file: RawFile, wanted: Wanted, block: int = BLOCK_CLUSTERS) -> Iterator[Molecules]:
    """The wanted clusters of one file, in its order; ValueError when it is damaged.

    The arrays are streamed: the largest would take 250 MB whole.
    """
    num_atoms = wanted.num_atoms
    shapes = {"z": (num_atoms,), "pos": (num_atoms, 3), "y": ()}
    with ExitStack() as stack:
        columns = {}
        for name, row in shapes.items():
            member = file.member(f"{name}.npy")
            stream = stack.enter_context(open_raw(member))
            columns[name] = _Column(stream, row, str(member))
        counts = {len(column) for column in columns.values()}
        if len(counts) != 1:
            raise ValueError(f"{file} has columns of {sorted(counts)} clusters. Fetch it again.")
        check_count(counts.pop(), wanted, str(file))
        for first in range(0, wanted.num_clusters, block):
            rows = min(block, wanted.num_clusters - first)
            molecules = to_molecules(
                columns["z"].read(rows).astype(np.uint8),
                columns["pos"].read(rows).astype(np.float32),
                columns["y"].read(rows).astype(np.float64),
                wanted.first_id + first + np.arange(rows, dtype=np.int64),
                wanted,
                str(file),
            )
            if molecules is not None:
                yield molecules


class _Column:
    """An array in a .npy stream, read some rows at a time."""

    def __init__(self, stream: IO[bytes], row: tuple[int, ...], place: str) -> None:
        self._stream = stream
        self._place = place
        try:
            version = np.lib.format.read_magic(stream)
            shape, self._by_columns, self._dtype = _HEADERS[version](stream)
        except (ValueError, KeyError, *DAMAGE) as error:
            raise ValueError(f"{place} is no array: {error}. Fetch it again.") from error
        if len(shape) != 1 + len(row) or shape[1:] != row or self._dtype.kind not in "fi":
            raise ValueError(
                f"{place} holds {self._dtype} {shape} where ({shape[0]}, *{row}) numbers are "
                "expected. It is of another release; fetch it again."
            )
        self._shape = shape
        self._bytes_of_row = int(np.prod(row, dtype=np.int64)) * self._dtype.itemsize
        self._whole: NDArray[Any] | None = None
        self._at = 0

    def __len__(self) -> int:
        return int(self._shape[0])

    def read(self, rows: int) -> NDArray[Any]:
        """The next rows."""
        if not self._by_columns:
            return self._next(rows).reshape(rows, *self._shape[1:])
        # numpy stores a single cluster so, whose rows are not together.
        if self._whole is None:
            self._whole = self._next(len(self)).reshape(self._shape, order="F")
        self._at += rows
        return self._whole[self._at - rows : self._at]

    def _next(self, rows: int) -> NDArray[Any]:
        wanted = rows * self._bytes_of_row
        try:
            raw = self._stream.read(wanted)
        except DAMAGE as error:
            raise ValueError(f"{self._place} is damaged: {error}. Fetch it again.") from error
        if len(raw) != wanted:
            raise ValueError(f"{self._place} is cut off. Fetch it again.")
        return np.frombuffer(raw, dtype=self._dtype)


_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
