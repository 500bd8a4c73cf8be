"""Other partners of other sizes in every epoch, and packs as full as can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from gnnpack.packing.build import plan_from_composition
from gnnpack.packing.checks import check_sizes
from gnnpack.packing.optimal import optimal
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.redraw import Redraw
from gnnpack.packing.shape import PackShape

# The plan has as many packs as the longest of these, so that epochs find room. Of millions of
# molecules, every draw is as good as any other.
_TRIALS, _TRIALS_OF_MANY, _MANY = 6, 2, 2**22


def random_exact(
    num_atoms: ArrayLike,
    shape: PackShape,
    *,
    num_pairs: ArrayLike | None = None,
    seed: int = 0,
    max_extra: float = 0.002,
) -> PackPlan:
    """Packs drawn at random in every epoch anew, nearly all exactly full.

    Sizes meet as independently as full packs let them (`fill_law`), so large molecules do not
    keep to themselves as in LPFHP's plans; a last few hundred packs are those of `optimal`.
    `PackPlan.epoch` draws another composition for each (seed, epoch). Where a random composition
    costs more than max_extra of the packs of `optimal` (sizes that only few patterns fit), the
    plan is that of `optimal`, and in an epoch molecules of equal sizes change places. A limit on
    pairs is kept as well (`two_limits`).
    num_atoms, num_pairs: (M,) integers. ValueError: max_extra below 0; see also `check_sizes`.

    >>> plan = random_exact([5, 5, 6, 6, 7, 7], PackShape(12), seed=1)
    >>> plan.num_packs, plan.lower_bound, plan.redraws
    (3, 3, True)
    """
    if not (isinstance(max_extra, (int, float)) and 0.0 <= max_extra < float("inf")):
        raise ValueError(
            f"max_extra={max_extra} is not a share of packs; 0.002 lets a random composition "
            "cost 0.2 % more packs than the best one"
        )
    checked = check_sizes(num_atoms, shape, num_pairs, packer="random_exact", knows_pairs=True)
    best = optimal(checked.num_atoms, shape, num_pairs=checked.num_pairs)
    most = int(best.num_packs * (1.0 + max_extra))
    redraw = Redraw(best.composition, checked.num_atoms, checked.num_pairs, shape, best.lower_bound)
    num_trials = _TRIALS if checked.num_atoms.size < _MANY else _TRIALS_OF_MANY
    trials = [redraw.composition(seed, epoch, most) for epoch in range(num_trials)]
    drawn = [trial for trial in trials if trial is not None]
    redraws = len(drawn) == num_trials
    composition = best.composition
    if redraws:
        # Epochs differ by a few packs; all must find room, and their molecules slots.
        composition = max(drawn, key=lambda one: one.kinds.size)
        if shape.num_molecules is None:
            most_molecules = max(int(np.diff(one.kind_offsets).max()) for one in drawn)
            shape = replace(shape, num_molecules=most_molecules)
    return plan_from_composition(
        composition,
        checked,
        shape,
        packer="random_exact",
        seed=seed,
        options={"max_extra": float(max_extra)},
        bound=(best.lower_bound, best.bound_kind),
        redraws=redraws,
    )
