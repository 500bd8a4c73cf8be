"""What every packer asks of its input before it packs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.shape import PackShape

# Half of the int64 range: capacities of packs filled at least half stay inside it as well.
_LARGEST_SUM = 2**62
# Above this a table with one entry a size costs more memory than sorting does time.
_LARGEST_TABLE = 2**20
_COUNTED_AT_ONCE = 2**16


class CheckedSizes(NamedTuple):
    """Sizes that fit their shape: `num_atoms` (M,), `num_pairs` (M,) or None, and a histogram.

    `sizes` (S,) int64 are the distinct numbers of atoms, ascending; `counts` (S,) int64 say how
    many molecules have each. The two (M,) arrays are the caller's, not copies.
    """

    num_atoms: NDArray[Any]
    num_pairs: NDArray[Any] | None
    sizes: NDArray[np.int64]
    counts: NDArray[np.int64]
    capacity: int


def check_sizes(
    num_atoms: ArrayLike,
    shape: PackShape,
    num_pairs: ArrayLike | None = None,
    *,
    packer: str,
    knows_pairs: bool,
) -> CheckedSizes:
    """Refuse, with the cure, what `packer` cannot pack into `shape`.

    num_atoms, num_pairs: (M,) of any integer type; pairs are undirected and may be 0.
    ValueError: empty, not 1-D, not integers, sizes below 1, a molecule larger than the shape,
    a pair limit that the packer does not know or that has no pair counts, sums beyond 2**62.
    """
    if not isinstance(shape, PackShape):
        raise ValueError(f"{packer}: shape={shape!r} is no PackShape; write PackShape({shape!r})")
    if shape.num_atoms is None:
        raise ValueError(
            f"{packer}: shape.num_atoms is null; choose it with "
            f"resolve_num_atoms({packer}, num_atoms, shape) or give a number"
        )
    atoms = check_num_atoms(num_atoms)
    pairs = None if num_pairs is None else _integer_column("num_pairs", num_pairs, smallest=0)
    if pairs is not None and pairs.shape != atoms.shape:
        raise ValueError(
            f"num_pairs has {pairs.size:,} entries but num_atoms has {atoms.size:,}; "
            "both need one entry per molecule, in the same order"
        )
    _refuse_too_large("num_atoms", "atoms", atoms, shape.num_atoms, shape)
    if shape.num_pairs is not None:
        if not knows_pairs:
            raise ValueError(
                f"{packer} fills packs by atoms alone and cannot keep "
                f"shape.num_pairs={shape.num_pairs}; set shape.num_pairs=null or choose a packer "
                "that knows pairs (random_exact, optimal, streaming, tuple_packing, next_fit, "
                "one_per_pack)"
            )
        if pairs is None:
            raise ValueError(
                f"shape.num_pairs={shape.num_pairs} needs the pairs of every molecule; "
                "pass num_pairs, or set shape.num_pairs=null"
            )
        _refuse_too_large("num_pairs", "pairs", pairs, shape.num_pairs, shape)
    sizes, counts = histogram(atoms)
    return CheckedSizes(atoms, pairs, sizes, counts, shape.num_atoms)


def check_num_atoms(num_atoms: ArrayLike) -> NDArray[Any]:
    """`num_atoms` as an array (M,), M >= 1, of positive integers; ValueError otherwise."""
    return _integer_column("num_atoms", num_atoms, smallest=1)


def histogram(num_atoms: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct values of `num_atoms` (M,), ascending, and how often each occurs, both int64 (S,).

    >>> sizes, counts = histogram(np.array([5, 3, 5]))
    >>> sizes.tolist(), counts.tolist()
    ([3, 5], [1, 2])
    """
    largest = int(num_atoms.max())
    if largest > _LARGEST_TABLE:
        sizes, counts = np.unique(num_atoms.astype(np.int64, copy=False), return_counts=True)
        return sizes, counts.astype(np.int64, copy=False)
    table = np.zeros(largest + 1, dtype=np.int64)
    # In parts: numpy counts a copy of 8 bytes a molecule.
    part = max(_COUNTED_AT_ONCE, largest)
    for start in range(0, num_atoms.size, part):
        values = num_atoms[start : start + part].astype(np.int64, copy=False)
        table += np.bincount(values, minlength=largest + 1)
    sizes = np.flatnonzero(table)
    return sizes.astype(np.int64, copy=False), table[sizes]


def _integer_column(name: str, values: ArrayLike, *, smallest: int) -> NDArray[Any]:
    column = np.asarray(values)
    if column.ndim != 1:
        raise ValueError(f"{name} has shape {column.shape}; it must be 1-D, one entry per molecule")
    if column.size == 0:
        raise ValueError(f"{name} is empty; there is nothing to pack (is a split empty?)")
    if not np.issubdtype(column.dtype, np.integer):
        raise ValueError(
            f"{name} has dtype {column.dtype}; sizes are counts, pass an integer array "
            "(a float array may already have lost whole numbers)"
        )
    lowest = int(column.min())
    if lowest < smallest:
        place = int(column.argmin())
        raise ValueError(
            f"{name}[{place}] = {lowest}: molecule {place} must have at least {smallest}; "
            "correct or remove it in the data set"
        )
    if int(column.max()) * column.size >= _LARGEST_SUM:
        raise ValueError(
            f"{name}: {column.size:,} molecules of up to {int(column.max()):,} may sum beyond "
            f"2**62 and overflow; {name}[{int(column.argmax())}] is the largest, is it right?"
        )
    return column


def _refuse_too_large(
    name: str, noun: str, column: NDArray[Any], limit: int, shape: PackShape
) -> None:
    largest = int(column.max())
    if largest > limit:
        place = int(column.argmax())
        raise ValueError(
            f"molecule {place} has {largest} {noun} and does not fit {shape}; "
            f"raise shape.{name} to at least {largest} (the largest molecule)"
        )
