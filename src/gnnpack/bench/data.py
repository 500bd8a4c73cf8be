"""The molecules a bench works on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gnnpack.batching import PackSource
from gnnpack.bench.settings import OverviewSettings
from gnnpack.datasets import QM9, Dataset, MissingSource, Synthetic
from gnnpack.packing import PackPlan, PackShape, lpfhp, one_per_pack, resolve_num_atoms
from gnnpack.run.data import Data, Scale, open_split, store_root, target_scale
from gnnpack.store import Store, open_store

SYNTHETIC_MOLECULES = 2_000


class BenchData(NamedTuple):
    """A data set as training opens it, and what a reader must know about its choice."""

    dataset: Dataset
    data_dir: str
    run: Data
    scale: Scale  # of the training targets
    notes: tuple[str, ...]

    @property
    def store(self) -> Store:
        """All molecules."""
        return self.run.store

    @property
    def store_root(self) -> Path:
        """The folder stores lie in."""
        return store_root(self.data_dir)

    @property
    def train(self) -> PackSource:
        """The training split."""
        return self.source_of(self.run.split.train)

    def source_of(self, rows: np.ndarray) -> PackSource:
        """Molecules of the store by row."""
        store = self.store
        return PackSource(store.z, store.pos, store.offsets, self.run.values, rows)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells this data from other data, for the record."""
        return {
            "dataset": self.dataset.name,
            "source": self.store.source_label,
            "fingerprint": self.store.fingerprint,
            "num_molecules": self.store.num_molecules,
            "num_atoms": self.store.total_atoms,
            "num_train": len(self.run.split.train),
        }


class Batch(NamedTuple):
    """Molecules of one update, drawn by seed, with a plan that packs and one that pads them."""

    source: PackSource
    packed: PackPlan
    padded: PackPlan


def open_data(settings: OverviewSettings) -> BenchData:
    """Open the store the settings name, building it first where there is none.

    MissingSource (a ValueError) when QM9 is asked for by name and is not there.
    """
    dataset, notes = _dataset(settings)
    data = open_split(dataset, settings.data_dir, settings.seed)
    return BenchData(dataset, settings.data_dir, data, target_scale(data), notes)


def shapes(data: BenchData) -> tuple[PackShape, PackShape]:
    """The shape LPFHP fills best, which training takes too, and that of one molecule a pack."""
    asked, sizes = PackShape(None), data.store.num_atoms
    packed = resolve_num_atoms(lpfhp, sizes, asked)
    return packed, resolve_num_atoms(one_per_pack, sizes, asked)


def draw_batch(data: BenchData, batch_size: int, seed: int) -> tuple[Batch, tuple[str, ...]]:
    """``batch_size`` training molecules drawn by seed, and a note if there are not so many."""
    notes: tuple[str, ...] = ()
    train = data.run.split.train
    if batch_size > len(train):
        notes = (
            f"The training split has only {len(train):,} molecules: batches hold all of them "
            f"instead of batch_size={batch_size:,}.",
        )
    # RandomState: numpy has frozen its stream, so every version measures the same molecules.
    chosen = np.random.RandomState(seed).permutation(train)[:batch_size]
    source = data.source_of(chosen)
    packed, padded = shapes(data)
    plans = lpfhp(source.num_atoms, packed), one_per_pack(source.num_atoms, padded)
    return Batch(source, *plans), notes


def _dataset(settings: OverviewSettings) -> tuple[Dataset, tuple[str, ...]]:
    if settings.dataset == "synthetic":
        return _synthetic(settings), ()
    qm9 = QM9(raw_dir=os.path.join(settings.data_dir, "raw", "qm9"))
    try:
        # A whole store opens without its raw files, so this asks for both.
        open_store(qm9, store_root(settings.data_dir))
    except MissingSource:
        if settings.dataset == "qm9":
            raise
        note = (
            "QM9 is not on this machine, so made molecules were measured; "
            "`pip install 'gnnpack[qm9]'` brings it."
        )
        return _synthetic(settings), (note,)
    return qm9, ()


def _synthetic(settings: OverviewSettings) -> Synthetic:
    return Synthetic(settings.num_molecules or SYNTHETIC_MOLECULES, seed=settings.seed)
