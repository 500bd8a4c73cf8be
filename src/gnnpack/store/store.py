"""`Store`: all molecules as memory-mapped columns."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gnnpack.store.columns import damage, map_column, values_checksum
from gnnpack.store.manifest import Manifest, StoredTarget
from gnnpack.store.pair_counts import count_pairs, cutoff_in_milliangstrom

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

NUM_ELEMENTS = 119
"""Length of a column by atomic number, 0 to 118."""


class Store:
    """M molecules of A atoms in all, read-only; pickles as its path.

    z        (A,)    uint8    atomic numbers
    pos      (A, 3)  float32  Å
    offsets  (M+1,)  int64    molecule m owns atoms offsets[m] to offsets[m+1]-1
    ids      (M,)    int64    the number the data set itself gives the molecule
    forces   (A, 3)  float32  eV/Å, or None

    Opening checks the size of every column, `verify` their content. FileNotFoundError without a
    manifest, ValueError naming the column when one is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.manifest = Manifest.load(self.path)
        for name, info in self.manifest.columns.items():
            wrong = damage(self._file(name), info)
            if wrong:
                raise ValueError(
                    f"The store {self.path} is damaged: {wrong}. Delete the folder; it is rebuilt "
                    "from the raw files."
                )
        self.z: NDArray[np.uint8] = self._map("z")
        self.pos: NDArray[np.float32] = self._map("pos")
        self.offsets: NDArray[np.int64] = self._map("offsets")
        self.ids: NDArray[np.int64] = self._map("ids")
        has_forces = "forces" in self.manifest.columns
        self.forces: NDArray[np.float32] | None = self._map("forces") if has_forces else None
        self._pairs: dict[int, NDArray[np.int32]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.path, self.fingerprint)

    def __repr__(self) -> str:
        return f"Store({self.path!r}, {self.num_molecules:,} molecules, {self.fingerprint})"

    @property
    def num_molecules(self) -> int:
        """M."""
        return self.manifest.num_molecules

    @property
    def total_atoms(self) -> int:
        """A."""
        return self.manifest.num_atoms

    @cached_property
    def num_atoms(self) -> NDArray[np.int64]:
        """Atoms of each molecule, (M,) int64."""
        return np.diff(self.offsets)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any value of any column."""
        return self.manifest.fingerprint

    @property
    def source_label(self) -> str:
        """Where the data came from, such as 'qm9pack 1.0.3'."""
        return self.manifest.source_label

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of all targets."""
        return tuple(self.manifest.targets)

    def target(self, name: str) -> NDArray[np.float64]:
        """Totals of a target, (M,) float64, in the unit of `target_info`."""
        self.target_info(name)
        return self._map(f"target_{name}")

    def target_info(self, name: str) -> StoredTarget:
        """Unit and readout; ValueError for a target the store does not have."""
        if name not in self.manifest.targets:
            raise ValueError(
                f"The store {self.path} has no target {name!r}. "
                f"Available: {', '.join(self.target_names)}."
            )
        return self.manifest.targets[name]

    def reference_energies(self, name: str) -> NDArray[np.float64]:
        """Published values of lone atoms by atomic number, (119,) float64; 0 where none."""
        self.target_info(name)
        references = np.zeros(NUM_ELEMENTS, dtype=np.float64)
        for number, value in self.manifest.reference_energies.get(name, {}).items():
            references[number] = value
        return references

    def num_pairs(self, cutoff: float) -> NDArray[np.int32]:
        """Undirected pairs of each molecule within ``cutoff`` Å, (M,) int32.

        An upper bound for any kernel's rounding, see `count_pairs`. Counted once and kept beside
        the columns; where the folder cannot be written, in memory.
        """
        thousandths = cutoff_in_milliangstrom(cutoff)
        if thousandths not in self._pairs:
            path = self._file(f"num_pairs_{thousandths}")
            counts = _load_counts(path, self.num_molecules)
            if counts is None:
                counts = count_pairs(self.pos, self.offsets, thousandths / 1000)
                _save_counts(path, counts)
            self._pairs[thousandths] = counts
        return self._pairs[thousandths]

    def verify(self) -> None:
        """Read every column and compare its checksum; ValueError naming the first that differs."""
        for name, info in self.manifest.columns.items():
            if values_checksum(self._file(name)) != info.sha256:
                raise ValueError(
                    f"The store {self.path} is damaged: column {name}.npy does not have the "
                    "checksum of the manifest. Delete the folder; it is rebuilt from the raw files."
                )

    def _file(self, column: str) -> str:
        return os.path.join(self.path, f"{column}.npy")

    def _map(self, column: str) -> NDArray[Any]:
        return map_column(self._file(column), self.manifest.columns[column])


def _reopen(path: str, fingerprint: str) -> Store:
    store = Store(path)
    if store.fingerprint != fingerprint:
        raise ValueError(
            f"The store {path} was rebuilt with other data ({store.fingerprint}) while a process "
            f"used it ({fingerprint}). Start again."
        )
    return store


def _load_counts(path: str, num_molecules: int) -> NDArray[np.int32] | None:
    try:
        counts: NDArray[np.int32] = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError, OSError) as error:
        log.warning("%s is damaged (%s); counting again.", path, error)
        return None
    if counts.dtype != np.int32 or counts.shape != (num_molecules,):
        log.warning("%s holds %s %s; counting again.", path, counts.dtype, counts.shape)
        return None
    return counts


def _save_counts(path: str, counts: NDArray[np.int32]) -> None:
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            np.save(file, counts)
        os.replace(part, path)
    except OSError as error:
        log.info("Pair counts stay in memory, %s cannot be written: %s", path, error)
