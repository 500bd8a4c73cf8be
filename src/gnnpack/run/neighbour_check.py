"""How many neighbours a fixed number of them cuts off, on molecules of the data."""

from __future__ import annotations

import logging

import numpy as np
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from gnnpack.batching import PackLoader, PackSource
from gnnpack.kernels import count_cut
from gnnpack.packing import PackShape, one_per_pack
from gnnpack.run.data import Data

log = logging.getLogger(__name__)

SAMPLE = 2000
"""Molecules that are looked at, spread evenly over the training split."""

MOLECULES_AT_ONCE = 64


@rank_zero_only
def check_neighbours(model: nn.Module, data: Data) -> None:
    """Say which share of the neighbours within the cutoff ``neighbours=knn`` leaves out."""
    if getattr(model, "neighbours", None) != "knn":
        return
    k, cutoff = int(model.num_neighbours), float(model.cutoff)  # type: ignore[arg-type]
    largest = int(data.store.num_atoms.max())
    if largest <= k + 1:
        log.info("knn    %d nearest: none is cut, no molecule has more than %d atoms", k, largest)
        return
    cut, total, molecules = neighbours_cut(data, cutoff, k)
    say = log.warning if cut else log.info
    say(
        "knn    %d nearest of each atom: %.2f %% of the neighbours within %g Å are cut, in %s "
        "molecules of the training split",
        k,
        100 * cut / max(1, total),
        cutoff,
        f"{molecules:,}",
    )


def neighbours_cut(data: Data, cutoff: float, k: int) -> tuple[int, int, int]:
    """Ordered pairs beyond the ``k`` nearest, all within ``cutoff``, and the molecules seen."""
    rows, store = data.split.train, data.store
    chosen = rows[np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(np.int64)]
    source = PackSource(store.z, store.pos, store.offsets, None, chosen)
    plan = one_per_pack(source.num_atoms, PackShape(int(source.num_atoms.max())))
    cut, total = 0, 0
    for batch in PackLoader(source, plan, packs_per_update=min(MOLECULES_AT_ONCE, len(chosen))):
        more = count_cut(batch.pos, batch.molecule_slot, batch.atom_mask, cutoff, k)
        cut, total = cut + more[0], total + more[1]
    return cut, total, len(chosen)
