"""What a data set holds, in numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from hydra.utils import instantiate

from gnnpack.packing import optimal
from gnnpack.packing.advice import Advice, advise
from gnnpack.packing.checks import histogram
from gnnpack.run.data import Data, open_split, store_root
from gnnpack.store import Store, open_store, reference_sum
from gnnpack.store.composition import ambiguous_elements, determined_sums, sum_words

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from omegaconf import DictConfig

    from gnnpack.datasets import Dataset

# Atoms looked at together.
_BLOCK_ATOMS = 1 << 24


class Spread(NamedTuple):
    """Least, mean, largest and standard deviation."""

    least: float
    mean: float
    largest: float
    deviation: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Spread:
        """Of one or more values."""
        numbers = (values.min(), values.mean(dtype=np.float64), values.max(), values.std())
        return cls(*(float(number) for number in numbers))


class TargetRow(NamedTuple):
    """A target's totals, and its shares an atom (the totals again for means over atoms)."""

    unit: str
    readout: str
    total: Spread
    share: Spread


class Description(NamedTuple):
    """A data set and the columns its figures are drawn from.

    elements: symbol -> atoms of it, and molecules that have it. neighbours: (M,) mean number of
    an atom's neighbours within ``cutoff`` Å. rest: the chosen target less the references, an atom
    (for means: a molecule), (M,); None where the references cannot be had, and ``why`` not.
    sums: what compositions determine of the elements' energies, where that is not each of them.
    """

    store: Store
    dataset: Dataset
    cutoff: float
    sizes: Spread
    elements: dict[str, tuple[int, int]]
    neighbours: NDArray[np.float64]
    most_pairs: int
    targets: dict[str, TargetRow]
    sums: list[str]
    ambiguous: list[str]
    data: Data | None
    rest: NDArray[np.float64] | None
    why: str
    force_size: Spread | None
    advice: Advice


def describe(cfg: DictConfig) -> Description:
    """Open the data set ``cfg`` names and look at all of it; ValueError with the cure."""
    dataset = instantiate(cfg.dataset)
    store = open_store(dataset, store_root(cfg.data_dir))
    pairs = store.num_pairs(cfg.cutoff)
    data, why = _split(cfg, dataset)
    elements, counts = _composition(store)
    sums = determined_sums(counts, elements)
    ambiguous = ambiguous_elements(sums, elements)
    return Description(
        store=store,
        dataset=dataset,
        cutoff=float(cfg.cutoff),
        sizes=Spread.of(store.num_atoms),
        elements=_elements(elements, counts),
        neighbours=2.0 * pairs / store.num_atoms,
        most_pairs=int(pairs.max()),
        targets={name: _target_row(store, name) for name in store.target_names},
        sums=[sum_words(one) for one in sums if len(one) > 1],
        ambiguous=[_symbol(element) for element in ambiguous],
        data=data,
        rest=None if data is None else _rest(data),
        why=why,
        force_size=_force_size(store),
        advice=advise(
            *histogram(store.num_atoms),
            packer=optimal,
            batch_size=cfg.batch_size or store.num_molecules,
        ),
    )


def _split(cfg: DictConfig, dataset: Dataset) -> tuple[Data | None, str]:
    try:
        return open_split(dataset, cfg.data_dir, cfg.seed), ""
    except ValueError as error:
        # The rest can be told all the same.
        return None, str(error)


def _composition(store: Store) -> tuple[list[int], NDArray[np.float64]]:
    """Elements, and the atoms of each in each molecule, (M, E)."""
    totals = np.zeros(119, dtype=np.int64)
    for start in range(0, store.total_atoms, _BLOCK_ATOMS):
        totals += np.bincount(store.z[start : start + _BLOCK_ATOMS], minlength=119)
    elements = np.flatnonzero(totals).tolist()
    counts = np.empty((store.num_molecules, len(elements)), dtype=np.float64)
    for column, element in enumerate(elements):
        only = np.zeros(119, dtype=np.float64)
        only[element] = 1.0
        counts[:, column] = reference_sum(store.z, store.offsets, only)
    return elements, counts


def _elements(elements: list[int], counts: NDArray[np.float64]) -> dict[str, tuple[int, int]]:
    atoms, molecules = counts.sum(axis=0), (counts > 0).sum(axis=0)
    return {
        _symbol(element): (int(atoms[column]), int(molecules[column]))
        for column, element in enumerate(elements)
    }


def _symbol(element: int) -> str:
    from ase.data import chemical_symbols

    return str(chemical_symbols[element])


def _target_row(store: Store, name: str) -> TargetRow:
    info, values = store.target_info(name), store.target(name)
    share = values / store.num_atoms if info.readout == "sum" else values
    return TargetRow(info.unit, info.readout, Spread.of(values), Spread.of(share))


def _rest(data: Data) -> NDArray[np.float64]:
    return data.values / data.store.num_atoms if data.readout == "sum" else data.values


def _force_size(store: Store) -> Spread | None:
    """Of the length of the force on each atom; the deviation is the root mean square."""
    if store.forces is None:
        return None
    least, largest, total, squares = np.inf, 0.0, 0.0, 0.0
    for start in range(0, store.total_atoms, _BLOCK_ATOMS):
        some = np.asarray(store.forces[start : start + _BLOCK_ATOMS], dtype=np.float64)
        size = np.sqrt((some**2).sum(axis=1))
        least, largest = min(least, float(size.min())), max(largest, float(size.max()))
        total, squares = total + float(size.sum()), squares + float((size**2).sum())
    number = store.total_atoms
    return Spread(least, total / number, largest, float(np.sqrt(squares / number)))
