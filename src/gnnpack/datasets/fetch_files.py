"""What `gnnpack data fetch` can download: names, addresses, checksums."""

from __future__ import annotations

from typing import Mapping, NamedTuple

from gnnpack.datasets import hydronet_files, hydronet_small, qm9_xyz

_FIGSHARE = "https://figshare.com/ndownloader/files/"


class RemoteFile(NamedTuple):
    """A published file; ``checksum`` is 'algorithm:hexadecimal', None where none is published.

    ``usual``: fetched when no file is named.
    """

    name: str
    url: str
    what: str
    checksum: str | None = None
    usual: bool = True


def _hydronet(name: str, what: str, usual: bool = True) -> RemoteFile:
    return RemoteFile(name, hydronet_files.URLS[name], what, usual=usual)


def _qm9(name: str, number: int, what: str) -> RemoteFile:
    return RemoteFile(name, f"{_FIGSHARE}{number}", what, qm9_xyz.CHECKSUMS[name])


# By data set, then by the short name a user types.
REMOTE_FILES: Mapping[str, Mapping[str, RemoteFile]] = {
    "hydronet": {
        "xyz": _hydronet(hydronet_files.XYZ_ARCHIVE, "all clusters, float32 positions"),
        "splits": _hydronet(hydronet_small.ARCHIVE, "the members of the small subset"),
        "npz": _hydronet(hydronet_files.NPZ_ARCHIVE, "all clusters, float16 positions", False),
    },
    "qm9": {
        "archive": _qm9(qm9_xyz.ARCHIVE, 3195389, "all molecules"),
        "uncharacterized": _qm9(qm9_xyz.UNCHARACTERIZED, 3195404, "those that are left out"),
    },
}


def choose_files(dataset: str, names: list[str]) -> list[RemoteFile]:
    """The files with these short names, or the usual ones; ValueError for unknown names."""
    if dataset not in REMOTE_FILES:
        raise ValueError(
            f"No files of {dataset!r} can be fetched; choose {' or '.join(REMOTE_FILES)}."
        )
    known = REMOTE_FILES[dataset]
    unknown = [name for name in names if name not in known]
    if unknown:
        choices = "; ".join(f"{name} ({file.what})" for name, file in known.items())
        raise ValueError(f"{dataset} has no file {', '.join(unknown)}. Choose among {choices}.")
    return [file for name, file in known.items() if (name in names if names else file.usual)]
