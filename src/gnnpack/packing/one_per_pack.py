"""Plain padding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gnnpack.packing.build import plan_from_packs
from gnnpack.packing.checks import check_sizes
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape


def one_per_pack(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
) -> PackPlan:
    """One molecule a pack, in the order given: padding without packing.

    num_atoms, num_pairs: (M,) integers. seed is recorded, nothing is drawn. ValueError: see
    `check_sizes`.

    >>> one_per_pack([3, 5], PackShape(5)).atom_efficiency
    0.8
    """
    checked = check_sizes(num_atoms, shape, num_pairs, packer="one_per_pack", knows_pairs=True)
    num_molecules = checked.num_atoms.size
    return plan_from_packs(
        np.arange(num_molecules, dtype=np.int64),
        np.arange(num_molecules + 1, dtype=np.int64),
        checked,
        shape,
        packer="one_per_pack",
        seed=seed,
    )
