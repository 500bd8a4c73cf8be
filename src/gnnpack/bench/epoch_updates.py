"""The updates of a training epoch, as lists of molecules for those who know no packs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.batching import PackLoader, packs_per_update
from gnnpack.bench.data import BenchData, shapes
from gnnpack.packing import PackPlan, lpfhp

PREFETCH = 4  # batches, as conf/config.yaml has it


def training_plan(data: BenchData, seed: int) -> PackPlan:
    """The plan a run makes with packer=lpfhp and a shape of its choice."""
    return lpfhp(data.train.num_atoms, shapes(data)[0], seed=seed)


def packs_of(plan: PackPlan, batch_size: int) -> int:
    """Packs of one update."""
    return packs_per_update(batch_size, num_packs=plan.num_packs, num_molecules=len(plan.molecules))


def epoch_updates(plan: PackPlan, batch_size: int, seed: int) -> list[NDArray[np.int64]]:
    """Which molecules of the training split each update of epoch 0 holds."""
    epoch, packs = plan.epoch(seed, 0), packs_of(plan, batch_size)
    # A last update may have fewer packs.
    starts = epoch.offsets[: epoch.num_packs : packs]
    return np.split(epoch.molecules, starts[1:])


def training_loader(
    data: BenchData, plan: PackPlan, batch_size: int, seed: int, depth: int
) -> PackLoader:
    """The loader a run reads epoch 0 from."""
    return PackLoader(
        data.train,
        plan,
        packs_per_update=packs_of(plan, batch_size),
        seed=seed,
        epoch=lambda: 0,
        depth=depth,
    )
