"""A new composition of the same packs: who meets whom, and in which order."""

from __future__ import annotations

from typing import Any, Sequence

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.patterns import stable_order

# Keeps these draws apart from a packer's own default_rng([seed]).
_STREAM = 0x65706F63


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """The random numbers of one epoch; ValueError for a negative seed or epoch."""
    for name, number in (("seed", seed), ("epoch", epoch)):
        if isinstance(number, bool) or number < 0:
            raise ValueError(f"{name}={number!r} must be an integer of at least 0")
    return np.random.default_rng([seed, epoch, _STREAM])


def exchange_equal(
    molecules: NDArray[np.int64],
    columns: Sequence[NDArray[Any]],
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Molecules (M,) int64 permuted at random among slots that agree in every column (M,).

    Columns hold the size of each slot's molecule, so any pack keeps its sum in each of them.
    """
    # Always stable: the order of equal keys of an unstable sort depends on the processor.
    order = stable_order(columns[-1])
    for column in reversed(columns[:-1]):
        order = order[stable_order(column[order])]
    differs = np.zeros(max(0, order.size - 1), dtype=bool)
    for column in columns:
        ordered = column[order]
        differs |= ordered[1:] != ordered[:-1]
    borders = [0, *(np.flatnonzero(differs) + 1).tolist(), order.size]

    pool = molecules[order]
    for start, stop in zip(borders[:-1], borders[1:]):
        if stop - start > 1:
            generator.shuffle(pool[start:stop])
    exchanged = np.empty_like(molecules)
    exchanged[order] = pool
    return exchanged


def take_packs(
    molecules: NDArray[np.int64], offsets: NDArray[np.int64], packs: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Molecules and offsets of `packs` (K,), in that order.

    >>> take_packs(np.array([7, 8, 9]), np.array([0, 2, 2, 3]), np.array([2, 1, 0]))
    (array([9, 7, 8]), array([0, 1, 1, 3]))
    """
    starts = offsets[packs]
    lengths = offsets[packs + 1] - starts
    taken_offsets = np.zeros(packs.size + 1, dtype=np.int64)
    np.cumsum(lengths, out=taken_offsets[1:])
    slots = np.repeat(starts - taken_offsets[:-1], lengths)
    slots += np.arange(slots.size)
    return molecules[slots], taken_offsets
