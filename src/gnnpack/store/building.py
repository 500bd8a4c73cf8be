"""Write a data set's columns into an empty folder, a chunk at a time."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator

import numpy as np

from gnnpack import __version__
from gnnpack.store.columns import ColumnInfo, ColumnWriter
from gnnpack.store.manifest import Manifest, StoredSource, StoredTarget

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gnnpack.store.contract import ChunkLike, DatasetLike

READOUTS = ("sum", "mean")


def build(dataset: DatasetLike, folder: str) -> Manifest:
    """Read the data set into ``folder``, which must be empty; the manifest is written last.

    Memory is that of one chunk (and 8 bytes a molecule to compare ids). ValueError for data that
    contradict themselves, OSError naming the folder when it cannot be written.
    """
    needed = expected_bytes(dataset)
    _check_targets(dataset)
    checksums = dataset.checksums()
    sources = tuple(
        StoredSource(s.name, s.size, s.mtime_ns, checksums[s.name]) for s in dataset.sources()
    )
    with explain_refusal(folder, needed):
        _check_room(folder, needed)
    writer = _ChunkWriter(dataset, folder)
    try:
        with explain_refusal(folder, needed):
            writer.start()
        for chunk in dataset.read():
            with explain_refusal(folder, needed):
                writer.append(chunk)
        with explain_refusal(folder, needed):
            columns = writer.close()
            _check_ids(dataset.name, os.path.join(folder, "ids.npy"))
            manifest = _manifest(dataset, sources, columns)
            manifest.save(folder)
    finally:
        writer.abandon()
    return manifest


def expected_bytes(dataset: DatasetLike) -> int | None:
    """Bytes the store will take, or None where the data set does not know its counts."""
    if dataset.expected_molecules is None or dataset.expected_atoms is None:
        return None
    per_molecule = 8 * (2 + len(dataset.target_infos))
    return dataset.expected_atoms * 13 + dataset.expected_molecules * per_molecule


@contextmanager
def explain_refusal(folder: str, needed: int | None) -> Iterator[None]:
    """Turn the system's refusal to write into a sentence with a cure, same errno."""
    try:
        yield
    except OSError as error:
        size = f" It needs about {needed / 1e6:,.0f} MB." if needed else ""
        raise OSError(
            error.errno,
            f"cannot write the store in {os.path.dirname(folder) or '.'}: "
            f"{error.strerror or error}.{size} Choose another place with data_dir=FOLDER or the "
            "environment variable GNNPACK_DATA",
        ) from error


def _check_room(folder: str, needed: int | None) -> None:
    free = shutil.disk_usage(folder).free
    if needed is not None and free < needed:
        raise OSError(errno.ENOSPC, f"only {free / 1e6:,.0f} MB are free")


def _check_targets(dataset: DatasetLike) -> None:
    for name, info in dataset.target_infos.items():
        if info.readout not in READOUTS:
            raise ValueError(
                f"Target {name} of {dataset.name} has the readout {info.readout!r}; "
                f"it must be one of {', '.join(READOUTS)}."
            )
    unknown = sorted(set(dataset.reference_energies) - set(dataset.target_infos))
    if unknown:
        raise ValueError(f"{dataset.name} has reference energies for {unknown}, no targets of it.")


def _check_ids(name: str, path: str) -> None:
    ids = np.sort(np.load(path))
    twice = np.flatnonzero(np.diff(ids) == 0)
    if len(twice):
        raise ValueError(
            f"{name}: {len(twice)} molecule ids occur twice, the first is {ids[twice[0]]}. "
            "Ids must differ, because splits are made of them."
        )


def _manifest(
    dataset: DatasetLike, sources: tuple[StoredSource, ...], columns: dict[str, ColumnInfo]
) -> Manifest:
    return Manifest(
        dataset=dataset.name,
        source_label=dataset.source_label,
        reader_version=dataset.reader_version,
        sources=sources,
        targets=stored_targets(dataset),
        reference_energies=stored_references(dataset),
        num_molecules=columns["ids"].shape[0],
        num_atoms=columns["z"].shape[0],
        columns=columns,
        created_by=f"gnnpack {__version__}",
    )


def stored_targets(dataset: DatasetLike) -> dict[str, StoredTarget]:
    """The data set's targets as the manifest keeps them."""
    return {n: StoredTarget(i.unit, i.readout) for n, i in dataset.target_infos.items()}


def stored_references(dataset: DatasetLike) -> dict[str, dict[int, float]]:
    """The data set's published references as the manifest keeps them."""
    return {
        target: {int(number): float(value) for number, value in energies.items()}
        for target, energies in dataset.reference_energies.items()
    }


class _ChunkWriter:
    """The columns of a store under construction."""

    def __init__(self, dataset: DatasetLike, folder: str) -> None:
        self._name = dataset.name
        self._folder = folder
        self._targets = tuple(dataset.target_infos)
        self._num_atoms = 0
        self._columns: dict[str, ColumnWriter] = {}

    def start(self) -> None:
        self._add("z", "|u1")
        self._add("pos", "<f4", (3,))
        self._add("offsets", "<i8")
        self._add("ids", "<i8")
        for target in self._targets:
            self._add(f"target_{target}", "<f8")
        self._columns["offsets"].append(np.zeros(1, dtype=np.int64))

    def append(self, chunk: ChunkLike) -> None:
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
        if not self._num_atoms:
            raise ValueError(f"{self._name}: its raw files hold no molecules.")
        return {name: column.close() for name, column in self._columns.items()}

    def abandon(self) -> None:
        for column in self._columns.values():
            column.abandon()

    def _add(self, name: str, dtype: str, row: tuple[int, ...] = ()) -> None:
        path = os.path.join(self._folder, f"{name}.npy")
        self._columns[name] = ColumnWriter(path, dtype, row)
