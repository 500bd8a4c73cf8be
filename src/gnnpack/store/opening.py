"""`open_store`: open a store that is whole and current, build it where it is not."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Iterator, Sequence

from filelock import FileLock, Timeout

from gnnpack.store.building import build, stored_references, stored_targets
from gnnpack.store.columns import damage
from gnnpack.store.manifest import Manifest, StoredSource
from gnnpack.store.refusal import expected_bytes, explain_refusal
from gnnpack.store.store import Store

if TYPE_CHECKING:
    from gnnpack.store.contract import DatasetLike, SourceLike

log = logging.getLogger(__name__)


def open_store(dataset: DatasetLike, root: str | os.PathLike[str]) -> Store:
    """Open ``root/dataset.store_name``, building it first where it is absent, stale or damaged.

    A whole store opens from a read-only folder, and without its raw files. Raw files of the same
    size and time of change are trusted; others are compared by checksum. Two processes may call
    at once: one builds, the other waits. ValueError or OSError with the cure when it can neither
    be opened nor built.
    """
    folder = os.path.join(os.fspath(root), dataset.store_name)
    try:
        sources = list(dataset.sources())
    except FileNotFoundError as missing:
        return _open_without_sources(dataset, folder, missing)
    if why_rebuild(dataset, folder, sources) is None:
        _sweep(dataset, folder)
        return Store(folder)
    with _build_lock(dataset, folder):
        # Asked again, because another process may have built it while this one waited.
        reason = why_rebuild(dataset, folder, sources)
        if reason is not None:
            fresh = not os.path.isdir(folder)
            level = logging.INFO if fresh else logging.WARNING
            log.log(level, "Building the store %s from %s: %s.", folder, _label(dataset), reason)
            _build_in_place(dataset, folder)
        return Store(folder)


def why_rebuild(
    dataset: DatasetLike, folder: str, sources: Sequence[SourceLike] | None
) -> str | None:
    """Why the store in ``folder`` cannot serve this data set, or None; None sources: unknown."""
    try:
        manifest = Manifest.load(folder)
    except (FileNotFoundError, NotADirectoryError):
        return "there is none yet" if not os.path.isdir(folder) else "it has no manifest"
    except ValueError as error:
        return str(error).rstrip(".")
    found = (manifest.dataset, manifest.reader_version)
    wanted = (dataset.name, dataset.reader_version)
    if found != wanted:
        return f"it was made by reader {found[0]} {found[1]}, this is {wanted[0]} {wanted[1]}"
    if manifest.targets != stored_targets(dataset):
        return "its targets, units or readouts are not this data set's"
    if manifest.reference_energies != stored_references(dataset):
        return "its reference energies are not this data set's"
    for name, info in manifest.columns.items():
        wrong = damage(os.path.join(folder, f"{name}.npy"), info)
        if wrong:
            return wrong
    return None if sources is None else _changed_source(dataset, folder, manifest, sources)


def _changed_source(
    dataset: DatasetLike, folder: str, manifest: Manifest, sources: Sequence[SourceLike]
) -> str | None:
    known = {source.name: source for source in manifest.sources}
    if set(known) != {source.name for source in sources}:
        return f"its sources were {sorted(known)}, now they are {sorted(s.name for s in sources)}"
    if all((s.size, s.mtime_ns) == (known[s.name].size, known[s.name].mtime_ns) for s in sources):
        return None
    checksums = dataset.checksums()
    for source in sources:
        if checksums[source.name] != known[source.name].sha256:
            return f"its source {source.name} has changed"
    refreshed = tuple(StoredSource(s.name, s.size, s.mtime_ns, checksums[s.name]) for s in sources)
    try:
        replace(manifest, sources=refreshed).save(folder)
    except OSError as error:
        # Only the time stamps would be new; without them the next opening compares again.
        log.debug("The manifest in %s keeps its old time stamps: %s", folder, error)
    return None


def _open_without_sources(dataset: DatasetLike, folder: str, missing: FileNotFoundError) -> Store:
    reason = why_rebuild(dataset, folder, None)
    if reason is None:
        log.info("The raw files of %s are not here; opening the store %s.", dataset.name, folder)
        return Store(folder)
    if not os.path.isdir(folder):
        raise missing
    raise ValueError(
        f"The store {folder} cannot be used: {reason}. It cannot be rebuilt either, because its "
        f"raw files are not here. {missing}"
    ) from missing


def _beside(folder: str, word: str) -> str:
    root, name = os.path.split(folder)
    return os.path.join(root, f".{name}.{word}")


def _sweep(dataset: DatasetLike, folder: str) -> None:
    """Remove parts that a build left when it was killed between its last two steps."""
    parts = _beside(folder, "parts")
    if not os.path.isdir(parts):
        return
    try:
        with FileLock(_beside(folder, "lock"), timeout=0):
            shutil.rmtree(parts, ignore_errors=True)
    except (Timeout, OSError) as error:
        # Somebody builds with them, or the folder cannot be written: the store is whole anyway.
        log.debug("%s stays: %s", parts, error)


@contextmanager
def _build_lock(dataset: DatasetLike, folder: str) -> Iterator[None]:
    with explain_refusal(folder, expected_bytes(dataset)):
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        lock = FileLock(_beside(folder, "lock"))
        try:
            lock.acquire(timeout=0.5)
        except Timeout:
            log.info("Waiting for another process that builds %s.", folder)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build_in_place(dataset: DatasetLike, folder: str) -> None:
    """Build beside ``folder`` and rename; call under the lock.

    The names are fixed: under the lock, whatever lies there was left by a killed build. Finished
    parts are kept for the next build, everything else goes.
    """
    building, old, parts = (_beside(folder, word) for word in ("building", "old", "parts"))
    with explain_refusal(folder, expected_bytes(dataset)):
        for leftover in (building, old):
            if os.path.isdir(leftover):
                log.info("Removing %s, left by a build that was killed.", leftover)
                shutil.rmtree(leftover)
        os.mkdir(building)
    try:
        build(dataset, building, parts)
        with explain_refusal(folder, expected_bytes(dataset)):
            if os.path.isdir(folder):
                os.rename(folder, old)
            os.rename(building, folder)
        shutil.rmtree(parts, ignore_errors=True)
    finally:
        shutil.rmtree(building, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _label(dataset: DatasetLike) -> str:
    return f"{dataset.name} ({dataset.source_label})"
