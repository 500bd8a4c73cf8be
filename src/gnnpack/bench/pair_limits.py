"""QM9 in packs that are limited in atoms and in pairs."""

from __future__ import annotations

import math
import os
from functools import partial

import numpy as np

from gnnpack.bench.packer_list import Molecules
from gnnpack.bench.packer_problem import Problem
from gnnpack.bench.packers_settings import CUTOFFS, PAIR_SLACK, PackersSettings
from gnnpack.datasets import QM9
from gnnpack.packing import PackShape
from gnnpack.store import Store, open_store


def open_qm9(data_dir: str) -> Store:
    """The store of QM9, built first where only its raw files are; MissingSource without them."""
    qm9 = QM9(raw_dir=os.path.join(data_dir, "raw", "qm9"))
    return open_store(qm9, os.path.join(data_dir, "store"))


def pair_limit_problems(store: Store, settings: PackersSettings) -> list[Problem]:
    """A problem for each cutoff and pack size."""
    problems = []
    for cutoff in CUTOFFS:
        load = partial(load_pairs, store.path, cutoff, settings.num_molecules, settings.seed)
        molecules = load()
        for place, size in enumerate(settings.pair_limit_sizes):
            shape = PackShape(size, pair_capacity(molecules, size))
            name = f"qm9_{cutoff:g}_{size}"
            title = f"QM9, packs of {size} atoms and {shape.num_pairs:,} pairs within {cutoff:g} Å"
            problems.append(Problem(name, title, load, shape, own_sizes=place == 0))
    return problems


def load_pairs(path: str, cutoff: float, num_molecules: int | None, seed: int) -> Molecules:
    """Atoms and pairs of the molecules of the store at `path`, in an order drawn by seed."""
    store = Store(path)
    # RandomState: numpy has frozen its stream, so every version measures the same order.
    rows = np.random.RandomState(seed).permutation(store.num_molecules)[:num_molecules]
    return Molecules(store.num_atoms[rows], store.num_pairs(cutoff)[rows].astype(np.int64))


def pair_capacity(molecules: Molecules, size: int) -> int:
    """Pairs of `size` average atoms and `PAIR_SLACK`, but room for the largest molecule.

    >>> pair_capacity(Molecules(np.array([2, 3]), np.array([1, 3])), 100)
    81
    """
    assert molecules.num_pairs is not None, "pairs are what is limited"
    total_pairs = int(molecules.num_pairs.sum(dtype=np.int64))
    total_atoms = int(molecules.num_atoms.sum(dtype=np.int64))
    share = math.ceil(size * total_pairs / total_atoms * PAIR_SLACK)
    return max(share, int(molecules.num_pairs.max()))
