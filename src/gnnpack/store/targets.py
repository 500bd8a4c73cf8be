"""Reference energies: subtracted in float64, published or fitted on the training split."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from gnnpack.store.composition import determined_sums, sum_words
from gnnpack.store.store import NUM_ELEMENTS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gnnpack.store.store import Store

log = logging.getLogger(__name__)

# Atoms looked at together, so that millions of molecules do not become one large float64 array.
_BLOCK_MOLECULES = 1 << 18


def reference_sum(
    z: NDArray[np.uint8], offsets: NDArray[np.int64], references: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of ``references[z]`` over each molecule, (M,) float64.

    z (A,), offsets (M+1,) with at least one atom a molecule, references (119,) by atomic number.

    >>> reference_sum(np.array([1, 1, 8]), np.array([0, 2, 3]), np.arange(119.0)).tolist()
    [2.0, 8.0]
    """
    assert references.shape == (NUM_ELEMENTS,), f"references have shape {references.shape}"
    sums = np.empty(len(offsets) - 1, dtype=np.float64)
    for start in range(0, len(sums), _BLOCK_MOLECULES):
        edges = np.asarray(offsets[start : start + _BLOCK_MOLECULES + 1])
        values = references[z[edges[0] : edges[-1]]]
        sums[start : start + len(edges) - 1] = np.add.reduceat(values, edges[:-1] - edges[0])
    return sums


def residual(store: Store, name: str, references: NDArray[np.float64]) -> NDArray[np.float64]:
    """A target's totals less the references of its atoms, (M,) float64.

    ValueError for references other than 0 on a target whose readout is the mean.
    """
    if references.any():
        _refuse_mean(store, name)
    return store.target(name) - reference_sum(store.z, store.offsets, references)


def fit_references(store: Store, name: str, rows: ArrayLike) -> NDArray[np.float64]:
    """Least-squares value of each element from the molecules in ``rows``, (119,) float64.

    Where compositions do not tell elements apart (water clusters always have two H an O), the
    smallest solution is taken and a warning logged. ValueError when the store has elements that
    ``rows`` do not, or when the target's readout is the mean.
    """
    _refuse_mean(store, name)
    chosen = np.asarray(rows, dtype=np.int64)
    elements = np.flatnonzero(np.bincount(store.z, minlength=NUM_ELEMENTS))
    composition = _composition(store, chosen, elements)
    absent = elements[composition.sum(axis=0) == 0]
    if len(absent):
        raise ValueError(
            f"The {len(chosen)} molecules to fit reference energies on have no atom of the "
            f"elements {absent.tolist()}, which the store has. Train on more molecules or use "
            "published references."
        )
    values, _, rank, _ = np.linalg.lstsq(composition, store.target(name)[chosen], rcond=None)
    if rank < len(elements):
        sums = [sum_words(one) for one in determined_sums(composition, elements.tolist())]
        log.warning(
            "Compositions fix only %d of %d reference energies of %s (%s); the smallest are used.",
            rank,
            len(elements),
            name,
            "; ".join(sums),
        )
    references = np.zeros(NUM_ELEMENTS, dtype=np.float64)
    references[elements] = values
    return references


def _composition(
    store: Store, rows: NDArray[np.int64], elements: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Atoms of each element in each of the rows, (rows, elements) float64."""
    table = np.empty((len(rows), len(elements)), dtype=np.float64)
    for column, element in enumerate(elements):
        only = np.zeros(NUM_ELEMENTS, dtype=np.float64)
        only[element] = 1.0
        table[:, column] = reference_sum(store.z, store.offsets, only)[rows]
    return table


def _refuse_mean(store: Store, name: str) -> None:
    if store.target_info(name).readout != "sum":
        raise ValueError(
            f"{name} is a mean over atoms; reference energies belong to sums. Leave them out."
        )
