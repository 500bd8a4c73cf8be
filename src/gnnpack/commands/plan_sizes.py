"""The molecule sizes that `gnnpack plan` is asked about."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.checks import check_num_atoms, histogram

SYNTHETIC_MOLECULES = 2_000
# Pack sizes of the configs and figures published with arXiv 2211.13853.
PUBLISHED = {
    "qm9": (36,),
    "hydronet_500k": (192, 195),
    "hydronet_2.7m": (192, 195),
    "hydronet_4.5m": (153, 154),
}


class MoleculeSizes(NamedTuple):
    """How many molecules there are of each size, and where that is known from.

    sizes, counts: (S,) int64. num_atoms: (M,) of every molecule in its order, or None where only
    counts are known. published: pack sizes others have used.
    """

    name: str
    source: str
    sizes: NDArray[np.int64]
    counts: NDArray[np.int64]
    num_atoms: NDArray[np.int64] | None = None
    published: tuple[int, ...] = ()

    @property
    def line(self) -> str:
        """For people: how many molecules, how large, from where."""
        molecules, atoms = int(self.counts.sum()), int(self.sizes @ self.counts)
        return (
            f"{self.name}: {molecules:,} molecules of {self.sizes[0]} to {self.sizes[-1]} atoms, "
            f"{atoms / molecules:.2f} on average; {self.source}"
        )


def dataset_sizes(
    name: str, data_dir: str, *, num_molecules: int | None, each_molecule: bool
) -> MoleculeSizes:
    """Sizes of a data set by name.

    Published counts serve QM9 and HydroNet. each_molecule asks for the order of the molecules too,
    which opens (or builds) the store in data_dir. ValueError: an unknown data set, one of whose
    molecules only counts are known, raw files that are away.
    """
    from gnnpack.datasets.size_counts import DISTRIBUTIONS, size_counts

    if name not in (*DISTRIBUTIONS, "synthetic"):
        raise ValueError(
            f"dataset={name}; choose one of {', '.join((*DISTRIBUTIONS, 'synthetic'))}, or give "
            "your own molecules: sizes=FILE.npy, FILE.csv or the folder of a store, such as "
            "data/store/water_clusters-... (HydroNet's subsets small, medium and large are "
            "hydronet_500k, hydronet_2.7m and hydronet_4.5m)."
        )
    if num_molecules is not None and name != "synthetic":
        raise ValueError(
            f"num_molecules={num_molecules} is for made molecules alone. Add dataset=synthetic, "
            "or leave num_molecules out."
        )
    published = PUBLISHED.get(name, ())
    if name == "synthetic" or (name == "qm9" and each_molecule):
        num_atoms, source = _stored(name, data_dir, num_molecules)
        return _of_molecules(name, source, num_atoms)._replace(published=published)
    if each_molecule:
        raise ValueError(
            f"save= needs every molecule's size, and of {name} only counts are here. Give "
            "sizes=FILE.npy, an array of the number of atoms of each molecule."
        )
    sizes, counts = size_counts(name)
    source = "counted in qm9pack 1.0.3" if name == "qm9" else "counts published with 2211.13853"
    return MoleculeSizes(name, source, sizes, counts, published=published)


def read_sizes(path: str, *, each_molecule: bool) -> MoleculeSizes:
    """Sizes from a .npy array (M,), a .csv of lines num_atoms,count, or the folder of a store.

    ValueError: none of these, damaged, or a .csv where each_molecule is asked for.
    """
    if os.path.isdir(path):
        from gnnpack.store import Store

        try:
            store = Store(path)
        except FileNotFoundError as error:
            raise ValueError(
                f"sizes={path} is a folder without a manifest.json, so no store; give a store "
                "(such as data/store/qm9), a .npy or a .csv file."
            ) from error
        return _of_molecules(store.manifest.dataset, store.source_label, store.num_atoms)
    if not os.path.isfile(path):
        raise ValueError(f"sizes={path}: there is no such file; give a .npy or a .csv file.")
    name, kind = Path(path).stem, Path(path).suffix
    if kind == ".npy":
        return _of_molecules(name, path, _array(path))
    if kind != ".csv":
        raise ValueError(
            f"sizes={path}; give a .npy file (an array of the number of atoms of each molecule), a "
            ".csv file (lines num_atoms,count) or the folder of a store."
        )
    if each_molecule:
        raise ValueError(
            f"save= needs every molecule's size, and {path} holds counts. Give sizes=FILE.npy, an "
            "array of the number of atoms of each molecule."
        )
    return MoleculeSizes(name, path, *_counts(path))


def _of_molecules(name: str, source: str, num_atoms: NDArray[np.int64]) -> MoleculeSizes:
    return MoleculeSizes(name, source, *histogram(num_atoms), num_atoms=num_atoms)


def _stored(name: str, data_dir: str, num_molecules: int | None) -> tuple[NDArray[np.int64], str]:
    from gnnpack.datasets import QM9, Dataset, Synthetic
    from gnnpack.store import open_store

    dataset: Dataset
    if name == "synthetic":
        number = SYNTHETIC_MOLECULES if num_molecules is None else num_molecules
        dataset = Synthetic(number, seed=0)
    else:
        dataset = QM9(raw_dir=os.path.join(data_dir, "raw", "qm9"))
    store = open_store(dataset, os.path.join(data_dir, "store"))
    return store.num_atoms, store.source_label


def _array(path: str) -> NDArray[np.int64]:
    try:
        return check_num_atoms(np.load(path, allow_pickle=False))
    # What numpy raises for files cut short or of another kind, and our own words for wrong sizes.
    except (ValueError, EOFError) as fault:
        raise ValueError(
            f"sizes={path}: {fault}. The file must hold a 1-D integer array: the number of atoms "
            "of each molecule."
        ) from fault


def _counts(path: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    found: dict[int, int] = {}
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        for number, cells in enumerate(csv.reader(file), start=1):
            if not cells or (number == 1 and cells[0].strip() == "num_atoms"):
                continue
            try:
                size, count = (int(cell) for cell in cells)
            except ValueError:
                size, count = 0, -1
            if not 1 <= size < 2**31 or not 0 <= count < 2**40:
                raise ValueError(
                    f"{path}, line {number}: {','.join(cells)!r}; write a number of atoms (1 or "
                    "more) and a number of molecules, such as 18,17442."
                )
            found[size] = found.get(size, 0) + count
    present = sorted(size for size, count in found.items() if count)
    if not present:
        raise ValueError(f"{path} counts no molecules; write lines such as 18,17442.")
    counts = [found[size] for size in present]
    return np.array(present, dtype=np.int64), np.array(counts, dtype=np.int64)
