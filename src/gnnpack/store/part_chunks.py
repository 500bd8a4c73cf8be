"""A finished part as chunks, read in blocks so that memory stays that of one block."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple

import numpy as np

from gnnpack.store.columns import HEADER_BYTES, ColumnInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_MOLECULES = 1 << 14
_TARGET = "target_"


class StoredChunk(NamedTuple):
    """Some molecules of a part, as `gnnpack.store.contract.ChunkLike` describes them."""

    z: NDArray[np.uint8]
    pos: NDArray[np.float32]
    offsets: NDArray[np.int64]
    ids: NDArray[np.int64]
    targets: Mapping[str, NDArray[np.float64]]
    forces: NDArray[np.float32] | None


def part_chunks(
    folder: str, columns: Mapping[str, ColumnInfo], block: int = BLOCK_MOLECULES
) -> Iterator[StoredChunk]:
    """The molecules of a part in order, ``block`` at a time; offsets begin at 0 in each."""
    offsets = _rows(folder, "offsets", columns["offsets"], 0, columns["offsets"].shape[0])
    num_molecules = len(offsets) - 1
    for first in range(0, num_molecules, block):
        last = min(first + block, num_molecules)
        start, stop = int(offsets[first]), int(offsets[last])
        atoms = {
            name: _rows(folder, name, columns[name], start, stop)
            for name in ("z", "pos", "forces")
            if name in columns
        }
        yield StoredChunk(
            z=atoms["z"],
            pos=atoms["pos"],
            offsets=offsets[first : last + 1] - start,
            ids=_rows(folder, "ids", columns["ids"], first, last),
            targets={
                name[len(_TARGET) :]: _rows(folder, name, columns[name], first, last)
                for name in columns
                if name.startswith(_TARGET)
            },
            forces=atoms.get("forces"),
        )


def _rows(folder: str, name: str, info: ColumnInfo, first: int, last: int) -> NDArray[Any]:
    """Rows ``first`` to ``last`` - 1 of a column, read and not mapped: mapped pages would count."""
    row = info.shape[1:]
    width = int(np.prod(row, dtype=np.int64))
    dtype = np.dtype(info.dtype)
    values = np.fromfile(
        os.path.join(folder, f"{name}.npy"),
        dtype=dtype,
        count=(last - first) * width,
        offset=HEADER_BYTES + first * width * dtype.itemsize,
    )
    return values.reshape(last - first, *row)
