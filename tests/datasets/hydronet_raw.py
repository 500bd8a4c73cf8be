"""Raw files of a few water clusters, in exactly the published formats."""

from __future__ import annotations

import io
import zipfile
from typing import NamedTuple

import numpy as np

from gnnpack.datasets import HydroNet, hydronet_files, hydronet_hdf5, hydronet_small

MEDIUM = {3: 2, 4: 10, 11: 7, 25: 3}
LARGE = {**MEDIUM, 26: 5, 30: 4}
SMALL = {4: 4, 11: 3, 25: 1}


class TinyHydroNet(HydroNet):
    """HydroNet with a few clusters of each size."""

    published_counts = {"small": SMALL, "medium": MEDIUM, "large": LARGE}  # noqa: RUF012


class Clusters(NamedTuple):
    """F clusters: pos (F, N, 3) float64 Å as text gives them, kcal (F,), z (F, N)."""

    z: np.ndarray
    pos: np.ndarray
    kcal: np.ndarray
    text: str


def make_clusters(num_waters: int, count: int) -> Clusters:
    random = np.random.RandomState(num_waters)
    places = random.uniform(-12, 32, (count, num_waters, 1, 3))
    pos = places + random.uniform(-0.9, 0.9, (count, num_waters, 3, 3))
    # As in the files, many numbers lie below 0.1 and are written with an exponent.
    pos[:, 0, 0] *= 1e-3
    words = [[fortran(number) for number in row] for row in pos.reshape(-1, 3)]
    kcal = np.round(-9.0 * num_waters - random.uniform(0, 5, count), 7)
    lines = []
    for cluster in range(count):
        lines.append(f"{3 * num_waters:12d}")
        lines.append(energy_line(num_waters, cluster, kcal[cluster]))
        for atom in range(3 * num_waters):
            x, y, z = words[cluster * 3 * num_waters + atom]
            lines.append(f" {'OHH'[atom % 3]}  {x:>13}    {y:>13}    {z:>13}    ")
    return Clusters(
        z=np.tile(np.array([8, 1, 1], dtype=np.uint8), (count, num_waters)),
        pos=np.array(words, dtype=np.float64).reshape(count, 3 * num_waters, 3),
        kcal=kcal,
        text="\n".join(lines) + "\n",
    )


def fortran(number: float) -> str:
    """Nine digits, as list-directed output has them."""
    if abs(number) < 0.1:
        return f"{number:.8E}"
    return f"{number:.{9 - len(str(int(abs(number))))}f}"


def energy_line(num_waters: int, cluster: int, kcal: float) -> str:
    if num_waters == 11 and cluster % 2:
        # Stands for the lines of W11 that have not the two words of all others.
        return f" {cluster:8d} Ord_Energy   {kcal:.7f}" if cluster % 4 == 1 else f"  {kcal:.7f}"
    return f" Ord_Energy   {kcal:.7f}    "


def write_xyz(folder, counts) -> None:
    for size, count in counts.items():
        with zipfile.ZipFile(folder / f"W{size}_geoms_all.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(f"W{size}_geoms_all.xyz", make_clusters(size, count).text)


def write_npz(folder, counts) -> None:
    for size, count in counts.items():
        made = make_clusters(size, count)
        np.savez(
            folder / f"W{size}_geoms_all.npz",
            z=made.z.astype(np.int8),
            pos=made.pos.astype(np.float16),
            y=made.kcal.astype(np.float32),
            num_graphs=count,
        )


def write_hdf5(folder, counts, order=None) -> None:
    """``order``: of the rows; None = by size."""
    import h5py

    largest, total = 3 * max(counts), sum(counts.values())
    columns = {
        "pos": np.zeros((total, largest, 3), dtype=np.float32),
        "z": np.zeros((total, largest), dtype=np.uint8),
        "x": np.zeros((total, largest, 2), dtype=np.uint8),
        "y": np.zeros((total, 1), dtype=np.float32),
        "size": np.zeros((total, 1), dtype=np.uint8),
    }
    first = 0
    for size in sorted(counts):
        made = make_clusters(size, counts[size])
        rows = slice(first, first + counts[size])
        columns["pos"][rows, : 3 * size] = made.pos
        columns["z"][rows, : 3 * size] = made.z
        columns["y"][rows, 0] = made.kcal
        columns["size"][rows] = 3 * size
        first += counts[size]
    with h5py.File(folder / hydronet_hdf5.FILE, "w") as file:
        for name, values in columns.items():
            file[name] = values if order is None else values[order]


def write_split(folder, train=(3, 12, 17, 20), val=(18, 2, 5, 8)) -> None:
    """Members of W4 (2, 3, 5, 8), W11 (12, 17, 18) and W25 (20)."""
    np.savez(folder / hydronet_small.FILE, train_idx=np.array(train), val_idx=np.array(val))


def zip_up(folder, kind: str) -> None:
    """Put the files of each size into the published archive, and away."""
    names = {"xyz": hydronet_files.XYZ_ARCHIVE, "npz": hydronet_files.NPZ_ARCHIVE}
    inside = {"xyz": "W3-W30_all_geoms_TTM2.1-F/", "npz": ""}
    ending = {"xyz": "*.zip", "npz": "W*.npz"}
    files = sorted(folder.glob(ending[kind]))
    with zipfile.ZipFile(folder / names[kind], "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, inside[kind] + file.name)
    for file in files:
        file.unlink()


def npy(values) -> bytes:
    """An array as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()
