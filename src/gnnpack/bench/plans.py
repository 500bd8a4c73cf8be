"""How long each packer plans, and how full its packs are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnpack.bench.packer_list import PACKERS, Entry, Molecules
from gnnpack.bench.section import Contender, Section, measure
from gnnpack.packing import PackPlan, PackShape


def measure_plans(
    num_atoms: NDArray[np.int64], packed: PackShape, padded: PackShape, repeats: int
) -> Section:
    """Plan the molecules with every packer.

    Args:
        num_atoms: (M,) atoms of each molecule of the training split.
        packed: the shape of all packers but those of their own size.
        padded: the shape of these.
    """
    contenders = [
        _contender(entry, Molecules(num_atoms), padded if entry.own_size else packed)
        for entry in PACKERS
    ]
    return measure(
        "plan",
        "Plan the training split",
        f"{len(num_atoms):,} molecules; fill is real atoms over atom slots. `gnnpack bench "
        "packers` has other shapes and data sets, and memory.",
        contenders,
        repeats,
        columns=("packs", "lower_bound", "fill"),
    )


def at(plan: PackPlan) -> str:
    """Packer and pack size, such as lpfhp@36."""
    return f"{plan.packer}@{plan.atom_capacity}"


def _contender(entry: Entry, molecules: Molecules, shape: PackShape) -> Contender:
    plan = entry.plan(molecules, shape)
    plan.validate()

    def facts() -> dict[str, Any]:
        return {
            "packs": plan.num_packs,
            "lower_bound": plan.lower_bound,
            "fill": plan.atom_efficiency,
        }

    label = f"{entry.label}@{plan.atom_capacity}"
    return Contender(
        entry.label, label, lambda: entry.plan(molecules, shape), plan.num_molecules, facts
    )
