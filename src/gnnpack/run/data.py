"""What a run trains on: the store, its split, its plans, its loaders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, NamedTuple

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from gnnpack.batching import PackSource
from gnnpack.datasets import Dataset, Split, find_rows
from gnnpack.packing import PackPlan, PackShape, auto_shape, resolve_num_atoms
from gnnpack.store import Store, fit_references, open_store, residual
from gnnpack.training import PackedDataModule


class Data(NamedTuple):
    """One target of one data set, split."""

    store: Store
    source_label: str
    target: str
    unit: str
    readout: str  # sum or mean
    references: NDArray[np.float64]  # by atomic number, the target's unit
    values: NDArray[np.float64]  # (M,) targets with references subtracted
    split: Split  # rows


def open_data(cfg: DictConfig, record: Mapping[str, Any] | None = None) -> Data:
    """`open_split` of what ``cfg`` names."""
    return open_split(instantiate(cfg.dataset), cfg.data_dir, cfg.seed, record)


def open_split(
    dataset: Dataset, data_dir: str, seed: int, record: Mapping[str, Any] | None = None
) -> Data:
    """Open (or first build) the store of a data set, and split it.

    Args:
        data_dir: stores lie in its folder ``store``.
        seed: of the split.
        record: of a checkpoint, whose split and reference energies are then used; None makes
            them as the data set says.
    """
    store = open_store(dataset, store_root(data_dir))
    info = store.target_info(dataset.target)
    if record is None:
        split = dataset.make_split(store.ids, seed=seed)
        references = _references(dataset, store, split)
    else:
        split = Split(*(_rows(store.ids, record["split"][part].numpy()) for part in Split._fields))
        references = np.asarray(record["references"])
    return Data(
        store=store,
        source_label=store.source_label,
        target=dataset.target,
        unit=info.unit,
        readout=info.readout,
        references=references,
        values=residual(store, dataset.target, references),
        split=split,
    )


def store_root(data_dir: str) -> Path:
    """The folder stores lie in."""
    return Path(data_dir) / "store"


def _references(dataset: Dataset, store: Store, split: Split) -> NDArray[np.float64]:
    if dataset.references == "fitted":
        return fit_references(store, dataset.target, split.train)
    published = store.reference_energies(dataset.target)
    return published if dataset.references == "published" else np.zeros_like(published)


def _rows(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    rows, unknown = find_rows(ids, wanted)
    if len(unknown):
        raise ValueError(
            f"The checkpoint was trained on {len(unknown)} molecules this data set does not have, "
            f"the first are {unknown[:5].tolist()}. Use the data set (and data_dir) it was trained "
            "on."
        )
    return rows


def check_split(data: Data) -> None:
    """Refuse a split that cannot train, choose the best weights and test."""
    for part, rows in zip(Split._fields, data.split):
        if not len(rows):
            sizes = {name: len(getattr(data.split, name)) for name in Split._fields}
            raise ValueError(
                f"The split leaves no molecules for {part}: {sizes}. A run needs some in each "
                "part; change dataset.split."
            )


def make_plans(cfg: DictConfig, data: Data) -> dict[str, PackPlan]:
    """One plan a split, all of one pack size; a split without molecules has none."""
    packer = instantiate(cfg.packer)
    sizes = data.store.num_atoms
    if cfg.shape == "auto" or cfg.shape.num_atoms == "auto":
        # Without a batch_size, packs of any size make an update.
        asked = auto_shape(packer, sizes, batch_size=cfg.batch_size or sizes.size)
        if cfg.shape != "auto":
            asked = PackShape(**{**cfg.shape, "num_atoms": asked.num_atoms})
    else:
        asked = PackShape(**cfg.shape)
    pairs = None if asked.num_pairs is None else data.store.num_pairs(cfg.cutoff)
    if pairs is not None and asked.num_pairs is not None and pairs.max() > asked.num_pairs:
        most = int(pairs.argmax())
        raise ValueError(
            f"Molecule number {data.store.ids[most]} of {data.store.manifest.dataset} has "
            f"{pairs[most]} pairs within {cfg.cutoff:g} Å, but a pack holds {asked.num_pairs}. "
            f"Raise shape.num_pairs to at least {pairs[most]}, the most of any molecule, or leave "
            "it out."
        )
    # From all molecules, so that every split has the same shape.
    shape = resolve_num_atoms(packer, sizes, asked, num_pairs=pairs)
    largest = int(sizes.argmax())
    if shape.num_atoms is not None and sizes[largest] > shape.num_atoms:
        # Before a packer says it with the molecule's place in a split, which no user knows.
        raise ValueError(
            f"Molecule number {data.store.ids[largest]} of {data.store.manifest.dataset} has "
            f"{sizes[largest]} atoms, but a pack holds {shape.num_atoms}. Raise shape.num_atoms to "
            f"at least {sizes[largest]}, the largest molecule, or leave it out."
        )
    return {
        part: packer(
            sizes[rows], shape, num_pairs=None if pairs is None else pairs[rows], seed=cfg.seed
        )
        for part, rows in zip(Split._fields, data.split)
        if len(rows)
    }


def make_data_module(
    cfg: DictConfig,
    data: Data,
    plans: Mapping[str, PackPlan],
    parts: Mapping[str, str] | None = None,
) -> PackedDataModule:
    """Loaders over the plans.

    Args:
        parts: which part of the split a loader reads; None = the one of its own name.
    """
    store = data.store
    sources = {}
    for name in plans:
        rows = getattr(data.split, name if parts is None else parts[name])
        sources[name] = PackSource(store.z, store.pos, store.offsets, data.values, rows)
    return PackedDataModule(sources, plans, batch_size=cfg.batch_size, seed=cfg.seed, **cfg.loader)


class Scale(NamedTuple):
    """Mean and deviation of the training targets: per atom for sums, per molecule for means."""

    mean: float
    std: float


def target_scale(data: Data) -> Scale:
    """Statistics of the training split alone."""
    rows = data.split.train
    values = data.values[rows]
    if data.readout == "sum":
        values = values / data.store.num_atoms[rows]
    return Scale(float(values.mean()), float(values.std()) or 1.0)


def baseline_mae(data: Data, scale: Scale, part: str = "test") -> float:
    """MAE of predicting the training mean (per atom, for sums), the target's unit."""
    rows = getattr(data.split, part)
    atoms = data.store.num_atoms[rows] if data.readout == "sum" else 1
    return float(np.abs(data.values[rows] - scale.mean * atoms).mean())
