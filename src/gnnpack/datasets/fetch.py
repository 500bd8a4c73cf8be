"""Published raw files into a folder: checked, resumed, and in place only when whole."""

from __future__ import annotations

import json
import logging
import os
import zipfile
from typing import Callable, NamedTuple

from filelock import FileLock

from gnnpack.datasets.dataset import file_checksum
from gnnpack.datasets.fetch_files import RemoteFile
from gnnpack.datasets.fetch_http import Patience, download, forget

log = logging.getLogger(__name__)

RECORD = "checksums.json"
"""Checksums of files whose publisher gives none, as they were when first fetched."""


class Fetched(NamedTuple):
    """Where a file lies, its checksum, and whether it was there already."""

    path: str
    checksum: str
    was_here: bool


def fetch(
    file: RemoteFile,
    folder: str,
    mirror: str = "",
    patience: Patience | None = None,
    advance: Callable[[int, int | None], None] = lambda done, total: None,
) -> Fetched:
    """Download ``file`` into ``folder``, unless it is there; one process at a time.

    ``mirror``: take it from ``mirror/name`` instead of its own address. Content is compared with
    the published checksum, or with the one recorded when it was first fetched. ValueError when it
    differs or the address is refused, OSError when the network or the disk gives up.
    """
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, file.name)
    part = f"{path}.part"
    with FileLock(os.path.join(folder, f".{file.name}.lock")):
        expected = file.checksum or _recorded(folder).get(file.name)
        if os.path.exists(path):
            return Fetched(path, _check_here(file, path, expected), True)
        url = f"{mirror.rstrip('/')}/{file.name}" if mirror else file.url
        patience = patience or Patience()
        resumed = download(url, part, patience, advance)
        wrong = _wrong(part, file, expected)
        if wrong and resumed:
            log.warning("%s was put together from several transfers and %s; again.", url, wrong)
            forget(part)
            download(url, part, patience, advance)
            wrong = _wrong(part, file, expected)
        if wrong:
            forget(part)
            raise ValueError(f"{url} does not give {file.name}: it {wrong}. Nothing was kept.")
        checksum = expected or f"sha256:{file_checksum(part)}"
        if expected is None:
            _record(folder, file.name, checksum)
        os.replace(part, path)
        forget(part)
    return Fetched(path, checksum, False)


def _check_here(file: RemoteFile, path: str, expected: str | None) -> str:
    wrong = _wrong(path, file, expected)
    if wrong:
        raise ValueError(f"{path} is there, but {wrong}. Remove it to fetch it again.")
    return expected or f"sha256:{file_checksum(path)}"


def _wrong(path: str, file: RemoteFile, expected: str | None) -> str:
    """What is wrong with the content of a file, or nothing."""
    if expected is not None:
        algorithm, _, published = expected.partition(":")
        actual = file_checksum(path, algorithm)
        where = "published" if file.checksum else f"recorded in {RECORD}"
        same = actual == published
        return "" if same else f"has the {algorithm} {actual} where {published} is {where}"
    return _wrong_zip(path) if file.name.endswith((".zip", ".npz")) else ""


def _wrong_zip(path: str) -> str:
    """What a zip without a published checksum says of itself."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            # A zip of zips that was cut off reads as the last zip in it, behind other bytes.
            begins = min((info.header_offset for info in archive.infolist()), default=-1)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        return f"is no whole zip ({error})"
    if damaged is not None:
        return f"has the damaged member {damaged}"
    return "" if begins == 0 else "is no whole zip (it is cut off or empty)"


def _recorded(folder: str) -> dict[str, str]:
    path = os.path.join(folder, RECORD)
    try:
        with open(path, encoding="utf-8") as file:
            return dict(json.load(file))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}). Remove it to record anew.") from error


def _record(folder: str, name: str, checksum: str) -> None:
    path = os.path.join(folder, RECORD)
    with FileLock(os.path.join(folder, f".{RECORD}.lock")):
        content = {**_recorded(folder), name: checksum}
        with open(f"{path}.part", "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
        os.replace(f"{path}.part", path)
    log.info(
        "No checksum of %s is published. %s is recorded in %s and compared from now on.",
        name,
        checksum,
        path,
    )
