"""Patterns: what a histogram algorithm finds, and how molecules come into them."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.checks import CheckedSizes
from gnnpack.packing.composition import (
    LARGEST_TABLE,
    Composition,
    deal,
    narrow,
    narrow_molecules,
)
from gnnpack.packing.ordering import sorted_by, stable_order


class Pattern(NamedTuple):
    """`packs` packs, each holding molecules of these `sizes` (numbers of atoms)."""

    packs: int
    sizes: tuple[int, ...]


def num_packs(patterns: Sequence[Pattern]) -> int:
    """Packs of all patterns together."""
    return sum(pattern.packs for pattern in patterns)


def assign(
    patterns: Sequence[Pattern], checked: CheckedSizes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Molecules (M,) int64 and offsets (num_packs+1,) int64 of packs cut by `patterns`.

    Packs follow the order of the patterns; molecules of one size are taken in the order given.
    AssertionError: the patterns do not use every molecule once, a fault of the algorithm.
    """
    return deal(compose(patterns, checked))


def compose(patterns: Sequence[Pattern], checked: CheckedSizes) -> Composition:
    """The composition of packs cut by `patterns`: each size a class, each pattern a kind."""
    class_of = {size: place for place, size in enumerate(checked.sizes.tolist())}
    kind_classes = [[class_of[size] for size in pattern.sizes] for pattern in patterns]
    _refuse_other_molecules(patterns, kind_classes, checked)
    kinds = narrow(np.arange(len(patterns)), len(patterns))
    lengths = [len(classes) for classes in kind_classes]
    return Composition(
        kinds=np.repeat(kinds, [pattern.packs for pattern in patterns]),
        kind_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        kind_classes=np.array([c for classes in kind_classes for c in classes], dtype=np.int32),
        pool=_sorted_molecules(checked),
        class_starts=np.concatenate([[0], np.cumsum(checked.counts)]),
    )


def _refuse_other_molecules(
    patterns: Sequence[Pattern], kind_classes: Sequence[Sequence[int]], checked: CheckedSizes
) -> None:
    left = checked.counts.tolist()
    total = sum(pattern.packs * len(pattern.sizes) for pattern in patterns)
    assert total <= sum(left), "patterns hold more molecules than there are"
    for (packs, sizes), classes in zip(patterns, kind_classes):
        for size, place in zip(sizes, classes):
            left[place] -= packs
            assert left[place] >= 0, f"patterns hold too many molecules of size {size}"
    assert not any(left), "patterns leave molecules out"


def _sorted_molecules(checked: CheckedSizes) -> NDArray[Any]:
    """All molecules (M,), int32 where that holds them, smallest first, equals in order."""
    largest = int(checked.sizes[-1])
    if largest > LARGEST_TABLE:
        return narrow_molecules(stable_order(checked.num_atoms))
    starts = np.zeros(largest + 2, dtype=np.int64)
    starts[checked.sizes + 1] = checked.counts
    num_molecules = checked.num_atoms.size
    molecules = np.arange(num_molecules, dtype=np.int32 if num_molecules < 2**31 else np.int64)
    return sorted_by(checked.num_atoms, np.cumsum(starts), molecules)
