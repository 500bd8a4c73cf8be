"""HydroNet's raw files: what they are called, where they are published, and which are here."""

from __future__ import annotations

import os
from typing import Iterable, NamedTuple

from gnnpack.datasets import hydronet_hdf5, hydronet_small
from gnnpack.datasets.dataset import MissingSource
from gnnpack.datasets.hydronet_archives import RawFile, members

XYZ_ARCHIVE = "W3-W30_all_geoms_TTM2.1-F.zip"
NPZ_ARCHIVE = "W3-W30_pyg_processed.zip"
# figshare's file numbers, as torch_geometric.datasets.HydroNet names them.
URLS = {
    XYZ_ARCHIVE: "https://figshare.com/ndownloader/files/38063847",
    NPZ_ARCHIVE: "https://figshare.com/ndownloader/files/38075781",
    hydronet_small.ARCHIVE: "https://figshare.com/ndownloader/files/38075904",
}
SOURCES = ("xyz", "hdf5", "npz")
"""In order of preference: the first two have float32 positions, the last float16."""
_ENDINGS = {"xyz": ".zip", "npz": ".npz"}
_ARCHIVES = {"xyz": XYZ_ARCHIVE, "npz": NPZ_ARCHIVE}


class Found(NamedTuple):
    """The raw files of one source: of each number of waters, or the one of all."""

    kind: str
    files: tuple[tuple[int, RawFile], ...]  # none for hdf5
    paths: tuple[str, ...]  # files on disk, each once
    split: RawFile | None  # the small subset's


def find(raw_dir: str, source: str, sizes: Iterable[int], subset: str) -> Found:
    """The files of ``source`` ('auto': of the first that is whole) for these numbers of waters.

    MissingSource saying what is here, what is not, and the cures.
    """
    wanted = sorted(sizes)
    split = _find_split(raw_dir) if subset == "small" else None
    notes = []
    for kind in SOURCES if source == "auto" else (source,):
        files: tuple[tuple[int, RawFile], ...] = ()
        paths: tuple[str, ...] = ()
        if kind == "hdf5":
            path = os.path.join(raw_dir, hydronet_hdf5.FILE)
            paths = (path,) if os.path.isfile(path) else ()
        else:
            files, lacking = _find_sizes(raw_dir, kind, wanted)
            if files and lacking:
                missing = ", ".join(f"W{size}" for size in lacking)
                notes.append(f"Of its {kind} files {missing} are not there.")
                continue
            paths = tuple(dict.fromkeys(file.path for _, file in files))
        if not paths:
            continue
        if subset == "small" and split is None:
            notes.append(f"The {kind} files are there, but not {hydronet_small.FILE}.")
            continue
        return Found(kind, files, paths + ((split.path,) if split else ()), split)
    raise MissingSource(_cures(raw_dir, source, subset, notes))


def _find_sizes(
    raw_dir: str, kind: str, sizes: list[int]
) -> tuple[tuple[tuple[int, RawFile], ...], list[int]]:
    """Files by number of waters, each alone or in the published archive; and what is lacking."""
    names = {size: f"W{size}_geoms_all{_ENDINGS[kind]}" for size in sizes}
    found = {}
    for size, name in names.items():
        path = os.path.join(raw_dir, name)
        if os.path.isfile(path):
            found[size] = RawFile(path)
    archive = RawFile(os.path.join(raw_dir, _ARCHIVES[kind]))
    if len(found) < len(sizes) and os.path.isfile(archive.path):
        inside = {os.path.basename(member): member for member in members(archive)}
        if not set(names.values()) & set(inside):
            # A zip of zips that was cut off looks like the last zip in it.
            raise ValueError(
                f"{archive} holds no {names[sizes[0]]}, only {', '.join(sorted(inside)[:3])}. "
                "It is cut off or of another release; fetch it again."
            )
        for size, name in names.items():
            if name in inside:
                found.setdefault(size, archive.member(inside[name]))
    if kind == "xyz":
        found = {size: file.member(f"W{size}_geoms_all.xyz") for size, file in found.items()}
    lacking = [size for size in sizes if size not in found]
    return tuple((size, found[size]) for size in sizes if size in found), lacking


def _find_split(raw_dir: str) -> RawFile | None:
    path = os.path.join(raw_dir, hydronet_small.FILE)
    if os.path.isfile(path):
        return RawFile(path)
    archive = RawFile(os.path.join(raw_dir, hydronet_small.ARCHIVE))
    if os.path.isfile(archive.path):
        for member in members(archive):
            if os.path.basename(member) == hydronet_small.FILE:
                return archive.member(member)
    return None


def _cures(raw_dir: str, source: str, subset: str, notes: list[str]) -> str:
    split = ""
    if subset == "small":
        name = hydronet_small.ARCHIVE
        split = f" The small subset also needs {name} (10 MB at most), from {URLS[name]}."
    return " ".join(
        [
            f"HydroNet (dataset.subset={subset}, dataset.source={source}) is not in {raw_dir}.",
            *notes,
            "Do one of these: (1) gnnpack data fetch hydronet, where there is a network; "
            "(2) put one of these there, as they are: "
            f"{XYZ_ARCHIVE} or the files W3_geoms_all.zip to W30_geoms_all.zip in it (17 GB of "
            f"text before zipping, float32 positions) from {URLS[XYZ_ARCHIVE]}; "
            f"{hydronet_hdf5.FILE} (6.2 GB, float32 positions) from the SciML benchmark suite, "
            "https://github.com/stfc-sciml/sciml-bench; "
            f"{NPZ_ARCHIVE} or the files W3_geoms_all.npz to W30_geoms_all.npz in it (2.2 GB, "
            f"float16 positions) from {URLS[NPZ_ARCHIVE]}.{split} "
            "(3) train on made clusters of the same sizes: dataset=water_clusters "
            f"dataset.subset={subset}.",
        ]
    )
