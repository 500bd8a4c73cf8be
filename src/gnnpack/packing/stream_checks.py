"""What a stream may be fed."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gnnpack.packing.shape import PackShape


def check_settings(shape: PackShape, buffer: int, seed: int) -> None:
    """ValueError unless a stream can be packed with these."""
    if shape.num_atoms is None:
        raise ValueError(
            "streaming: shape.num_atoms is null, and the sizes of a stream are not known before; "
            "give a number (twice the largest molecule or more is a good one)"
        )
    for name, number, least, cure in (
        ("buffer", buffer, 1, "give how many molecules may wait, such as 2048"),
        ("seed", seed, 0, "give another"),
    ):
        try:
            whole = not isinstance(number, bool) and operator.index(number) >= least
        except TypeError:
            whole = False
        if not whole:
            raise ValueError(f"{name}={number!r} is not an integer of at least {least}; {cure}")


def check_chunk(
    num_atoms: ArrayLike,
    num_pairs: ArrayLike | None,
    numbers: ArrayLike | None,
    shape: PackShape,
    fed: int,
) -> NDArray[np.int64]:
    """Numbers, atoms and pairs of molecules, (3, M) int64; pairs are 0 where they have no limit.

    numbers: None goes on counting from `fed`. ValueError: a column that is not 1-D, not of
    integers or not as long as num_atoms; a molecule that has no atoms, or does not fit `shape`.
    """
    atoms = _column("num_atoms", num_atoms)
    chunk = np.zeros((3, atoms.size), dtype=np.int64)
    chunk[0] = np.arange(fed, fed + atoms.size)
    if numbers is not None:
        chunk[0] = _numbers(numbers, atoms.size)
    _check_range("num_atoms", "atoms", atoms, chunk[0], 1, shape.num_atoms, shape)
    chunk[1] = atoms
    if num_pairs is not None:
        pairs = _column("num_pairs", num_pairs, atoms.size)
        _check_range("num_pairs", "pairs", pairs, chunk[0], 0, shape.num_pairs, shape)
        # Without a limit nobody asks for them.
        chunk[2] = 0 if shape.num_pairs is None else pairs
    elif shape.num_pairs is not None:
        raise ValueError(
            f"shape.num_pairs={shape.num_pairs} needs the pairs of every molecule; "
            "pass num_pairs, or set shape.num_pairs=null"
        )
    return chunk


def _numbers(numbers: ArrayLike, size: int) -> NDArray[Any]:
    column = _column("numbers", numbers, size)
    if column.size and int(column.max()) >= 2**63:
        raise ValueError(f"numbers holds {column.max()}; packs are of int64, give smaller ones")
    return column


def _column(name: str, values: ArrayLike, size: int | None = None) -> NDArray[Any]:
    column = np.asarray(values)
    if column.ndim != 1:
        raise ValueError(f"{name} has shape {column.shape}; it must be 1-D, one entry per molecule")
    if size is not None and column.size != size:
        raise ValueError(
            f"{name} has {column.size:,} entries but num_atoms has {size:,}; "
            "both need one entry per molecule, in the same order"
        )
    if column.size and not np.issubdtype(column.dtype, np.integer):
        raise ValueError(f"{name} has dtype {column.dtype}; pass integers")
    return column


def _check_range(
    name: str,
    noun: str,
    column: NDArray[Any],
    numbers: NDArray[np.int64],
    least: int,
    limit: int | None,
    shape: PackShape,
) -> None:
    if column.size == 0:
        return
    place = int(column.argmin())
    if column[place] < least:
        raise ValueError(
            f"molecule {numbers[place]} has {column[place]} {noun}; it must have at least {least}: "
            "correct or remove it in the data set"
        )
    place = int(column.argmax())
    if limit is not None and column[place] > limit:
        raise ValueError(
            f"molecule {numbers[place]} has {column[place]} {noun} and does not fit {shape}; "
            f"raise shape.{name} to at least {column[place]}, or leave the molecule out"
        )
