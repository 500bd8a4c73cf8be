"""Build a large store part by part: several at once, and resumable after a kill.

Each part is written to a folder of its own beside the store, and marked finished when its bytes
are on disk. The store is then written from the parts, in their order. Threads, not processes: what
takes time (inflating, compiled parsing, hashing) lets other threads run, memory is shared, and a
killed build leaves no child behind that still writes.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Callable, Iterator, Sequence

from gnnpack.store.columns import ColumnInfo, damage, values_checksum
from gnnpack.store.part_chunks import part_chunks
from gnnpack.store.refusal import expected_bytes, explain_refusal
from gnnpack.store.writing import ChunkWriter

if TYPE_CHECKING:
    from gnnpack.store.contract import ChunkLike, DatasetLike, PartLike

log = logging.getLogger(__name__)

MARK = "part.json"


class PartFolder:
    """Where the parts of one build lie; parts of other builds (another ``key``) are removed."""

    def __init__(self, dataset: DatasetLike, folder: str, key: str) -> None:
        self.dataset = dataset
        self.folder = folder
        self.found: dict[str, dict[str, ColumnInfo]] = {}
        self._key = key

    def path(self, part: PartLike) -> str:
        """The folder of a part."""
        return os.path.join(self.folder, part.name)

    def start(self, parts: Sequence[PartLike]) -> None:
        """Make the folder, find its finished parts, and remove all else that lies there."""
        with explain_refusal(self.folder, expected_bytes(self.dataset)):
            os.makedirs(self.folder, exist_ok=True)
        for part in parts:
            columns = self._finished(part)
            if columns is not None:
                self.found[part.name] = columns
        for name in sorted(set(os.listdir(self.folder)) - set(self.found)):
            shutil.rmtree(os.path.join(self.folder, name))
        if self.found:
            log.info(
                "%d of %d parts of %s were read before; going on with the others.",
                len(self.found),
                len(parts),
                self.dataset.store_name,
            )

    def _finished(self, part: PartLike) -> dict[str, ColumnInfo] | None:
        """The columns of a part that this build has finished and nothing has damaged, else None."""
        path = self.path(part)
        try:
            with open(os.path.join(path, MARK), encoding="utf-8") as file:
                mark = json.load(file)
            if mark["key"] != self._key:
                return None
            columns = {
                name: ColumnInfo(info["dtype"], tuple(info["shape"]), info["sha256"])
                for name, info in mark["columns"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        for name, info in columns.items():
            file_path = os.path.join(path, f"{name}.npy")
            if damage(file_path, info) or values_checksum(file_path) != info.sha256:
                return None
        return columns

    def finish(self, part: PartLike, columns: dict[str, ColumnInfo]) -> None:
        """Mark a part as finished, once its columns are on disk."""
        path = os.path.join(self.path(part), MARK)
        content = {name: info._asdict() for name, info in columns.items()}
        with open(f"{path}.part", "w", encoding="utf-8") as file:
            json.dump({"key": self._key, "columns": content}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.part", path)


def parts_of(dataset: DatasetLike) -> Sequence[PartLike]:
    """The data set's parts; none for one that can only be read from its beginning."""
    parts: Callable[[], Sequence[PartLike]] | None = getattr(dataset, "parts", None)
    return () if parts is None else parts()


def bytes_below(folder: str) -> int:
    """Bytes of all files below a folder; 0 where there is none."""
    return sum(
        os.path.getsize(os.path.join(path, name))
        for path, _, names in os.walk(folder)
        for name in names
    )


def num_threads() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_in_parts(
    place: PartFolder, parts: Sequence[PartLike], advance: Callable[[int], None]
) -> Iterator[ChunkLike]:
    """Chunks of all parts in their order, each part read once by one of several threads.

    ``advance`` is told the molecules of every chunk read. ValueError and OSError of any part.
    """
    place.start(parts)
    stop = Event()
    pool = ThreadPoolExecutor(min(num_threads(), len(parts)), thread_name_prefix="part")
    try:
        readings = [pool.submit(_read_part, place, part, advance, stop) for part in parts]
        for part, reading in zip(parts, readings):
            yield from part_chunks(place.path(part), reading.result())
    finally:
        # After an error the other threads end at their next chunk.
        stop.set()
        pool.shutdown(wait=True)


class _Stopped(Exception):
    """Another part has failed."""


def _read_part(
    place: PartFolder, part: PartLike, advance: Callable[[int], None], stop: Event
) -> dict[str, ColumnInfo]:
    """Write one part to its folder, unless it is there."""
    if stop.is_set():
        raise _Stopped
    if part.name in place.found:
        advance(place.found[part.name]["ids"].shape[0])
        return place.found[part.name]
    folder = place.path(part)
    needed = expected_bytes(place.dataset)
    writer = ChunkWriter(place.dataset, folder)
    try:
        with explain_refusal(place.folder, needed):
            os.mkdir(folder)
            writer.start()
        for chunk in part.chunks():
            if stop.is_set():
                raise _Stopped
            with explain_refusal(place.folder, needed):
                writer.append(chunk)
            advance(len(chunk.ids))
        with explain_refusal(place.folder, needed):
            columns = writer.close()
            place.finish(part, columns)
    finally:
        writer.abandon()
    log.info("Read part %s of %s.", part.name, place.dataset.store_name)
    return columns
