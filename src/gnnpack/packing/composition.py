"""Packs by kind and molecules by class: all that an epoch needs to know of a plan."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.compiled import compiled_if_large
from gnnpack.packing.ordering import sorted_by, stable_order

# Sizes above this are numbered anew: a table with one entry a size would grow too large.
LARGEST_TABLE = 2**20


class Composition(NamedTuple):
    """A plan as patterns and pools.

    Molecules of one class agree in every size that a pack limits, so they may change places.
    Packs of one kind hold the same classes in the same order.

    kinds: (num_packs,) unsigned, of each pack. kind_classes[kind_offsets[k]:kind_offsets[k+1]]
    are the classes of kind k; offsets int64, classes int32. pool: (M,) int32 or int64, the
    molecules class after class; class_starts: (C+1,) int64, where each class starts in it.
    """

    kinds: NDArray[Any]
    kind_offsets: NDArray[np.int64]
    kind_classes: NDArray[np.int32]
    pool: NDArray[Any]
    class_starts: NDArray[np.int64]


def composition_of(
    molecules: NDArray[np.int64], offsets: NDArray[np.int64], columns: Sequence[NDArray[Any]]
) -> Composition:
    """The composition of the packs molecules[offsets[i]:offsets[i+1]].

    molecules: (M,) int64; offsets: (num_packs+1,) int64; columns: (M,) each, the sizes, in every
    number that a pack limits, of the molecule in each slot.
    """
    classes = _classes(columns)
    class_starts = np.concatenate([[0], np.cumsum(np.bincount(classes))])
    opens_kind = _opens_kind(classes, offsets)
    kind_classes, kind_offsets = take_packs(classes, offsets, np.flatnonzero(opens_kind))
    return Composition(
        kinds=narrow(np.cumsum(opens_kind) - 1, kind_offsets.size),
        kind_offsets=kind_offsets,
        kind_classes=kind_classes,
        pool=sorted_by(classes, class_starts, narrow_molecules(molecules)),
        class_starts=class_starts,
    )


def deal(composition: Composition) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Molecules (M,) and offsets (num_packs+1,), int64, of the packs in the order of their kinds.

    Each slot takes the next molecule of its class.
    """
    kinds, kind_offsets, kind_classes, pool, class_starts = composition
    kernel = compiled_if_large(deal_slots, pool.size)
    if kernel is None:
        classes, offsets = take_packs(kind_classes, kind_offsets, kinds.astype(np.int64))
        molecules = np.empty(pool.size, dtype=np.int64)
        # The pool lies class after class.
        molecules[stable_order(classes)] = pool
        return molecules, offsets
    molecules = np.empty(pool.size, dtype=np.int64)
    offsets = np.zeros(kinds.size + 1, dtype=np.int64)
    kernel(kinds, kind_offsets, kind_classes, pool, class_starts, molecules, offsets)
    return molecules, offsets


def deal_slots(
    kinds: NDArray[Any],
    kind_offsets: NDArray[np.int64],
    kind_classes: NDArray[np.int32],
    pool: NDArray[Any],
    class_starts: NDArray[np.int64],
    molecules: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> None:
    """`deal` for numba: writes molecules (M,) and offsets (num_packs+1,)."""
    following = class_starts.copy()
    slot = 0
    for pack in range(kinds.size):
        kind = kinds[pack]
        for place in range(kind_offsets[kind], kind_offsets[kind + 1]):
            taken = following[kind_classes[place]]
            following[kind_classes[place]] = taken + 1
            molecules[slot] = pool[taken]
            slot += 1
        offsets[pack + 1] = slot


def take_packs(
    slots: NDArray[Any], offsets: NDArray[np.int64], packs: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """What stands in the slots of `packs` (K,), in that order, and their offsets.

    >>> take_packs(np.array([7, 8, 9]), np.array([0, 2, 2, 3]), np.array([2, 1, 0]))
    (array([9, 7, 8]), array([0, 1, 1, 3]))
    """
    starts = offsets[packs]
    lengths = offsets[packs + 1] - starts
    taken_offsets = np.zeros(packs.size + 1, dtype=np.int64)
    np.cumsum(lengths, out=taken_offsets[1:])
    taken = np.repeat(starts - taken_offsets[:-1], lengths)
    taken += np.arange(taken.size)
    return slots[taken], taken_offsets


def narrow(numbers: NDArray[np.int64], end: int) -> NDArray[Any]:
    """Numbers in [0, end) in the narrowest unsigned type: a shuffle of them stays in cache."""
    return numbers.astype(np.min_scalar_type(end))


def narrow_molecules(molecules: NDArray[np.int64]) -> NDArray[Any]:
    """Molecules as int32 where the largest allows it, otherwise as they are."""
    small = molecules.size == 0 or int(molecules.max()) < 2**31
    return molecules.astype(np.int32) if small else molecules


def _classes(columns: Sequence[NDArray[Any]]) -> NDArray[np.int32]:
    """The class of each slot (M,) int32: slots that agree in every column share one."""
    if len(columns) == 1 and (columns[0].size == 0 or int(columns[0].max()) <= LARGEST_TABLE):
        return columns[0].astype(np.int32)
    order = stable_order(columns[-1])
    for column in reversed(columns[:-1]):
        order = order[stable_order(column[order])]
    differs = np.zeros(order.size, dtype=np.bool_)
    for column in columns:
        ordered = column[order]
        differs[1:] |= ordered[1:] != ordered[:-1]
    classes = np.empty(order.size, dtype=np.int32)
    classes[order] = np.cumsum(differs)
    return classes


def _opens_kind(classes: NDArray[np.int32], offsets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each pack (num_packs,) differs in its classes from the pack before it."""
    lengths = np.diff(offsets)
    opens = np.ones(lengths.size, dtype=np.bool_)
    opens[1:] = lengths[1:] != lengths[:-1]
    # Meaningless for the first pack and after a pack of another length, which open a kind anyway.
    before = np.maximum(np.arange(classes.size) - np.repeat(lengths, lengths), 0)
    differing = np.concatenate([[0], np.cumsum(classes != classes[before])])
    opens[1:] |= (differing[offsets[1:]] != differing[offsets[:-1]])[1:]
    return opens
