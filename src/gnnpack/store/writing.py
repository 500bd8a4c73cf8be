"""`ChunkWriter`: the columns of a store under construction."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnpack.store.columns import ColumnInfo, ColumnWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gnnpack.store.contract import ChunkLike, DatasetLike


class ChunkWriter:
    """Append chunks of molecules to columns in ``folder``, which must exist.

    The bytes do not depend on where chunks begin and end. ValueError for chunks that contradict
    the data set or each other, OSError when the folder cannot be written.
    """

    def __init__(self, dataset: DatasetLike, folder: str) -> None:
        self._name = dataset.name
        self._folder = folder
        self._targets = tuple(dataset.target_infos)
        self._num_atoms = 0
        self._columns: dict[str, ColumnWriter] = {}

    def start(self) -> None:
        """Open the columns that every store has."""
        self._add("z", "|u1")
        self._add("pos", "<f4", (3,))
        self._add("offsets", "<i8")
        self._add("ids", "<i8")
        for target in self._targets:
            self._add(f"target_{target}", "<f8")
        self._columns["offsets"].append(np.zeros(1, dtype=np.int64))

    def append(self, chunk: ChunkLike) -> None:
        """Write a chunk's molecules behind those already there."""
        if set(chunk.targets) != set(self._targets):
            raise ValueError(
                f"{self._name}: a chunk has the targets {sorted(chunk.targets)}, but the data "
                f"set declares {sorted(self._targets)}."
            )
        if chunk.forces is not None and "forces" not in self._columns and not self._num_atoms:
            self._add("forces", "<f4", (3,))
        if (chunk.forces is not None) != ("forces" in self._columns):
            raise ValueError(f"{self._name}: some molecules have forces and others have none.")
        rows: dict[str, NDArray[Any]] = {
            "z": chunk.z,
            "pos": chunk.pos,
            "offsets": chunk.offsets[1:] + self._num_atoms,
            "ids": chunk.ids,
            **{f"target_{name}": chunk.targets[name] for name in self._targets},
        }
        if chunk.forces is not None:
            rows["forces"] = chunk.forces
        for name, values in rows.items():
            self._columns[name].append(values)
        self._num_atoms += len(chunk.z)

    def close(self) -> dict[str, ColumnInfo]:
        """Finish all columns and say what was written; ValueError when that was nothing."""
        if not self._num_atoms:
            raise ValueError(f"{self._name}: its raw files hold no molecules.")
        return {name: column.close() for name, column in self._columns.items()}

    def abandon(self) -> None:
        """Close without finishing."""
        for column in self._columns.values():
            column.abandon()

    def _add(self, name: str, dtype: str, row: tuple[int, ...] = ()) -> None:
        path = os.path.join(self._folder, f"{name}.npy")
        self._columns[name] = ColumnWriter(path, dtype, row)
