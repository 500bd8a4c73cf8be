"""The batching loops of other libraries, molecule by molecule, on sizes alone."""

from __future__ import annotations

from itertools import chain
from typing import Sequence

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing import PackPlan, PackShape
from gnnpack.packing.build import plan_from_packs
from gnnpack.packing.checks import check_sizes


def dynamic_batch_sampler(
    num_atoms: NDArray[np.int64], max_num: int, order: Sequence[int], *, skip_too_big: bool = True
) -> list[list[int]]:
    """Batches that PyG's DynamicBatchSampler(max_num=max_num, mode="node") yields in an order.

    As torch_geometric 2.8 does it: next fit, and before each batch the part of the order that is
    left is copied. That sampler loads each sample to learn its size; here num_atoms (M,) is
    looked up. After a molecule above max_num was skipped, others come twice, as they do there.

    >>> dynamic_batch_sampler(np.array([3, 2, 4]), 5, [0, 1, 2])
    [[0, 1], [2]]
    """
    batches: list[list[int]] = []
    taken = 0
    while taken < len(order) and len(batches) < len(order):
        batch: list[int] = []
        held = 0
        for molecule in order[taken:]:
            size = int(num_atoms[molecule])
            if held + size > max_num:
                if held:
                    break
                if skip_too_big:
                    continue
            batch.append(molecule)
            held += size
        taken += len(batch)
        batches.append(batch)
    return batches


def dynamically_batch(
    num_atoms: NDArray[np.int64],
    num_edges: NDArray[np.int64],
    *,
    n_node: int,
    n_edge: int,
    n_graph: int,
) -> list[list[int]]:
    """Batches that jraph.dynamically_batch yields for graphs in the order given.

    num_atoms, num_edges: (M,), directed edges. One node and one graph of every batch are kept for
    padding, so n_node - 1 and n_graph - 1 are real. ValueError: a molecule above these.

    >>> dynamically_batch(np.array([3, 2, 4]), np.array([6, 2, 8]), n_node=6, n_edge=9, n_graph=9)
    [[0, 1], [2]]
    """
    batches: list[list[int]] = []
    batch: list[int] = []
    nodes = edges = 0
    for molecule in range(len(num_atoms)):
        atoms, bonds = int(num_atoms[molecule]), int(num_edges[molecule])
        if atoms > n_node - 1 or bonds > n_edge or n_graph < 2:
            raise ValueError(
                f"molecule {molecule} has {atoms} nodes and {bonds} edges; a batch holds "
                f"{n_node - 1}, {n_edge} and {n_graph - 1} graphs besides padding: raise these."
            )
        full = nodes + atoms > n_node - 1 or edges + bonds > n_edge or len(batch) + 1 > n_graph - 1
        if batch and full:
            batches.append(batch)
            batch, nodes, edges = [], 0, 0
        batch.append(molecule)
        nodes += atoms
        edges += bonds
    if batch:
        batches.append(batch)
    return batches


def plan_of_batches(
    batches: Sequence[Sequence[int]],
    num_atoms: NDArray[np.int64],
    shape: PackShape,
    *,
    num_pairs: NDArray[np.int64] | None = None,
    packer: str,
) -> PackPlan:
    """The batches as packs of `shape`, so that they are counted like any plan.

    ValueError: a batch above the shape, a molecule that is in none or in two.
    """
    checked = check_sizes(num_atoms, shape, num_pairs, packer=packer, knows_pairs=True)
    molecules = np.fromiter(chain.from_iterable(batches), dtype=np.int64)
    offsets = np.cumsum([0, *map(len, batches)], dtype=np.int64)
    plan = plan_from_packs(molecules, offsets, checked, shape, packer=packer, seed=0)
    plan.validate()
    return plan
