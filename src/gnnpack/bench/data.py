"""The molecules a bench works on."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.batching import PackSource
from gnnpack.bench.settings import OverviewSettings
from gnnpack.datasets import QM9, Dataset, MissingSource, Synthetic
from gnnpack.store import Store, open_store, residual

SYNTHETIC_MOLECULES = 2_000


class BenchData(NamedTuple):
    """A store, its training split, and the training targets' statistics."""

    dataset: Dataset
    root: str  # folder the store lies in
    store: Store
    values: NDArray[np.float64]  # (M,) targets with references subtracted
    train: NDArray[np.int64]  # rows of the training split
    unit: str
    readout: str  # sum or mean
    mean: float  # of the training targets, per atom for sums; the target's unit
    std: float
    notes: tuple[str, ...]  # what a reader must know about the choice of molecules

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells this data from other data, for the record."""
        return {
            "dataset": self.dataset.name,
            "source": self.store.source_label,
            "fingerprint": self.store.fingerprint,
            "num_molecules": self.store.num_molecules,
            "num_atoms": self.store.total_atoms,
            "num_train": len(self.train),
        }


def open_data(settings: OverviewSettings) -> BenchData:
    """Open the store the settings name, building it first where there is none.

    MissingSource (a ValueError) when QM9 is asked for by name and is not there.
    """
    root = os.path.join(settings.data_dir, "store")
    dataset, notes = _dataset(settings, root)
    store = open_store(dataset, root)
    info = store.target_info(dataset.target)
    values = residual(store, dataset.target, store.reference_energies(dataset.target))
    train = dataset.make_split(store.ids, seed=settings.seed).train
    scaled = values[train] / (store.num_atoms[train] if info.readout == "sum" else 1)
    return BenchData(
        dataset=dataset,
        root=root,
        store=store,
        values=values,
        train=train,
        unit=info.unit,
        readout=info.readout,
        mean=float(scaled.mean()),
        std=float(scaled.std()) or 1.0,
        notes=notes,
    )


def batch_source(data: BenchData, batch_size: int, seed: int) -> tuple[PackSource, tuple[str, ...]]:
    """``batch_size`` training molecules drawn by seed, and a note if there are not so many."""
    notes: tuple[str, ...] = ()
    if batch_size > len(data.train):
        notes = (
            f"The training split has only {len(data.train):,} molecules: batches hold all of "
            f"them instead of batch_size={batch_size:,}.",
        )
    # RandomState: numpy has frozen its stream, so every version measures the same molecules.
    chosen = np.random.RandomState(seed).permutation(data.train)[:batch_size]
    store = data.store
    return PackSource(store.z, store.pos, store.offsets, data.values, chosen), notes


def _dataset(settings: OverviewSettings, root: str) -> tuple[Dataset, tuple[str, ...]]:
    if settings.dataset == "synthetic":
        return _synthetic(settings), ()
    qm9 = QM9(raw_dir=os.path.join(settings.data_dir, "raw", "qm9"))
    try:
        # A whole store opens without its raw files, so this asks for both.
        open_store(qm9, root)
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
