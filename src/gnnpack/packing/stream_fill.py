"""The loops of streaming: molecules in, packs out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnnpack.packing.stream_buffer import GRAIN, WAITING, admit, release
from gnnpack.packing.stream_draw import draw_pack
from gnnpack.packing.stream_pairs import choose_within_pairs
from gnnpack.packing.stream_weights import OVERDUE, are_stale, weigh


def feed(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    marks: NDArray[np.int64],
    limits: NDArray[np.int64],
    kinds: NDArray[np.int64],
    weights: NDArray[np.float64],
    ways: NDArray[np.float64],
    key: np.uint64,
    molecules: NDArray[np.int64],
    packed: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> int:
    """Take in molecules (3, M), their numbers, atoms and pairs; make a pack when a slot is missing.

    Writes packs to packed and offsets, which have room for all molecules; returns their number.
    """
    packs = 0
    for place in range(molecules.shape[1]):
        if marks[WAITING] == slots.shape[1]:
            opened, held = offsets[packs], 0
            old = are_stale(marks)
            while held == 0:
                if old:
                    weigh(slots, queues, marks, limits, kinds, weights, ways)
                held = draw_pack(
                    slots, queues, marks, limits, kinds, weights, ways, key, packed, opened
                )
                # Nothing drawn: no kind is left that waited when the weights were made.
                old = True
            release(slots, marks, packed, opened, held)
            marks[OVERDUE] = -1
            packs += 1
            offsets[packs] = opened + held
        number, atoms, pairs = molecules[0, place], molecules[1, place], molecules[2, place]
        admit(slots, queues, marks, limits[GRAIN], number, atoms, pairs)
    return packs


def feed_within_pairs(
    slots: NDArray[np.int64],
    queues: NDArray[np.int64],
    marks: NDArray[np.int64],
    limits: NDArray[np.int64],
    kinds: NDArray[np.int64],
    weights: NDArray[np.float64],
    ways: NDArray[np.float64],
    key: np.uint64,
    molecules: NDArray[np.int64],
    packed: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> int:
    """`feed` under a limit on pairs."""
    packs = 0
    for place in range(molecules.shape[1]):
        if marks[WAITING] == slots.shape[1]:
            opened, held = offsets[packs], 0
            old = are_stale(marks)
            while held == 0:
                if old:
                    weigh(slots, queues, marks, limits, kinds, weights, ways)
                held = choose_within_pairs(
                    slots, queues, marks, limits, kinds, weights, ways, key, packed, opened
                )
                old = True
            release(slots, marks, packed, opened, held)
            marks[OVERDUE] = -1
            packs += 1
            offsets[packs] = opened + held
        number, atoms, pairs = molecules[0, place], molecules[1, place], molecules[2, place]
        admit(slots, queues, marks, limits[GRAIN], number, atoms, pairs)
    return packs
