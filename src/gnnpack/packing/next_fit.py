"""Next fit: what dynamic batch samplers do."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.build import plan_from_packs
from gnnpack.packing.checks import CheckedSizes, check_sizes
from gnnpack.packing.compiled import compiled
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape


def next_fit(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
    shuffle: bool = False,
) -> PackPlan:
    """Put molecules in order into one open pack; close it when the next does not fit.

    The rule of PyG's DynamicBatchSampler and jraph's dynamically_batch. Keeps all three limits.
    shuffle=False keeps the order given and ignores seed; shuffle=True draws an order from seed.
    num_atoms, num_pairs: (M,) integers. ValueError: see `check_sizes`.

    >>> next_fit([3, 2, 4], PackShape(5)).molecules_per_pack.tolist()
    [2, 1]
    """
    checked = check_sizes(num_atoms, shape, num_pairs, packer="next_fit", knows_pairs=True)
    molecules = np.arange(checked.num_atoms.size, dtype=np.int64)
    if shuffle:
        np.random.default_rng(seed).shuffle(molecules)
    return plan_from_packs(
        molecules,
        _offsets(checked, shape, molecules),
        checked,
        shape,
        packer="next_fit",
        seed=seed,
        options={"shuffle": shuffle},
    )


def _offsets(
    checked: CheckedSizes, shape: PackShape, molecules: NDArray[np.int64]
) -> NDArray[np.int64]:
    limits = [(checked.num_atoms, checked.capacity)]
    if shape.num_pairs is not None:
        assert checked.num_pairs is not None, "check_sizes refuses a pair limit without pairs"
        limits.append((checked.num_pairs, shape.num_pairs))
    columns = np.stack([column[molecules].astype(np.int64) for column, _ in limits])
    capacities = np.array([capacity for _, capacity in limits], dtype=np.int64)
    max_molecules = molecules.size if shape.num_molecules is None else shape.num_molecules
    kernel = compiled(close_when_full)
    if kernel is None:
        return jump_to_next_pack(columns, capacities, max_molecules)
    offsets: NDArray[np.int64] = kernel(columns, capacities, max_molecules)
    return offsets


def close_when_full(
    columns: NDArray[np.int64], capacities: NDArray[np.int64], max_molecules: int
) -> NDArray[np.int64]:
    """Offsets of next-fit packs for sizes `columns` (L, M) under `capacities` (L,); for numba."""
    num_limits, num_molecules = columns.shape
    offsets = np.empty(num_molecules + 1, dtype=np.int64)
    offsets[0] = 0
    num_packs = 0
    held = np.zeros(num_limits, dtype=np.int64)
    for molecule in range(num_molecules):
        fits = molecule - offsets[num_packs] < max_molecules
        for limit in range(num_limits):
            fits = fits and held[limit] + columns[limit, molecule] <= capacities[limit]
        if not fits:
            num_packs += 1
            offsets[num_packs] = molecule
            held[:] = 0
        for limit in range(num_limits):
            held[limit] += columns[limit, molecule]
    offsets[num_packs + 1] = num_molecules
    return offsets[: num_packs + 2].copy()


def jump_to_next_pack(
    columns: NDArray[np.int64], capacities: NDArray[np.int64], max_molecules: int
) -> NDArray[np.int64]:
    """The same offsets by numpy: where a pack would end from every start, then from end to end."""
    num_molecules = columns.shape[1]
    ends = np.minimum(np.arange(num_molecules) + max_molecules, num_molecules)
    for column, capacity in zip(columns, capacities):
        running = np.concatenate([[0], np.cumsum(column)])
        reach = np.searchsorted(running, running[:-1] + capacity, side="right") - 1
        ends = np.minimum(ends, reach)
    end_of = ends.tolist()
    offsets = [0]
    while offsets[-1] < num_molecules:
        offsets.append(end_of[offsets[-1]])
    return np.array(offsets, dtype=np.int64)
