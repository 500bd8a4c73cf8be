"""How long each packer plans, and how full its packs are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnpack.bench.section import Contender, Section, measure
from gnnpack.packing import (
    Packer,
    PackPlan,
    PackShape,
    first_fit_decreasing,
    lpfhp,
    next_fit,
    one_per_pack,
    packer_name,
    resolve_num_atoms,
)

PACKERS = (lpfhp, first_fit_decreasing, next_fit, one_per_pack)


def measure_plans(
    num_atoms: NDArray[np.int64], packed: PackShape, padded: PackShape, repeats: int
) -> Section:
    """Plan the molecules with each packer.

    Args:
        num_atoms: (M,) atoms of each molecule of the training split.
        packed: the shape of all packers but ``one_per_pack``.
        padded: the shape of ``one_per_pack``.
    """
    contenders = [
        _contender(packer, num_atoms, padded if packer is one_per_pack else packed)
        for packer in PACKERS
    ]
    return measure(
        "plan",
        "Plan the training split",
        f"{len(num_atoms):,} molecules; fill is real atoms over atom slots.",
        contenders,
        repeats,
        columns=("packs", "lower_bound", "fill"),
    )


def shapes(num_atoms: NDArray[np.int64]) -> tuple[PackShape, PackShape]:
    """The shape LPFHP fills best and that of one molecule a pack, from all sizes (M,)."""
    asked = PackShape(None)
    packed = resolve_num_atoms(lpfhp, num_atoms, asked)
    return packed, resolve_num_atoms(one_per_pack, num_atoms, asked)


def at(plan: PackPlan) -> str:
    """Packer and pack size, such as lpfhp@36."""
    return f"{plan.packer}@{plan.atom_capacity}"


def _contender(packer: Packer, num_atoms: NDArray[np.int64], shape: PackShape) -> Contender:
    plan = packer(num_atoms, shape)
    plan.validate()

    def facts() -> dict[str, Any]:
        return {
            "packs": plan.num_packs,
            "lower_bound": plan.lower_bound,
            "fill": plan.atom_efficiency,
        }

    return Contender(
        packer_name(packer), at(plan), lambda: packer(num_atoms, shape), len(num_atoms), facts
    )
