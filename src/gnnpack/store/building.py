"""Write a data set's columns into an empty folder, a chunk at a time."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, Sequence

import numpy as np

from gnnpack import __version__
from gnnpack.store.manifest import FORMAT_VERSION, Manifest, StoredSource, StoredTarget
from gnnpack.store.parts import PartFolder, bytes_below, parts_of, read_in_parts
from gnnpack.store.progress import building_bar
from gnnpack.store.refusal import check_room, expected_bytes, explain_refusal
from gnnpack.store.writing import ChunkWriter

if TYPE_CHECKING:
    from gnnpack.store.columns import ColumnInfo
    from gnnpack.store.contract import ChunkLike, DatasetLike

READOUTS = ("sum", "mean")


def build(dataset: DatasetLike, folder: str, parts_folder: str) -> Manifest:
    """Read the data set into ``folder``, which must be empty; the manifest is written last.

    A data set in parts is read part by part into ``parts_folder``, several at once, and what lies
    there from a killed build is used. Memory is that of a chunk a thread (and 8 bytes a molecule
    to compare ids). ValueError for data that contradict themselves, OSError naming the folder
    when it cannot be written.
    """
    parts = parts_of(dataset)
    needed = expected_bytes(dataset)
    if needed is not None and parts:
        # Parts stay until the store is whole.
        needed = max(0, 2 * needed - bytes_below(parts_folder))
    _check_targets(dataset)
    checksums = dataset.checksums()
    sources = tuple(
        StoredSource(s.name, s.size, s.mtime_ns, checksums[s.name]) for s in dataset.sources()
    )
    with explain_refusal(folder, needed):
        check_room(folder, needed)
    with building_bar(dataset.store_name, dataset.expected_molecules) as advance:
        if parts:
            place = PartFolder(dataset, parts_folder, build_key(dataset, sources))
            columns = _write(dataset, folder, needed, read_in_parts(place, parts, advance))
        else:
            columns = _write(dataset, folder, needed, _counted(dataset, advance))
    _check_counts(dataset, columns)
    with explain_refusal(folder, needed):
        _check_ids(dataset.name, os.path.join(folder, "ids.npy"))
        manifest = _manifest(dataset, sources, columns)
        manifest.save(folder)
    return manifest


def build_key(dataset: DatasetLike, sources: Sequence[StoredSource]) -> str:
    """16 hexadecimal digits over all that decides what a part of this data set holds."""
    content = [
        FORMAT_VERSION,
        [dataset.name, dataset.store_name, dataset.reader_version],
        {name: list(info) for name, info in stored_targets(dataset).items()},
        sorted((source.name, source.sha256) for source in sources),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _write(
    dataset: DatasetLike, folder: str, needed: int | None, chunks: Iterable[ChunkLike]
) -> dict[str, ColumnInfo]:
    writer = ChunkWriter(dataset, folder)
    try:
        with explain_refusal(folder, needed):
            writer.start()
        for chunk in chunks:
            with explain_refusal(folder, needed):
                writer.append(chunk)
        with explain_refusal(folder, needed):
            return writer.close()
    finally:
        writer.abandon()


def _counted(dataset: DatasetLike, advance: Callable[[int], None]) -> Iterator[ChunkLike]:
    for chunk in dataset.read():
        yield chunk
        advance(len(chunk.ids))


def _check_counts(dataset: DatasetLike, columns: dict[str, ColumnInfo]) -> None:
    # `read` has counted already; parts are read one by one.
    for what, column, expected in (
        ("molecules", "ids", dataset.expected_molecules),
        ("atoms", "z", dataset.expected_atoms),
    ):
        found = columns[column].shape[0]
        if expected is not None and found != expected:
            raise ValueError(
                f"{dataset.name}: read {found:,} {what} where {expected:,} are expected. "
                f"A raw file is damaged or of another release: {dataset.source_label}."
            )


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
