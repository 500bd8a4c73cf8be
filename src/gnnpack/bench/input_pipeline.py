"""How many molecules a second the loaders bring when nobody trains."""

from __future__ import annotations

from itertools import islice
from typing import Iterable

import numpy as np

from gnnpack.bench.beside_pyg import PyG
from gnnpack.bench.data import BenchData
from gnnpack.bench.epoch_updates import PREFETCH, epoch_updates, training_loader, training_plan
from gnnpack.bench.section import PYG, Contender, Section, measure

# More would only take longer.
MOST_UPDATES = 64


def measure_input(
    data: BenchData, pyg: PyG | None, batch_size: int, seed: int, repeats: int
) -> Section:
    """Read the first updates of an epoch from each loader."""
    plan = training_plan(data, seed)
    updates = epoch_updates(plan, batch_size, seed)[:MOST_UPDATES]
    molecules = sum(map(len, updates))
    contenders = []
    for name, label, depth in (
        ("ahead", f"gnnpack, {PREFETCH} batches ahead", PREFETCH),
        ("asked", "gnnpack, when asked", 0),
    ):
        loader = training_loader(data, plan, batch_size, seed, depth)
        # Late binding would give both rows the last loader.
        contenders.append(
            Contender(name, label, lambda one=loader: drain(one, len(updates)), molecules)  # type: ignore[misc]
        )
    if pyg is not None:
        held = np.concatenate(updates)
        batches = np.split(np.arange(len(held)), np.cumsum([len(one) for one in updates])[:-1])
        theirs = pyg.loader(
            pyg.data_list(data.source_of(data.train.rows[held])),
            batch_sampler=[one.tolist() for one in batches],
        )
        contenders.append(Contender(PYG, "PyG DataLoader", lambda: drain(theirs), molecules))
    return measure(
        "input",
        "Input pipeline alone",
        f"The first {len(updates)} updates of an epoch, {molecules:,} molecules, batch "
        f"{batch_size}: from the store's columns to batches; PyG's from Data objects that exist "
        "already. gnnpack's rows hold the order of the epoch too. No neighbours.",
        contenders,
        repeats,
        baseline=PYG,
    )


def drain(loader: Iterable[object], most: int | None = None) -> int:
    """Read at most so many batches; how many there were."""
    return sum(1 for _ in islice(loader, most))
