"""From packs or patterns to a `PackPlan`: the last step of every packer."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.bounds import lower_bound
from gnnpack.packing.checks import CheckedSizes
from gnnpack.packing.composition import Composition, deal
from gnnpack.packing.patterns import Pattern, compose
from gnnpack.packing.plan import PackPlan
from gnnpack.packing.shape import PackShape


def plan_from_packs(
    molecules: NDArray[np.int64],
    offsets: NDArray[np.int64],
    checked: CheckedSizes,
    shape: PackShape,
    *,
    packer: str,
    seed: int,
    options: Mapping[str, Any] | None = None,
    bound: tuple[int, str] | None = None,
    redraws: bool = False,
) -> PackPlan:
    """A plan of the packs molecules[offsets[i]:offsets[i+1]], its shape and bound filled in.

    bound: (packs, kind) that the packer itself has proven; None takes `bounds.lower_bound`.
    """
    if shape.num_molecules is None:
        shape = replace(shape, num_molecules=max(1, int(np.diff(offsets).max())))
        bound = bound or lower_bound(checked, replace(shape, num_molecules=None))
    packs, kind = bound or lower_bound(checked, shape)
    return PackPlan(
        molecules=molecules,
        offsets=offsets,
        num_atoms=checked.num_atoms,
        num_pairs=checked.num_pairs,
        shape=shape,
        packer=packer,
        options=dict(options or {}),
        seed=operator.index(seed),
        lower_bound=packs,
        bound_kind=kind,
        redraws=redraws,
    )


def plan_from_patterns(
    patterns: Sequence[Pattern],
    checked: CheckedSizes,
    shape: PackShape,
    *,
    packer: str,
    seed: int,
    options: Mapping[str, Any] | None = None,
    bound: tuple[int, str] | None = None,
) -> PackPlan:
    """A plan whose packs follow `patterns`; the rest as in `plan_from_packs`."""
    assert shape.num_pairs is None, "patterns know atoms; molecules of one size differ in pairs"
    return plan_from_composition(
        compose(patterns, checked),
        checked,
        shape,
        packer=packer,
        seed=seed,
        options=options,
        bound=bound,
    )


def plan_from_composition(
    composition: Composition,
    checked: CheckedSizes,
    shape: PackShape,
    *,
    packer: str,
    seed: int,
    options: Mapping[str, Any] | None = None,
    bound: tuple[int, str] | None = None,
    redraws: bool = False,
) -> PackPlan:
    """A plan of the packs of a composition; the rest as in `plan_from_packs`."""
    molecules, offsets = deal(composition)
    plan = plan_from_packs(
        molecules,
        offsets,
        checked,
        shape,
        packer=packer,
        seed=seed,
        options=options,
        bound=bound,
        redraws=redraws,
    )
    plan.keep(composition)
    return plan
