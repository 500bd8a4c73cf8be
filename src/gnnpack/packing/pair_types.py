"""Molecules by what two limits see of them: atoms and pairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.composition import Composition, narrow, narrow_molecules
from gnnpack.packing.ordering import stable_order


class PairTypes(NamedTuple):
    """The distinct (atoms, pairs) of molecules, ascending by atoms, then pairs: (T,) int64 each."""

    atoms: NDArray[np.int64]
    pairs: NDArray[np.int64]
    counts: NDArray[np.int64]


class PacksOfTypes(NamedTuple):
    """Pack i holds molecules of types[offsets[i]:offsets[i+1]].

    types: (M,) int32, places in a `PairTypes`; offsets: (num_packs+1,) int64. The first num_drawn
    packs were drawn from a law, the others hold what it left. In no random order: rare types are
    used up early.
    """

    types: NDArray[np.int32]
    offsets: NDArray[np.int64]
    num_drawn: int

    @property
    def num_packs(self) -> int:
        """How many there are."""
        return int(self.offsets.size - 1)


def pair_types(num_atoms: NDArray[Any], num_pairs: NDArray[Any]) -> tuple[PairTypes, NDArray[Any]]:
    """The types of molecules, and the molecules (M,) int32 or int64, type after type.

    num_atoms, num_pairs: (M,) non-negative integers, M >= 1.

    >>> types, molecules = pair_types(np.array([5, 3, 5]), np.array([7, 2, 7]))
    >>> types.atoms.tolist(), types.pairs.tolist(), types.counts.tolist(), molecules.tolist()
    ([3, 5], [2, 7], [1, 2], [1, 0, 2])
    """
    order = stable_order(num_pairs)
    order = order[stable_order(num_atoms[order])]
    atoms, pairs = num_atoms[order], num_pairs[order]
    firsts = first_of_runs(atoms, pairs)
    counts = np.diff(np.append(firsts, order.size))
    types = PairTypes(atoms[firsts].astype(np.int64), pairs[firsts].astype(np.int64), counts)
    return types, narrow_molecules(order)


def first_of_runs(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.int64]:
    """Where one or other, (M,) each, differs from the place before; place 0 does.

    >>> first_of_runs(np.array([1, 1, 2, 2]), np.array([0, 0, 0, 3])).tolist()
    [0, 2, 3]
    """
    opens = np.ones(one.size, dtype=np.bool_)
    opens[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    return np.flatnonzero(opens)


def sums_per_pack(
    slots: NDArray[np.int32], offsets: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Sum of sizes[type] over the slots of each pack, (num_packs,) int64."""
    running = np.concatenate([[0], np.cumsum(sizes[slots])])
    sums: NDArray[np.int64] = running[offsets[1:]] - running[offsets[:-1]]
    return sums


def composition_of_types(
    packs: PacksOfTypes, types: PairTypes, molecules: NDArray[Any]
) -> Composition:
    """The composition of a plan with these packs; molecules as from `pair_types`."""
    return Composition(
        kinds=narrow(np.arange(packs.num_packs), packs.num_packs),
        kind_offsets=packs.offsets,
        kind_classes=packs.types,
        pool=molecules,
        class_starts=np.concatenate([[0], np.cumsum(types.counts)]),
    )
